/* store_remove: messages leave mailboxes; with its last place an email goes, with its last email the bytes. */
#ifndef POSTEL_STORE_REMOVE_H
#define POSTEL_STORE_REMOVE_H

#include "store/store_select.h"

/* The row goes, with a tombstone; 0 or -1 for trouble of the index. */
int store_remove_row(struct store *s, struct store_account *a, const struct store_row *r);
/* The same when the email certainly stays, for it just came into another mailbox. */
int store_remove_moved(struct store *s, struct store_account *a, const struct store_row *r);
int store_remove_blob(struct store *s, uint64_t bid); /* one reference less */

#endif
