/* pop3_read: the bytes of one message from store, in windows that overlap. */
#ifndef POSTEL_POP3_READ_H
#define POSTEL_POP3_READ_H

#include "pop3/pop3_drop.h"

enum { POP3_READ_WINDOW = 65536, POP3_READ_FLYING = 4 };

struct pop3_read { /* all zero: reads nothing */
    struct ipc_pending *flying[POP3_READ_FLYING];
    unsigned first, n_flying, depth;
    uint64_t eid, size;
    uint64_t asked, got; /* offsets */
};

/* Begins to read `item`: asks for up to `depth` (1..4) windows at once and keeps so many asked for. 0 or -1 with *f. */
WAITS int pop3_read_start(struct pop3_read *r, const struct pop3_drop *d, const struct pop3_item *item, unsigned depth,
                          struct fail *f);
/* The next bytes in order, empty behind the end; live in mem. 0, or -1 with *f. */
WAITS int pop3_read_next(struct pop3_read *r, const struct pop3_drop *d, struct span *data, struct arena *mem,
                         struct fail *f);
void pop3_read_stop(struct pop3_read *r); /* forgets what is still on its way; nothing when it reads nothing */

#endif
