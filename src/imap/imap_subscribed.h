/* imap_subscribed: names that stay subscribed when their mailbox is removed (RFC 9051 6.3.7), as a value of the account. */
#ifndef POSTEL_IMAP_SUBSCRIBED_H
#define POSTEL_IMAP_SUBSCRIBED_H

#include "imap/imap_folder.h"

/* Adds to `all` the names without a mailbox, and those above them that have none either: rows with mailbox 0. A mailbox of
 * such a name, made again, becomes subscribed in `all`. 0, or -1 with *f. */
WAITS int imap_subscribed_load(struct imap *s, struct imap_folders *all, struct fail *f);
/* on: keeps the name, behind those that are kept; the oldest go when they are too many. Off: forgets it; *was (NULL allowed)
 * tells whether it was kept. 0, or -1 with *f. */
WAITS int imap_subscribed_set(struct imap *s, struct span path, bool on, bool *was, struct fail *f);

#endif
