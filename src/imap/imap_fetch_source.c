/* Where a section's bytes come from: those that are here already, or store's windows; of a surrogate (RFC 6857) through its
 * edit list as they come. */
#include "imap/imap_fetch.h"

/* The stretch of the stored message that the bytes from..to of the surrogate are made of. */
static void stored_stretch(const struct imap_fetch_message *m, uint64_t from, uint64_t to, uint64_t *first, uint64_t *end)
{
    struct edit_walk walk;
    struct edit_piece piece;
    uint64_t at = 0;
    *first = *end = 0;
    edit_begin(&walk, m->edits, m->stored);
    for (; at < to && edit_next(&walk, &piece); at += piece.n) {
        uint64_t a = MAX_OF(at, from), b = MIN_OF(at + piece.n, to);
        if (a >= b || piece.literal.p != NULL)
            continue;
        *first = *end == 0 ? piece.at + (a - at) : *first;
        *end = piece.at + (b - at);
    }
}

WAITS int imap_fetch_source_open(struct imap_fetch_source *src, struct imap_fetch *f, const struct imap_fetch_message *m,
                                 uint64_t from, uint64_t to)
{
    *src = (struct imap_fetch_source){.f = f, .m = m, .from = from, .to = to};
    arena_init(&src->mem);
    if (m->edits.n > 0) {
        uint64_t first, end;
        stored_stretch(m, from, to, &first, &end);
        edit_begin(&src->walk, m->edits, m->stored);
        src->window_at = first;
        return imap_read_start(&src->read, f->s, m->eid, m->stored, first, end, &f->fail);
    }
    if (from >= m->held_at && to <= m->held_at + m->held.n) {
        src->from_held = true;
        src->held = span_sub(m->held, (size_t)(from - m->held_at), (size_t)(to - from));
        return 0;
    }
    return imap_read_start(&src->read, f->s, m->eid, m->size, from, to, &f->fail);
}

static WAITS int next_window(struct imap_fetch_source *src)
{
    src->window_at += src->window.n;
    arena_done(&src->mem);
    return imap_read_next(&src->read, src->f->s, &src->window, &src->mem, &src->f->fail);
}

/* As much of the piece of the edit list in work as is here. */
static WAITS int edited(struct imap_fetch_source *src, struct span *piece)
{
    struct edit_piece *p = &src->piece;
    while (p->n == 0 || src->at + p->n <= src->from) { /* what lies before the stretch */
        src->at += p->n;
        if (src->at >= src->to || !edit_next(&src->walk, p))
            return 0;
    }
    uint64_t skip = src->from - MIN_OF(src->at, src->from), n = MIN_OF(p->n, src->to - src->at) - skip;
    if (p->literal.p != NULL) {
        *piece = span_sub(p->literal, (size_t)(p->literal.n - p->n + skip), (size_t)n);
    } else {
        while (src->window_at + src->window.n <= p->at + skip) {
            if (next_window(src) != 0)
                return -1;
            if (src->window.n == 0) /* cannot be: the stretch holds it */
                return fail_temp(&src->f->fail, "4.3.0", "The message cannot be read as it was listed");
        }
        *piece = span_sub(src->window, (size_t)(p->at + skip - src->window_at), (size_t)n);
        p->at += skip + piece->n;
    }
    p->n -= skip + piece->n;
    src->at += skip + piece->n;
    return 0;
}

WAITS int imap_fetch_source_next(struct imap_fetch_source *src, struct span *piece)
{
    *piece = SPAN_NONE;
    if (src->m->edits.n > 0)
        return src->at < src->to ? edited(src, piece) : 0;
    if (src->from_held) {
        *piece = src->held;
        src->held = SPAN_NONE;
        return 0;
    }
    arena_done(&src->mem);
    return imap_read_next(&src->read, src->f->s, piece, &src->mem, &src->f->fail);
}

void imap_fetch_source_close(struct imap_fetch_source *src)
{
    imap_read_stop(&src->read);
    arena_done(&src->mem);
}
