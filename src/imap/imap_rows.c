/* Windows of member_scan. A window never spans two ranges: what lies between them is not wanted. */
#include "imap/imap_rows.h"

enum { PLAIN_ROWS = 1000, WIDE_ROWS = 250 }; /* of a frame's 224 KiB; what does not fit is asked for again */

void imap_rows_start(struct imap_rows *r, struct imap *s, const struct imap_range *idx, uint32_t n, uint32_t want)
{
    *r = (struct imap_rows){.s = s, .idx = idx, .n = n, .want = want, .index = n > 0 ? idx[0].first : 0,
                            .window = (want & ~(uint32_t)WANT_SUMMARY) != 0 ? WIDE_ROWS : PLAIN_ROWS};
}

static WAITS struct ipc_pending *begin(struct imap_rows *r, uint64_t first, uint32_t last, struct fail *f)
{
    struct imap *s = r->s;
    struct msg_member_scan in = {.handle = imap_session_handle(s), .mailbox = s->view.mailbox, .first = first,
                                 .last = s->view.v[last].uid, .limit = r->window, .want = r->want};
    return ipc_begin(ROLE_STORE, MSG_ID_member_scan, &in, f);
}

static WAITS int ask(struct imap_rows *r, struct fail *f)
{
    while (r->n_flying < IMAP_ROWS_FLYING && r->at < r->n) {
        uint32_t first = r->index, last = MIN_OF(r->idx[r->at].last, first + (r->window - 1));
        struct ipc_pending *p = begin(r, r->s->view.v[first].uid, last, f);
        if (p == NULL)
            return -1;
        r->flying[(r->first + r->n_flying++) % IMAP_ROWS_FLYING] = (struct imap_rows_window){p, first, last};
        if (last < r->idx[r->at].last)
            r->index = last + 1;
        else if (++r->at < r->n)
            r->index = r->idx[r->at].first;
    }
    return 0;
}

WAITS int imap_rows_next(struct imap_rows *r, struct imap_row_of **out, uint32_t *n, struct arena *mem, struct fail *f)
{
    struct msg_member_scan_r reply;
    *n = 0;
    if (ask(r, f) < 0)
        return -1;
    if (r->n_flying == 0)
        return 0;
    struct imap_rows_window *w = &r->flying[r->first];
    struct ipc_pending *p = w->p;
    w->p = NULL;
    if (ipc_finish(p, &reply, mem, 0, f) < 0)
        return -1;
    uint32_t row = 0, last = w->last;
    *out = arena_alloc(mem, (w->last - w->first + 1) * sizeof **out);
    for (uint32_t i = w->first; i <= w->last; i++) {
        uint32_t uid = r->s->view.v[i].uid;
        if (reply.next != 0 && uid >= reply.next) {
            last = i - 1;
            break;
        }
        while (row < reply.rows.n && reply.rows.v[row].uid < uid)
            row++;
        bool here = row < reply.rows.n && reply.rows.v[row].uid == uid;
        (*out)[(*n)++] = (struct imap_row_of){i, here ? &reply.rows.v[row] : NULL};
    }
    if (last < w->last) { /* the rest of this window comes before the other windows */
        if (*n == 0)
            return fail_temp(f, "4.3.0", "The mailbox cannot be listed"); /* it would go on for ever */
        w->first = last + 1;
        w->p = begin(r, reply.next, w->last, f);
        return w->p != NULL ? 0 : -1;
    }
    r->first = (r->first + 1) % IMAP_ROWS_FLYING;
    r->n_flying--;
    return ask(r, f);
}

void imap_rows_stop(struct imap_rows *r)
{
    for (unsigned i = 0; i < IMAP_ROWS_FLYING; i++)
        if (r->flying[i].p != NULL)
            ipc_forget(r->flying[i].p);
    *r = (struct imap_rows){0};
}
