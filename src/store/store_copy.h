/* store_copy: messages of one mailbox in another. */
#ifndef POSTEL_STORE_COPY_H
#define POSTEL_STORE_COPY_H

#include "store/store_select.h"

/* Rows v of the account's mailboxes into `to`, in this order; move: and out of theirs. 0, or -1 for trouble of the
 * index. */
int store_copy_rows(struct store *s, struct store_account *a, struct store_mailbox *to, const struct store_row *v,
                    size_t n, bool move);

#endif
