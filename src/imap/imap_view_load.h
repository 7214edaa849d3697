/* imap_view_load: for the files of imap_view only. */
#ifndef POSTEL_IMAP_VIEW_LOAD_H
#define POSTEL_IMAP_VIEW_LOAD_H

#include "imap/imap_view.h"

uint32_t imap_view_intern(struct imap_view *v, struct span set); /* the number of a set of keywords */

/* imap_view_kept.c */
void imap_view_settle(struct imap_view *v); /* as if a new session saw it: nothing is left to tell, what is gone has no number */
/* A copy of the view as the last session left it, when it has all changes up to `since`. *out is made only then. */
bool imap_view_kept(uint64_t account, uint64_t mailbox, uint64_t uidvalidity, uint64_t since, struct imap_view *out);

#endif
