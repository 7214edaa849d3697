/* pop3_list: finding a message by the number that a client gave. */
#ifndef POSTEL_POP3_LIST_H
#define POSTEL_POP3_LIST_H

#include "pop3/pop3_session.h"

/* The message that *args begins with, or NULL when there is none (left) by that number; moves *args on. */
struct pop3_item *pop3_list_item(struct pop3 *s, struct span *args);

#endif
