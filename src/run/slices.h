/* slices: stretches of many messages from store, in batches that are asked for before their turn. */
#ifndef POSTEL_SLICES_H
#define POSTEL_SLICES_H

#include "run/ipc.h"

enum { SLICES_FLYING = 3, SLICES_MOST = 128, SLICES_BYTES = 160 * 1024, SLICES_LENGTH = 65536 };

struct slices {
    struct msg_email_slice next[SLICES_MOST];   /* gathered, not asked for yet */
    uint32_t n_next, bytes;
    struct slices_batch {
        struct ipc_pending *p;  /* NULL: it is here */
        struct msg_email_slices_r got;
        struct arena mem;
        uint32_t n, at;         /* asked for, taken */
    } flying[SLICES_FLYING];
    unsigned first, n_flying;
};

/* All zero: nothing is asked for. It is too large for the stack. */
bool slices_room(const struct slices *q);   /* another one may be added */
/* Adds a stretch of 1..SLICES_LENGTH bytes; asks for what was gathered when it is enough. There must be room. 0 or -1. */
WAITS int slices_add(struct slices *q, struct span handle, struct msg_email_slice s, struct fail *f);
WAITS int slices_send(struct slices *q, struct span handle, struct fail *f);   /* asks for what was gathered */
/* The next one, in the order they were added; what was gathered is asked for when nothing else is there. size: of the whole
 * message; data: borrowed until the next call. 0; 1: store does not have it, or it cannot be read; -1 with *f: store does
 * not answer, and the whole batch is lost. */
WAITS int slices_take(struct slices *q, struct span handle, uint64_t *size, struct span *data, struct fail *f);
void slices_stop(struct slices *q);         /* forgets all of it */

#endif
