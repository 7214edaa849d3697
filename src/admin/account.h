/* account: commands about what store keeps of an account: auth knows its address, store its number. */
#ifndef POSTEL_ACCOUNT_H
#define POSTEL_ACCOUNT_H

#include "admin/control.h"

/* The number of the account that the command names first; from here on calls go to store. 0, or -1 with c->fail. */
WAITS int account_turn(struct control *c, uint64_t *account);

#endif
