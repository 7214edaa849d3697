/* imap_texts: one question to store for all, another one for those whose text had to be made (see the header). */
#include "imap/imap_texts.h"

#include "base/limits.h"
#include "format/fold.h"
#include "format/match_text.h"

void imap_texts_init(struct imap_texts *t, struct imap *s, const struct imap_keys *keys)
{
    static const enum match_where where[] = {[IMAP_KEY_HEADER] = MATCH_HEADER, [IMAP_KEY_BODY] = MATCH_BODY,
                                             [IMAP_KEY_TEXT] = MATCH_TEXT};
    *t = (struct imap_texts){.s = s, .able = keys->n_strings > 0, .n = keys->n_strings};
    for (uint32_t i = 0; i < keys->n_strings && t->able; i++) {
        struct str name, text;
        str_init(&name, &s->cmd);
        str_init(&text, &s->cmd);
        fold_text(&name, keys->strings[i].name);
        fold_text(&text, keys->strings[i].text);
        struct match_needle folded = {where[keys->strings[i].where], str_span(&name), str_span(&text)};
        t->able = folded.text.n <= MATCH_NEEDLE_BYTES && match_text_able(&folded);
        t->needles[i] = (struct msg_scan_needle){folded.where, folded.name, folded.text};
    }
}

static int by_eid(const void *a, const void *b)
{
    const struct imap_text_of *x = a, *y = b;
    return x->eid < y->eid ? -1 : x->eid > y->eid;
}

static void sort(struct imap_text_of *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (v[i].eid < v[i - 1].eid) {
            qsort(v, n, sizeof *v, by_eid);
            return;
        }
}

/* The ids that are not known yet as ranges. */
static uint32_t ranges_of(const struct imap_text_of *v, uint32_t n, struct msg_uid_range *out)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].known || (made > 0 && out[made - 1].last == v[i].eid))
            continue;
        if (made > 0 && out[made - 1].last + 1 == v[i].eid)
            out[made - 1].last = v[i].eid;
        else
            out[made++] = (struct msg_uid_range){v[i].eid, v[i].eid};
    }
    return made;
}

/* Hits and ranges of what is unknown come in order of eid, as v is. */
static void take(struct imap_text_of *v, uint32_t n, const struct msg_search_r *r)
{
    uint32_t hit = 0, gap = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].known)
            continue;
        while (gap < r->unknown.n && r->unknown.v[gap].last < v[i].eid)
            gap++;
        while (hit < r->hits.n && r->hits.v[hit].eid < v[i].eid)
            hit++;
        v[i].known = gap == r->unknown.n || r->unknown.v[gap].first > v[i].eid;
        v[i].found = hit < r->hits.n && r->hits.v[hit].eid == v[i].eid ? r->hits.v[hit].found : 0;
    }
}

/* How many are not known then. */
static WAITS uint32_t search(struct imap_texts *t, struct imap_text_of *v, uint32_t n, struct msg_uid_range *ranges)
{
    struct msg_search in = {.handle = imap_session_handle(t->s)};
    struct msg_search_r out;
    struct arena mem;
    struct fail f;
    uint32_t open = 0;
    arena_init(&mem);
    in.needles.v = t->needles;
    in.needles.n = t->n;
    in.eids.v = ranges;
    in.eids.n = ranges_of(v, n, ranges);
    if (IPC_CALL(ROLE_STORE, search, &in, &out, &mem, &f) == 0)
        take(v, n, &out);
    arena_done(&mem);
    for (uint32_t i = 0; i < n; i++)
        open += !v[i].known;
    return open;
}

static WAITS void fill(struct imap_texts *t, struct imap_text_of *v, uint32_t n, struct msg_uid_range *ranges)
{
    struct msg_search_fill in = {.handle = imap_session_handle(t->s)};
    struct msg_search_fill_r out = {0};
    struct arena mem;
    struct fail f;
    arena_init(&mem);
    in.eids.v = ranges;
    in.eids.n = ranges_of(v, n, ranges);
    do {
        in.from = out.next;
        if (IPC_CALL(ROLE_STORE, search_fill, &in, &out, &mem, &f) != 0 || (out.next != 0 && out.next <= in.from))
            break;
        arena_reset(&mem);
    } while (out.next != 0);
    arena_done(&mem);
}

WAITS void imap_texts_ask(struct imap_texts *t, struct imap_text_of *v, uint32_t n)
{
    if (!t->able || n == 0)
        return;
    struct msg_uid_range *ranges = base_alloc(n * sizeof *ranges);
    sort(v, n);
    if (search(t, v, n, ranges) > 0) {
        fill(t, v, n, ranges);
        search(t, v, n, ranges);
    }
    free(ranges);
}
