/* imap_read: a stretch of one message's bytes from store, in windows that overlap. */
#ifndef POSTEL_IMAP_READ_H
#define POSTEL_IMAP_READ_H

#include "imap/imap_session.h"
#include "run/ipc.h"

enum { IMAP_READ_WINDOW = 65536, IMAP_READ_FLYING = 4 };

struct imap_read { /* all zero: reads nothing */
    struct ipc_pending *flying[IMAP_READ_FLYING];
    unsigned first, n_flying;
    uint64_t eid, size;     /* of the whole message */
    uint64_t asked, at, to; /* offsets */
};

/* Begins to read bytes from..to of a message of `size` bytes: asks for up to 4 windows at once, and keeps so many on their
 * way. 0 or -1 with *f. imap_read_stop is due in any case. */
WAITS int imap_read_start(struct imap_read *r, struct imap *s, uint64_t eid, uint64_t size, uint64_t from, uint64_t to,
                          struct fail *f);
/* The next bytes in order, empty behind the end; live in mem. 0, or -1 with *f. */
WAITS int imap_read_next(struct imap_read *r, struct imap *s, struct span *data, struct arena *mem, struct fail *f);
void imap_read_stop(struct imap_read *r);

/* The first n of a message's `size` bytes as a sealed memfd, for scan; the caller closes it. 0, or -1 with *f. */
WAITS int imap_read_file(struct imap *s, uint64_t eid, uint64_t size, uint64_t n, int *fd, struct fail *f);

#endif
