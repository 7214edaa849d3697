/* imap_view_load: for the files of imap_view only. */
#ifndef POSTEL_IMAP_VIEW_LOAD_H
#define POSTEL_IMAP_VIEW_LOAD_H

#include "imap/imap_view.h"

uint32_t imap_view_intern(struct imap_view *v, struct span set); /* the number of a set of keywords */

#endif
