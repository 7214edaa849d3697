/* slices: see the header. A call to store costs as much as reading a dozen small messages there. */
#include "run/slices.h"

bool slices_room(const struct slices *q) { return q->n_flying < SLICES_FLYING; }

WAITS int slices_send(struct slices *q, struct span handle, struct fail *f)
{
    struct msg_email_slices in = {.handle = handle, .slices = {q->next, q->n_next}};
    if (q->n_next == 0 || q->n_flying == SLICES_FLYING)
        return 0;
    struct ipc_pending *p = ipc_begin(ROLE_STORE, MSG_ID_email_slices, &in, f);
    if (p == NULL)
        return -1;
    struct slices_batch *b = &q->flying[(q->first + q->n_flying++) % SLICES_FLYING];
    *b = (struct slices_batch){.p = p, .n = q->n_next};
    arena_init(&b->mem);
    q->n_next = q->bytes = 0;
    return 0;
}

WAITS int slices_add(struct slices *q, struct span handle, struct msg_email_slice s, struct fail *f)
{
    if ((q->n_next == SLICES_MOST || q->bytes + s.length > SLICES_BYTES) && slices_send(q, handle, f) < 0)
        return -1;
    q->next[q->n_next++] = s;
    q->bytes += s.length;
    return 0;
}

static void drop_first(struct slices *q)
{
    struct slices_batch *b = &q->flying[q->first];
    arena_done(&b->mem);
    b->p = NULL;
    q->first = (q->first + 1) % SLICES_FLYING;
    q->n_flying--;
}

WAITS int slices_take(struct slices *q, struct span handle, uint64_t *size, struct span *data, struct fail *f)
{
    if (q->n_flying > 0 && q->flying[q->first].at == q->flying[q->first].n)
        drop_first(q);
    if (q->n_flying == 0 && slices_send(q, handle, f) < 0)
        return -1;
    assert(q->n_flying > 0);
    struct slices_batch *b = &q->flying[q->first];
    if (b->p != NULL) {
        struct ipc_pending *p = b->p;
        b->p = NULL;
        if (ipc_finish(p, &b->got, &b->mem, 0, f) < 0) {
            drop_first(q);
            return -1;
        }
    }
    uint32_t i = b->at++;
    if (i >= b->got.got.n || !b->got.got.v[i].there)
        return 1;
    *size = b->got.got.v[i].size;
    *data = b->got.got.v[i].data;
    return 0;
}

void slices_stop(struct slices *q)
{
    for (; q->n_flying > 0; drop_first(q))
        if (q->flying[q->first].p != NULL)
            ipc_forget(q->flying[q->first].p);
    q->n_next = q->bytes = 0;
}
