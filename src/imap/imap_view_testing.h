/* imap_view_testing: a view for tests and fuzzing of search keys. */
#ifndef POSTEL_IMAP_VIEW_TESTING_H
#define POSTEL_IMAP_VIEW_TESTING_H

#include "imap/imap_key.h"

/* UIDs 10, 20, ... 100; flags 0..9; message 4 has keywords. */
void imap_view_testing(struct imap_view *v, struct imap_message m[10]);

#endif
