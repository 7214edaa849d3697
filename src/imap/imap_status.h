/* imap_status: what STATUS tells of a mailbox, for LIST as well. */
#ifndef POSTEL_IMAP_STATUS_H
#define POSTEL_IMAP_STATUS_H

#include "imap/imap_folder.h"

bool imap_status_items(struct imap_lex *in, unsigned *out); /* "(MESSAGES ...)", a bit each */
WAITS int imap_status_tell(struct imap *s, const struct imap_folder *is, unsigned what);

#endif
