/* store_text: searching texts, and taking new ones (see the header). A search reads pieces of the file that stay in the
 * processor's cache while they are looked through; texts lie in order of arrival, so pieces follow each other. */
#include "base/log.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_io.h"
#include "store/store_read.h"
#include "store/store_text_impl.h"

#include <errno.h>
#include <fcntl.h>

enum { IDS_MOST = 8000, PIECE = 256 * 1024 };

/* ---- searching ---- */

struct search {
    struct store_text_file *t;
    struct match_needle needle[MATCH_NEEDLES];
    uint32_t n;
    unsigned char *piece;
    uint64_t at;    /* in the file */
    size_t held;
    VEC(struct msg_search_hit) hits;
    VEC(struct msg_uid_range) unknown;
};

static bool few(const struct msg_uid_range *v, uint32_t n)
{
    uint64_t ids = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].first > v[i].last || v[i].last - v[i].first >= IDS_MOST)
            return false;
        ids += v[i].last - v[i].first + 1;
        if (ids > IDS_MOST)
            return false;
    }
    return true;
}

static int take_needles(struct search *q, const struct msg_search *in, struct fail *f)
{
    bool fine = in->needles.n <= MATCH_NEEDLES && few(in->eids.v, in->eids.n);
    for (; fine && q->n < in->needles.n; q->n++) {
        const struct msg_scan_needle *x = &in->needles.v[q->n];
        q->needle[q->n] = (struct match_needle){(enum match_where)x->where, x->name, x->text};
        fine = x->where < MATCH_WHERE_COUNT && x->text.n <= MATCH_NEEDLE_BYTES && match_text_able(&q->needle[q->n]);
    }
    return fine ? 0 : fail_perm(f, "5.5.4", "a search that the texts cannot answer");
}

/* The record's bytes; NULL: they cannot be read, or are another one's. */
static const unsigned char *record(struct search *q, const struct store_text_entry *e)
{
    size_t need = STORE_TEXT_RECORD + (size_t)e->n;
    if (e->at < q->at || e->at + need > q->at + q->held) {
        size_t want = (size_t)MIN_OF((uint64_t)PIECE, q->t->end - e->at);
        q->at = e->at;
        q->held = 0;
        while (q->held < want) {
            ssize_t got = pread(q->t->fd, q->piece + q->held, want - q->held, (off_t)(q->at + q->held));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                break;
            q->held += (size_t)got;
        }
        if (q->held < need)
            return NULL;
    }
    const unsigned char *r = q->piece + (e->at - q->at);
    return msglog_get64(r + 8) == e->eid && msglog_get32(r + 4) == e->n ? r : NULL;
}

static void unknown(struct search *q, uint64_t first, uint64_t last)
{
    if (first > last)
        return;
    if (q->unknown.n > 0 && q->unknown.v[q->unknown.n - 1].last + 1 == first)
        q->unknown.v[q->unknown.n - 1].last = last;
    else
        *VEC_PUSH(&q->unknown) = (struct msg_uid_range){first, last};
}

static void search_range(struct search *q, uint64_t first, uint64_t last)
{
    const struct store_text_entry *e = store_text_find(q->t, first), *end = q->t->entries.v + q->t->entries.n;
    for (; e < end && e->eid <= last; e++) {
        const unsigned char *r = e->body_at == STORE_TEXT_NONE ? NULL : record(q, e);
        unknown(q, first, e->eid - (r != NULL));
        first = e->eid + 1;
        if (r == NULL)
            continue;
        struct match_text t = {span_of(r + STORE_TEXT_RECORD, e->n), e->parts_at, e->body_at};
        uint64_t found = match_text_find(&t, q->needle, q->n);
        if (found != 0)
            *VEC_PUSH(&q->hits) = (struct msg_search_hit){e->eid, found};
    }
    unknown(q, first, last);
}

int store_text_search(struct store *s, uint64_t account, const struct msg_search *in, struct msg_search_r *out,
                      struct arena *mem, struct fail *f)
{
    struct search q = {0};
    *out = (struct msg_search_r){0};
    if (take_needles(&q, in, f) != 0)
        return -1;
    q.t = store_text_take(s, account);
    if (q.t == NULL) {
        out->unknown.v = in->eids.v;
        out->unknown.n = in->eids.n;
        return 0;
    }
    q.piece = base_alloc(PIECE);
    for (uint32_t i = 0; i < in->eids.n; i++)
        search_range(&q, in->eids.v[i].first, in->eids.v[i].last);
    free(q.piece);
    store_text_give(s, q.t);
    out->hits.n = (uint32_t)q.hits.n;
    out->hits.v = store_read_take(mem, q.hits.v, q.hits.n, sizeof *q.hits.v);
    out->unknown.n = (uint32_t)q.unknown.n;
    out->unknown.v = store_read_take(mem, q.unknown.v, q.unknown.n, sizeof *q.unknown.v);
    VEC_FREE(&q.hits);
    VEC_FREE(&q.unknown);
    return 0;
}

/* ---- filling ---- */

size_t store_text_missing(struct store *s, uint64_t account, const struct msg_search_fill *in, uint64_t from, uint64_t *eids,
                          size_t most, uint64_t *next)
{
    struct store_text_file *t = few(in->eids.v, in->eids.n) ? store_text_take(s, account) : NULL;
    size_t n = 0;
    *next = 0;
    if (t == NULL)
        return 0;
    const struct store_text_entry *end = t->entries.v + t->entries.n;
    for (uint32_t i = 0; i < in->eids.n && *next == 0; i++) {
        uint64_t first = MAX_OF(in->eids.v[i].first, from);
        const struct store_text_entry *e = store_text_find(t, first);
        for (uint64_t eid = first; eid <= in->eids.v[i].last && *next == 0; eid++) {
            if (e < end && e->eid == eid)
                e++;
            else if (n == most)
                *next = eid;
            else
                eids[n++] = eid;
        }
    }
    store_text_give(s, t);
    return n;
}

static bool make_file(struct store *s, struct store_text_file *t)
{
    char name[STORE_TEXT_NAME];
    unsigned char head[STORE_TEXT_HEAD];
    store_text_name(t->account, name);
    store_text_head(s->texts->id, t->account, head);
    if (store_io->mkdir(s->dir, "text") != 0 && errno != EEXIST)
        return false;
    store_io->unlink(s->dir, name);
    t->fd = store_io->open(s->dir, name, O_RDWR | O_CREAT | O_EXCL);
    struct iovec v = {head, sizeof head};
    if (t->fd < 0)
        return false;
    if (store_io_write_all(t->fd, &v, 1, 0) != 0) {
        int err = errno;
        store_text_drop(s, t);
        errno = err;
        return false;
    }
    t->end = sizeof head;
    return true;
}

static void insert(struct store_text_file *t, struct store_text_entry e)
{
    VEC_PUSH(&t->entries);
    size_t i = t->entries.n - 1;
    for (; i > 0 && t->entries.v[i - 1].eid > e.eid; i--)
        t->entries.v[i] = t->entries.v[i - 1];
    t->entries.v[i] = e;
}

/* All of them in one write. */
static bool append(struct store_text_file *t, const struct store_text_new *v, size_t n)
{
    VEC(struct store_text_entry) made = {0};
    VEC(struct iovec) iov = {0};
    unsigned char(*heads)[STORE_TEXT_RECORD] = base_alloc(n * sizeof *heads);
    uint64_t at = t->end;
    for (size_t i = 0; i < n; i++) {
        const struct store_text_entry *had = store_text_find(t, v[i].eid);
        struct span text = v[i].none ? SPAN("") : v[i].text.bytes;
        if (had < t->entries.v + t->entries.n && had->eid == v[i].eid)
            continue;
        struct store_text_entry e = {v[i].eid, at, (uint32_t)text.n, v[i].none ? 0 : v[i].text.parts_at,
                                     v[i].none ? STORE_TEXT_NONE : v[i].text.body_at};
        unsigned char *h = heads[i];
        msglog_put32(h + 4, e.n);
        msglog_put64(h + 8, e.eid);
        msglog_put32(h + 16, e.parts_at);
        msglog_put32(h + 20, e.body_at);
        msglog_put32(h, crc32c(crc32c(0, h + 4, STORE_TEXT_RECORD - 4), text.p, text.n));
        *VEC_PUSH(&iov) = (struct iovec){h, STORE_TEXT_RECORD};
        if (text.n > 0)
            *VEC_PUSH(&iov) = (struct iovec){(void *)(uintptr_t)text.p, text.n};
        *VEC_PUSH(&made) = e;
        at += STORE_TEXT_RECORD + text.n;
    }
    bool ok = store_io_write_all(t->fd, iov.v, iov.n, t->end) == 0;
    for (size_t i = 0; ok && i < made.n; i++)
        insert(t, made.v[i]);
    t->end = ok ? at : t->end;
    VEC_FREE(&made);
    VEC_FREE(&iov);
    free(heads);
    return ok;
}

void store_text_put(struct store *s, uint64_t account, const struct store_text_new *v, size_t n)
{
    struct store_text_file *t = n > 0 ? store_text_take(s, account) : NULL;
    if (t == NULL)
        return;
    if (!t->gone && ((t->fd < 0 && !make_file(s, t)) || !append(t, v, n)))
        LOG(LOG_WARN, "store.text", L_Z("why", strerror(errno)), L_INT("account", (int64_t)account));
    store_text_give(s, t);
}
