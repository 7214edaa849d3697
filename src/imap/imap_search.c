/* SEARCH (RFC 9051 6.4.4, RFC 3501 6.4.4): the compiled keys are run over the view first, then over what else is known of
 * the messages that this does not decide: the texts that store keeps, rows, and for strings that only the message itself
 * can tell the word of scan. */
#include "base/vec.h"
#include "format/summary_pack.h"
#include "imap/imap_match.h"
#include "imap/imap_rows.h"
#include "imap/imap_texts.h"

enum search_return { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16 };

struct search {
    struct imap *s;
    struct imap_keys keys;
    unsigned returns;
    bool esearch;               /* RETURN was said */
    VEC(struct imap_range) hits;    /* of indexes, ascending */
    VEC(struct imap_range) open;    /* not decided yet */
    uint64_t count;
    struct imap_texts texts;
    VEC(struct imap_text_of) told;  /* by the texts, of messages that are not decided yet, in order of index */
    size_t told_at;                 /* how far the rows have come in it */
    struct imap_match_message batch[IMAP_MATCH_BATCH];
    const struct msg_member_row *rows[IMAP_MATCH_BATCH];
    uint32_t n_batch;
};

static void add_index(struct imap_range *last, bool *joined, uint32_t index)
{
    *joined = last != NULL && last->last + 1 == index;
    if (*joined)
        last->last = index;
}

static void hit(struct search *q, uint32_t index)
{
    bool joined;
    q->count++;
    add_index(q->hits.n > 0 ? &q->hits.v[q->hits.n - 1] : NULL, &joined, index);
    if (!joined)
        *VEC_PUSH(&q->hits) = (struct imap_range){index, index};
}

static void leave_open(struct search *q, uint32_t index)
{
    bool joined;
    add_index(q->open.n > 0 ? &q->open.v[q->open.n - 1] : NULL, &joined, index);
    if (!joined)
        *VEC_PUSH(&q->open) = (struct imap_range){index, index};
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const struct imap_range *)a)->first, y = ((const struct imap_range *)b)->first;
    return x < y ? -1 : x > y;
}

/* Hits of the later steps come behind those of the first one. */
static void put_in_order(struct search *q)
{
    size_t n = 0;
    if (q->hits.n > 1)
        qsort(q->hits.v, q->hits.n, sizeof *q->hits.v, by_index);
    for (size_t i = 0; i < q->hits.n; i++) {
        if (n > 0 && q->hits.v[n - 1].last + 1 == q->hits.v[i].first)
            q->hits.v[n - 1].last = q->hits.v[i].last;
        else
            q->hits.v[n++] = q->hits.v[i];
    }
    q->hits.n = n;
}

static void search_view(struct search *q)
{
    const struct imap_view *v = &q->s->view;
    for (uint32_t i = 0; i < v->told; i++) {
        if (v->v[i].gone)
            continue;
        enum imap_key_truth t = imap_key_run(&q->keys, &(struct imap_key_facts){.index = i, .view = v});
        if (t == IMAP_KEY_YES)
            hit(q, i);
        else if (t == IMAP_KEY_UNKNOWN)
            leave_open(q, i);
    }
}

static WAITS int run_batch(struct search *q, struct fail *f)
{
    if (q->n_batch == 0)
        return 0;
    if (imap_match_batch(q->s, &q->keys, q->batch, q->n_batch, f) < 0)
        return -1;
    for (uint32_t i = 0; i < q->n_batch; i++) {
        const struct imap_match_message *m = &q->batch[i];
        struct imap_key_facts facts = {.index = m->index, .view = &q->s->view, .row = q->rows[i], .found = &m->found};
        if (!m->gone && imap_key_run(&q->keys, &facts) == IMAP_KEY_YES)
            hit(q, m->index);
    }
    q->n_batch = 0;
    return 0;
}

static uint64_t header_bytes(const struct msg_member_row *row)
{
    struct summary_part root;
    if (summary_pack_get_part(row->structure, 0, &root) != 0 || root.body_end > row->size)
        return 0;
    return root.body_at + (row->size - root.body_end);
}

/* ---- by the texts ---- */

static int text_order(const void *a, const void *b)
{
    const struct imap_text_of *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Decides what can be decided without a row. */
static WAITS void texts_window(struct search *q, struct imap_text_of *v, uint32_t n)
{
    imap_texts_ask(&q->texts, v, n);
    qsort(v, n, sizeof *v, text_order);
    for (uint32_t i = 0; i < n; i++) {
        struct imap_key_facts facts = {.index = v[i].index, .view = &q->s->view, .found = v[i].known ? &v[i].found : NULL};
        enum imap_key_truth t = imap_key_run(&q->keys, &facts);
        if (t == IMAP_KEY_YES)
            hit(q, v[i].index);
        if (t != IMAP_KEY_UNKNOWN)
            continue;
        leave_open(q, v[i].index);
        if (v[i].known)
            *VEC_PUSH(&q->told) = v[i];
    }
}

/* Where no envelope might tell: all that are open. */
static WAITS void search_texts(struct search *q)
{
    size_t n_open = q->open.n;
    struct imap_range *open = q->open.v;
    struct imap_text_of *v = base_alloc(IMAP_TEXTS_MOST * sizeof *v);
    uint32_t n = 0;
    q->open.v = NULL;
    q->open.n = q->open.cap = 0;
    for (size_t k = 0; k < n_open; k++)
        for (uint32_t i = open[k].first; i <= open[k].last; i++) {
            v[n++] = (struct imap_text_of){.index = i, .eid = q->s->view.v[i].eid};
            if (n == IMAP_TEXTS_MOST) {
                texts_window(q, v, n);
                n = 0;
            }
        }
    texts_window(q, v, n);
    free(v);
    free(open);
}

/* What the texts told of a message; NULL: nothing. Asked in order of index. */
static const uint64_t *told(struct search *q, uint32_t index)
{
    while (q->told_at < q->told.n && q->told.v[q->told_at].index < index)
        q->told_at++;
    return q->told_at < q->told.n && q->told.v[q->told_at].index == index ? &q->told.v[q->told_at].found : NULL;
}

/* ---- by rows ---- */

static WAITS int ask_scan(struct search *q, const struct imap_row_of *v, const struct imap_text_of *text, uint32_t n,
                          struct fail *f)
{
    for (uint32_t i = 0, at = 0; i < n; i++) {
        const struct msg_member_row *row;
        while (v[at].index != text[i].index)
            at++;
        row = v[at].row;
        struct imap_key_facts facts = {.index = text[i].index, .view = &q->s->view, .row = row, .found = &text[i].found};
        if (text[i].known) {
            if (imap_key_run(&q->keys, &facts) == IMAP_KEY_YES)
                hit(q, text[i].index);
            continue;
        }
        q->rows[q->n_batch] = row;
        q->batch[q->n_batch++] = (struct imap_match_message){.index = text[i].index, .eid = row->eid, .size = row->size,
                                                             .header = header_bytes(row)};
        if (q->n_batch == IMAP_MATCH_BATCH && run_batch(q, f) < 0)
            return -1;
    }
    return run_batch(q, f); /* its rows go with this window */
}

static WAITS int search_rows(struct search *q, const struct imap_row_of *v, uint32_t n, struct fail *f)
{
    struct imap_text_of *open = base_alloc((n + 1) * sizeof *open);
    uint32_t n_open = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_member_row *row = v[i].row;
        if (row == NULL)
            continue; /* gone meanwhile: it matches nothing */
        struct imap_key_facts facts = {.index = v[i].index, .view = &q->s->view, .row = row, .found = told(q, v[i].index)};
        enum imap_key_truth t = imap_key_run(&q->keys, &facts);
        if (t == IMAP_KEY_YES)
            hit(q, v[i].index);
        if (t == IMAP_KEY_UNKNOWN)
            open[n_open++] = (struct imap_text_of){.index = v[i].index, .eid = row->eid};
    }
    if (q->keys.envelope) { /* else the texts were asked for all of them */
        imap_texts_ask(&q->texts, open, n_open);
        qsort(open, n_open, sizeof *open, text_order);
    }
    int r = ask_scan(q, v, open, n_open, f);
    free(open);
    return r;
}

static WAITS int search_open(struct search *q, struct fail *f)
{
    struct imap_rows rows;
    struct imap_row_of *v;
    struct arena mem;
    uint32_t n;
    bool strings = q->keys.n_strings > 0;
    int r;
    arena_init(&mem);
    imap_rows_start(&rows, q->s, q->open.v, (uint32_t)q->open.n,
                    (q->keys.envelope ? WANT_ENVELOPE : 0u) | (strings && !q->keys.body ? WANT_STRUCTURE : 0u));
    do {
        r = imap_rows_next(&rows, &v, &n, &mem, f);
        if (r == 0)
            r = search_rows(q, v, n, f);
        arena_reset(&mem);
    } while (r == 0 && n > 0);
    imap_rows_stop(&rows);
    arena_done(&mem);
    return r;
}

/* ---- the answer --------------------------------------------------------------------------------------------------------- */

static uint32_t number_of(const struct search *q, uint32_t index)
{
    return q->s->by_uid ? q->s->view.v[index].uid : index + 1;
}

static void add_range(struct str *out, uint32_t first, uint32_t last)
{
    if (out->p[out->n - 1] != ' ')
        str_addc(out, ',');
    str_addu(out, first);
    if (last > first) {
        str_addc(out, ':');
        str_addu(out, last);
    }
}

/* The hits as a set, behind a space: exactly them, so a range of UIDs ends where one is missing. */
static void add_set(const struct search *q, struct str *out)
{
    for (size_t i = 0; i < q->hits.n; i++) {
        uint32_t first = number_of(q, q->hits.v[i].first), last = first;
        for (uint32_t k = q->hits.v[i].first + 1; k <= q->hits.v[i].last; k++) {
            uint32_t n = number_of(q, k);
            if (n != last + 1) {
                add_range(out, first, last);
                first = n;
            }
            last = n;
        }
        add_range(out, first, last);
    }
}

static void add_plain(const struct search *q, struct str *out)
{
    str_addz(out, "* SEARCH");
    for (size_t i = 0; i < q->hits.n; i++)
        for (uint32_t k = q->hits.v[i].first; k <= q->hits.v[i].last; k++) {
            str_addc(out, ' ');
            str_addu(out, number_of(q, k));
        }
}

static void add_esearch(const struct search *q, struct str *out)
{
    str_addz(out, "* ESEARCH (TAG ");
    imap_grammar_add_string(out, span_z(q->s->tag), false);
    str_addz(out, q->s->by_uid ? ") UID" : ")");
    if (q->hits.n > 0 && (q->returns & RETURN_MIN))
        str_addf(out, " MIN %u", number_of(q, q->hits.v[0].first));
    if (q->hits.n > 0 && (q->returns & RETURN_MAX))
        str_addf(out, " MAX %u", number_of(q, q->hits.v[q->hits.n - 1].last));
    if (q->returns & RETURN_COUNT)
        str_addf(out, " COUNT %llu", (unsigned long long)q->count);
    if (q->hits.n > 0 && (q->returns & RETURN_ALL)) {
        str_addz(out, " ALL ");
        add_set(q, out);
    }
}

/* RFC 9051 6.4.4.1: "$" names these from now on; of MIN or MAX alone only those. */
static void save(const struct search *q)
{
    struct imap_view *v = &q->s->view;
    size_t n = q->hits.n;
    bool few = (q->returns & (RETURN_MIN | RETURN_MAX)) && !(q->returns & (RETURN_ALL | RETURN_COUNT)) && n > 0;
    free(v->saved);
    v->saved = NULL;
    v->n_saved = 0;
    v->saved_set = true;
    if (n == 0)
        return;
    v->saved = base_alloc((few ? 2 : n) * sizeof *v->saved);
    if (!few) {
        for (size_t i = 0; i < n; i++)
            v->saved[v->n_saved++] = (struct imap_range){v->v[q->hits.v[i].first].uid, v->v[q->hits.v[i].last].uid};
        return;
    }
    uint32_t min = v->v[q->hits.v[0].first].uid, max = v->v[q->hits.v[n - 1].last].uid;
    if (q->returns & RETURN_MIN)
        v->saved[v->n_saved++] = (struct imap_range){min, min};
    if ((q->returns & RETURN_MAX) && (max != min || v->n_saved == 0))
        v->saved[v->n_saved++] = (struct imap_range){max, max};
}

static WAITS int answer(struct search *q)
{
    struct imap *s = q->s;
    struct str out;
    int r = 0;
    str_init(&out, &s->cmd);
    if (q->returns & RETURN_SAVE)
        save(q);
    if (!q->esearch && !imap_session_rev2(s)) {
        add_plain(q, &out);
    } else if (q->returns != RETURN_SAVE) { /* RFC 9051 6.4.4.1: SAVE alone has nothing to tell */
        add_esearch(q, &out);
    }
    if (out.n > 0) {
        str_addz(&out, "\r\n");
        r = conn_write(s->c, str_span(&out));
    }
    return r != 0 ? r : imap_session_ok(s, "Searched");
}

/* ---- the command -------------------------------------------------------------------------------------------------------- */

static const struct { struct span word; unsigned bit; } options[] = {
    {SPAN("MIN"), RETURN_MIN}, {SPAN("MAX"), RETURN_MAX},   {SPAN("ALL"), RETURN_ALL},
    {SPAN("COUNT"), RETURN_COUNT}, {SPAN("SAVE"), RETURN_SAVE},
};

static bool read_returns(struct imap_lex *in, struct search *q)
{
    if (!imap_grammar_may_word(in, SPAN("RETURN"))) {
        q->returns = RETURN_ALL;
        return true;
    }
    q->esearch = true;
    if (!imap_grammar_sp(in) || !imap_grammar_open(in))
        return false;
    while (in->error == NULL && !imap_grammar_may_close(in)) {
        struct span word;
        unsigned bit = 0;
        if (!imap_grammar_word(in, &word))
            return false;
        for (size_t i = 0; i < COUNT_OF(options); i++)
            bit = span_eq_nocase(word, options[i].word) ? options[i].bit : bit;
        if (bit == 0)
            return imap_grammar_bad(in, "unknown option of RETURN");
        q->returns |= bit;
        imap_grammar_may(in, ' ');
    }
    if (q->returns == 0)
        q->returns = RETURN_ALL; /* RFC 9051 6.4.4: the empty list */
    return imap_grammar_sp(in);
}

static bool read_charset(struct imap_lex *in, struct search *q)
{
    struct span charset;
    if (!imap_grammar_may_word(in, SPAN("CHARSET")))
        return true;
    if (q->s->enabled & IMAP_UTF8)
        return imap_grammar_bad(in, "with UTF8=ACCEPT a SEARCH names no charset"); /* RFC 9755 3 */
    if (!imap_grammar_sp(in) || !imap_grammar_astring(in, &charset) || !imap_grammar_sp(in))
        return false;
    if (span_eq_nocase(charset, SPAN("UTF-8")) || span_eq_nocase(charset, SPAN("US-ASCII")))
        return true;
    q->keys.refused = "[BADCHARSET (US-ASCII UTF-8)] That charset is not known here"; /* RFC 9051 6.4.4 */
    return imap_grammar_bad(in, q->keys.refused);
}

/* RFC 9051 6.4.4.1: a SEARCH with SAVE that fails leaves "$" empty. */
static void save_nothing(struct search *q)
{
    if (q->returns & RETURN_SAVE) {
        q->hits.n = 0;
        save(q);
    }
}

WAITS int imap_search_search(struct imap *s, struct imap_lex *in)
{
    struct search *q = arena_zalloc(&s->cmd, sizeof *q);
    struct fail f;
    int r;
    q->s = s;
    if (!read_returns(in, q) || !read_charset(in, q) || !imap_key_read(in, &s->view, &q->keys)) {
        if (q->keys.refused == NULL)
            return imap_session_bad(s, in->error);
        save_nothing(q);
        return imap_session_no(s, "%s", q->keys.refused);
    }
    search_view(q);
    imap_texts_init(&q->texts, s, &q->keys);
    if (q->texts.able && !q->keys.envelope)
        search_texts(q);
    r = q->open.n > 0 ? search_open(q, &f) : 0;
    if (r == 0)
        put_in_order(q);
    else
        save_nothing(q);
    r = r < 0 ? imap_session_fail(s, &f, false) : answer(q);
    VEC_FREE(&q->hits);
    VEC_FREE(&q->open);
    VEC_FREE(&q->told);
    return r;
}
