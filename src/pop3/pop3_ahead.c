/* pop3_ahead: see the header. */
#include "pop3/pop3_ahead.h"

/* What may be held of messages that nobody asked for yet (SEC-07): bytes of one session, and sessions of this front at once. */
enum { AHEAD_BYTES = 160 * 1024, AHEAD_SESSIONS = 32 };
static unsigned sessions;

void pop3_ahead_stop(struct pop3_ahead *a)
{
    if (a->q == NULL)
        return;
    slices_stop(a->q);
    free(a->q);
    sessions--;
    a->q = NULL;
    a->first = a->n = 0;
    a->bytes = 0;
}

WAITS bool pop3_ahead_take(struct pop3_ahead *a, const struct pop3_drop *d, size_t at, struct span *data)
{
    struct fail f;
    uint64_t size;
    while (a->n > 0 && a->of[a->first] <= at) {
        const struct pop3_item *item = &d->items.v[a->of[a->first]];
        bool this_one = a->of[a->first] == at;
        a->first = (a->first + 1) % POP3_AHEAD_MOST;
        a->n--;
        a->bytes -= item->size;
        int r = slices_take(a->q, pop3_drop_handle(d), &size, data, &f);
        if (r < 0)
            break;
        if (this_one && r == 0 && size == item->size && data->n == size)
            return true;
    }
    if (a->n > 0 || a->expected != at) /* out of order, or store did not answer */
        pop3_ahead_stop(a);
    return false;
}

static bool fits(const struct pop3_ahead *a, const struct pop3_drop *d, size_t at, unsigned window)
{
    const struct pop3_item *item = &d->items.v[at];
    return a->n < window && !item->deleted && item->size > 0 && item->size <= SLICES_LENGTH && a->bytes + item->size <= AHEAD_BYTES &&
           slices_room(a->q);
}

static WAITS int add(struct pop3_ahead *a, const struct pop3_drop *d, size_t at, unsigned window, struct fail *f)
{
    for (; at < d->items.n && fits(a, d, at, window); at++) {
        const struct pop3_item *item = &d->items.v[at];
        struct msg_email_slice s = {.eid = item->eid, .length = item->size};
        if (slices_add(a->q, pop3_drop_handle(d), s, f) < 0)
            return -1;
        a->of[(a->first + a->n++) % POP3_AHEAD_MOST] = (uint32_t)at;
        a->bytes += item->size;
    }
    return slices_send(a->q, pop3_drop_handle(d), f);
}

WAITS void pop3_ahead_more(struct pop3_ahead *a, const struct pop3_drop *d, size_t at)
{
    struct fail f;
    a->run = at == a->expected ? a->run + 1 : 0;
    a->expected = at + 1;
    unsigned window = a->run < 5 ? 1u << a->run : POP3_AHEAD_MOST;
    if (a->n > window / 2)
        return; /* a batch, not one by one */
    if (a->q == NULL && sessions < AHEAD_SESSIONS) {
        a->q = base_alloc(sizeof *a->q);
        sessions++;
    }
    size_t next = a->n > 0 ? a->of[(a->first + a->n - 1) % POP3_AHEAD_MOST] + (size_t)1 : at + 1;
    if (a->q != NULL && add(a, d, next, window, &f) < 0)
        pop3_ahead_stop(a);
}
