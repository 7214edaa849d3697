/* store_rebuild_row: a record of the log becomes the rows that its arrival once made. */
#include "base/clock.h"
#include "base/limits.h"
#include "format/edit.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_io.h"
#include "store/store_impl.h"
#include "store/store_rebuild_impl.h"

#include <fcntl.h>

enum { PER_COMMIT = 2000, BODY_MOST = 1 << 30 };

/* A record and its body in memory. */
struct held {
    unsigned char h[MSGLOG_HEADER];
    struct store_meta meta;
    uint32_t seg, meta_n;
    uint64_t off, len;
    bool big, whole;        /* whole: the body is what was written */
    struct span body;
};

/* ---- reading ---- */

static bool read_body(struct store_rebuild *r, struct held *x, int seg_fd)
{
    char name[MSGLOG_NAME], path[64];
    int fd = seg_fd;
    uint64_t at = x->off + MSGLOG_HEADER + x->meta_n;
    if (x->len > BODY_MOST)
        return false;
    char *p = arena_alloc(&r->one, (size_t)x->len + 1);
    if (x->big) {
        msglog_big_name(msglog_get64(x->h + 24), name);
        snprintf(path, sizeof path, "big/%s", name);
        fd = openat(r->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        at = 0;
    }
    bool fine = fd >= 0 && store_io_read_all(fd, p, (size_t)x->len, at) == 0 && crc32c(0, p, (size_t)x->len) == msglog_get32(x->h + 12);
    if (x->big && fd >= 0)
        close(fd);
    x->body = fine ? span_of(p, (size_t)x->len) : SPAN_NONE;
    return fine;
}

/* False: it cannot be read at all, though it could a while ago. */
static bool hold(struct store_rebuild *r, const struct rebuild_record *rec, struct held *x)
{
    *x = (struct held){.seg = rec->seg, .off = rec->off};
    int fd = store_rebuild_open(r, rec->seg);
    if (fd < 0 || store_io_read_all(fd, (char *)x->h, MSGLOG_HEADER, rec->off) != 0)
        return false;
    x->meta_n = msglog_get32(x->h + 8);
    x->len = msglog_get64(x->h + 16);
    x->big = (x->h[5] & MSGLOG_BIG) != 0;
    char *meta = arena_alloc(&r->one, x->meta_n + 1);
    if (store_io_read_all(fd, meta, x->meta_n, rec->off + MSGLOG_HEADER) != 0 || store_meta_read(span_of(meta, x->meta_n), &x->meta) != 0)
        return false;
    x->whole = read_body(r, x, fd);
    return true;
}

/* The newest whole copy, else the newest. */
static bool choose(struct store_rebuild *r, size_t from, size_t to, struct held *x)
{
    struct held other;
    const struct rebuild_record *last = &r->records.v[to - 1];
    bool have = hold(r, last, x);
    for (size_t i = to - 1; i > from && (!have || !x->whole); i--) {
        if (r->records.v[i - 1].op == last->op && hold(r, &r->records.v[i - 1], &other) && (!have || other.whole)) {
            *x = other;
            have = true;
        }
    }
    return have;
}

/* ---- rows ---- */

static int put_blob(struct store_rebuild *r, const struct held *x, uint64_t refs)
{
    return DB_RUN(r->db, DB_BLOB_INSERT, DB_I(msglog_get64(x->h + 24)), DB_I(x->seg), DB_I(x->off), DB_I(x->meta_n), DB_I(x->len),
                  DB_I(x->big), DB_I(refs));
}

static int put_upload(struct store_rebuild *r, const struct held *x)
{
    int64_t expires_s = (int64_t)msglog_get64(x->h + 48) / 1000 + LIMIT(UPLOAD_S);
    if (expires_s <= clock_now_s() || map_get_u64(&r->removed, x->meta.account) != NULL)
        return 0;
    return put_blob(r, x, 1) != 0 || DB_RUN(r->db, DB_REPAIR_ACCOUNT, DB_I(x->meta.account)) != 0
               ? -1
               : DB_RUN(r->db, DB_UPLOAD_PUT, DB_I(msglog_get64(x->h + 24)), DB_I(x->meta.account), DB_I(x->len),
                        DB_I(msglog_get32(x->h + 12)), DB_I(expires_s));
}

/* Whether the mailbox can be that account's: it is, or nobody's yet. */
static bool own_box(struct store_rebuild *r, uint64_t mailbox, uint64_t account)
{
    struct rebuild_tree *t = map_get_u64(&r->boxes, mailbox);
    if (t == NULL) {
        t = arena_zalloc(&r->mem, sizeof *t);
        t->account = account;
        map_put_u64(&r->boxes, mailbox, t);
    }
    return t->account == account;
}

static int put_email(struct store_rebuild *r, const struct held *x, const struct store_meta_target *t, const struct summary *s,
                     struct span edits, uint64_t size)
{
    struct db_arg date = DB_I(s->date_s);
    bool ascii = x->meta.kind != META_INGEST || edit_delivery_ascii(x->meta.sender, t->address); /* as store_ingest.c */
    uint32_t flags = s->flags | (ascii ? 0 : SUMMARY_UTF8);
    if (s->date_s == INT64_MIN)
        date = (struct db_arg)DB_NULL;
    return DB_RUN(r->db, DB_REBUILD_EMAIL, DB_I(t->eid), DB_I(t->account), DB_I(msglog_get64(x->h + 24)), DB_I(size), DB_I(t->modseq),
                  DB_I(s->msgid_hash), date, DB_I(msglog_get64(x->h + 48)), DB_I(flags), DB_B(s->refs), DB_B(edits),
                  DB_B(s->envelope), DB_B(s->preview), DB_B(s->structure), DB_B(s->headers));
}

static int put_member(struct store_rebuild *r, const struct held *x, const struct store_meta_target *t, uint64_t size)
{
    uint64_t ms_be = 0;
    int64_t received = (int64_t)msglog_get64(x->h + 48);
    memcpy(&ms_be, x->h + 32, 6); /* operation ids begin with their time: when it was saved */
    int64_t saved = (int64_t)(be64toh(ms_be) >> 16);
    struct span packed = SPAN_NONE;
    struct fail none;
    struct db_arg keywords = DB_NULL;
    if (x->meta.keywords.n > 0 && store_keyword_pack(x->meta.keywords, &packed, &r->one, &none) == 0 && packed.n > 0)
        keywords = (struct db_arg)DB_B(packed);
    return DB_RUN(r->db, DB_REBUILD_MEMBER, DB_I(t->mailbox), DB_I(t->uid), DB_I(t->eid), DB_I(t->flags), DB_I(size),
                  DB_I(received), DB_I(MAX_OF(saved - received, (int64_t)0)), DB_I(t->modseq), keywords);
}

/* 1: it is there, 0: left out, -1. */
static int put_target(struct store_rebuild *r, const struct held *x, const struct store_meta_target *t, const struct summary *s)
{
    struct str edits;
    struct fail none;
    str_init(&edits, &r->one);
    if (map_get_u64(&r->removed, t->account) != NULL || store_rebuild_is_gone(r, t->eid)) {
        r->report.gone++;
        return 0;
    }
    if (!own_box(r, t->mailbox, t->account) || t->uid == 0 || t->uid > UINT32_MAX || t->eid == 0 || t->eid >= r->next_eid ||
        (x->meta.kind == META_INGEST && edit_delivery(&edits, x->meta.sender, t->address, &none) != 0)) {
        r->report.conflicts++;
        return 0;
    }
    uint64_t size = edit_size(str_span(&edits), x->len);
    if (put_email(r, x, t, s, str_span(&edits), size) != 0)
        return -1;
    bool fresh = db_changes(r->db) == 1;
    if (fresh && put_member(r, x, t, size) != 0)
        return -1;
    if (fresh && db_changes(r->db) == 1)
        return 1;
    r->report.conflicts++;
    return fresh && DB_RUN(r->db, DB_REPAIR_EMAIL, DB_I(t->eid)) != 0 ? -1 : 0;
}

static void summary_of(struct store_rebuild *r, const struct held *x, struct summary *s)
{
    *s = (struct summary){.date_s = INT64_MIN};
    if (x->whole && r->summary(r->summary_arg, x->body, s, &r->one))
        return;
    *s = (struct summary){.flags = SUMMARY_MISSING | (x->whole ? 0 : SUMMARY_DAMAGED), .msgid_hash = x->meta.msgid_hash,
                          .date_s = x->meta.date_s};
}

static int put_message(struct store_rebuild *r, struct held *x)
{
    struct store_meta_target t;
    struct store_meta look = x->meta;
    struct summary s;
    uint64_t refs = 0, wanted = 0;
    while (store_meta_target(&look, &t)) /* what nobody has any more is not parsed */
        wanted += map_get_u64(&r->removed, t.account) == NULL && !store_rebuild_is_gone(r, t.eid);
    if (wanted > 0)
        summary_of(r, x, &s);
    while (store_meta_target(&x->meta, &t)) {
        int rc = put_target(r, x, &t, &s);
        if (rc < 0)
            return -1;
        refs += (uint64_t)rc;
    }
    return refs > 0 ? put_blob(r, x, refs) : 0;
}

int store_rebuild_messages(struct store_rebuild *r, struct fail *f)
{
    struct held x;
    uint64_t done = 0;
    int rc = 0;
    for (size_t i = 0, to; i < r->records.n && rc == 0; i = to) {
        store_rebuild_group(r, i, &to);
        done++;
        if (r->records.v[i].bid < r->base_bid) /* the backup's index says all there is about it */
            continue;
        if (choose(r, i, to, &x))
            rc = x.meta.kind == META_UPLOAD ? put_upload(r, &x) : put_message(r, &x);
        else
            r->report.bad_places++;
        arena_reset(&r->one);
        if (rc == 0 && done % PER_COMMIT == 0)
            rc = db_commit(r->db) != 0 ? -1 : db_begin(r->db);
        if (done % 100 == 0)
            store_rebuild_tell(r, "putting messages back", done, r->report.records);
    }
    return rc == 0 ? 0 : db_fail(r->db, f);
}
