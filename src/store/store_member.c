/* store_member: what stands in mailboxes, for readers. */
#include "store/store_read.h"
#include "store/store_thread.h"

enum {
    REPLY_BYTES = 150 * 1024, /* stays below a frame */
    SCAN_MOST = 5000,
    WANT_WIDE = WANT_ENVELOPE | WANT_STRUCTURE | WANT_HEADERS | WANT_PREVIEW,
};

static int thread_of(struct db *db, uint64_t eid, uint64_t *thread)
{
    int rc = DB_FIRST(db, DB_THREAD_OF, DB_I(eid));
    *thread = rc == 1 ? (uint64_t)db_i64(db, DB_THREAD_OF, 0) : 0;
    db_end(db, DB_THREAD_OF);
    return rc < 0 ? -1 : 0;
}

static int read_row(struct db *db, enum db_id id, uint32_t want, struct msg_member_row *r, struct arena *mem,
                    size_t *bytes)
{
    *r = (struct msg_member_row){
        .uid = (uint64_t)db_i64(db, id, 0),
        .eid = (uint64_t)db_i64(db, id, 1),
        .modseq = (uint64_t)db_i64(db, id, 2),
        .flags = (uint32_t)db_i64(db, id, 3),
        .internal_ms = db_i64(db, id, 4),
        .size = (uint64_t)db_i64(db, id, 5),
        .keywords = store_keyword_text(db_bytes(db, id, 6), mem),
        .saved_ms = db_i64(db, id, 7),
    };
    if (want & WANT_ENVELOPE)
        r->envelope = arena_copy(mem, db_bytes(db, id, 8));
    if (want & WANT_STRUCTURE)
        r->structure = arena_copy(mem, db_bytes(db, id, 9));
    if (want & WANT_HEADERS)
        r->headers = arena_copy(mem, db_bytes(db, id, 10));
    if (want & WANT_PREVIEW)
        r->preview = arena_copy(mem, db_bytes(db, id, 11));
    *bytes += 96 + r->keywords.n + r->envelope.n + r->structure.n + r->headers.n + r->preview.n;
    return want & WANT_THREAD ? thread_of(db, r->eid, &r->thread) : 0;
}

static int scan(struct db *db, const struct msg_member_scan *in, struct msg_member_scan_r *out, struct arena *mem)
{
    enum db_id id = in->want & WANT_WIDE ? DB_MEMBER_SCAN_WIDE : DB_MEMBER_SCAN;
    int64_t limit = MIN_OF(in->limit == 0 ? (uint32_t)SCAN_MOST : in->limit, (uint32_t)SCAN_MOST);
    VEC(struct msg_member_row) rows = {0};
    size_t bytes = 0;
    uint64_t first = MIN_OF(in->first, (uint64_t)INT64_MAX), last = MIN_OF(in->last, (uint64_t)INT64_MAX);
    int rc = DB_FIRST(db, id, DB_I(in->mailbox), DB_I(first), DB_I(last), DB_I(limit + 1));
    while (rc == 1) {
        struct msg_member_row r;
        rc = read_row(db, id, in->want, &r, mem, &bytes);
        if (rc != 0)
            break;
        if (rows.n > 0 && (bytes > REPLY_BYTES || (int64_t)rows.n == limit)) {
            out->next = r.uid;
            break;
        }
        *VEC_PUSH(&rows) = r;
        rc = db_next(db, id);
    }
    db_end(db, id);
    out->rows.n = (uint32_t)rows.n;
    out->rows.v = store_read_take(mem, rows.v, rows.n, sizeof *rows.v);
    VEC_FREE(&rows);
    return rc;
}

int store_member_scan(struct store *s, uint64_t account, const struct msg_member_scan *in,
                      struct msg_member_scan_r *out, struct arena *mem, struct fail *f)
{
    *out = (struct msg_member_scan_r){0};
    if (in->want & WANT_THREAD && store_thread_wait(s, UINT64_MAX, f) != 0)
        return -1;
    struct db *db = store_reader(s);
    int rc = DB_FIRST(db, DB_MAILBOX_HAS, DB_I(account), DB_I(in->mailbox));
    if (rc == 0) {
        rc = fail_perm(f, "5.2.0", "no such mailbox");
    } else if (rc == 1) {
        db_end(db, DB_MAILBOX_HAS);
        rc = scan(db, in, out, mem) == 0 ? 0 : db_fail(db, f);
    } else {
        rc = db_fail(db, f);
    }
    store_reader_done(s, db);
    return rc;
}
