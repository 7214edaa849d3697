/* body: a message on its way in: in memory, above body_inline (or what body_shared leaves of it) in a memfd, above
 * body_memfd in store's spool. */
#ifndef POSTEL_BODY_H
#define POSTEL_BODY_H

#include "base/rand.h"
#include "run/ipc.h"

enum body_place { BODY_MEMORY, BODY_MEMFD, BODY_SPOOL };
enum { BODY_FLYING = 4 }; /* spool writes of 64 KiB on their way at once */

struct body {
    enum body_place place;
    char *buf;           /* everything (MEMORY), or the tail that was not passed on yet */
    size_t n, cap;
    uint64_t size;       /* bytes taken in all */
    uint64_t passed;     /* of them in the memfd or the spool */
    uint64_t charged;    /* against the front's budget */
    int fd;              /* memfd, or the file that store lends; -1 = none */
    struct op_id op;
    struct ipc_pending *flying[BODY_FLYING];
    unsigned first, n_flying;
};

/* False when the front holds so much that it takes no further message now (limit memfd_budget). */
bool body_room(void);
/* op: of the message; names the spool at store. Allocates nothing yet. */
void body_init(struct body *b, const struct op_id *op);
/* Appends. 0, or -1 with *f: then only body_drop makes sense. */
WAITS int body_add(struct body *b, struct span s, struct fail *f);
/* No more will come: seals the memfd, or waits for the spool and borrows its file. mem: for the calls. 0 or -1. */
WAITS int body_finish(struct body *b, struct arena *mem, struct fail *f);
/* The message as calls want it: its bytes, or SPAN_NONE and a descriptor that stays b's. After finish. */
static inline struct span body_bytes(const struct body *b)
{
    return b->place == BODY_MEMORY ? span_of(b->buf, b->n) : SPAN_NONE;
}
/* Frees, closes, and has store forget its spool (which ingest has emptied by then, or nobody wants any more). */
void body_drop(struct body *b);

#endif
