/* store_member: what stands in mailboxes, for readers. */
#include "store/msglog_impl.h"
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
    if (want & (WANT_WIDE | WANT_SUMMARY))
        r->summary_flags = (uint32_t)db_i64(db, id, 8);
    if (want & WANT_ENVELOPE)
        r->envelope = arena_copy(mem, db_bytes(db, id, 9));
    if (want & WANT_STRUCTURE)
        r->structure = arena_copy(mem, db_bytes(db, id, 10));
    if (want & WANT_HEADERS)
        r->headers = arena_copy(mem, db_bytes(db, id, 11));
    if (want & WANT_PREVIEW)
        r->preview = arena_copy(mem, db_bytes(db, id, 12));
    *bytes += 96 + r->keywords.n + r->envelope.n + r->structure.n + r->headers.n + r->preview.n;
    return want & WANT_THREAD ? thread_of(db, r->eid, &r->thread) : 0;
}

static int scan(struct db *db, const struct msg_member_scan *in, struct msg_member_scan_r *out, struct arena *mem)
{
    enum db_id id = in->want & WANT_WIDE      ? DB_MEMBER_SCAN_WIDE
                    : in->want & WANT_SUMMARY ? DB_MEMBER_SCAN_SUMMARY
                                              : DB_MEMBER_SCAN;
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

/* ---- packed ---- */

enum { VIEW_ROW = 24, VIEW_MOST = 5000 };

struct view {
    char *rows;
    uint32_t n;
    struct str words;
    struct map sets;    /* packed keywords: 1 + their number's */
    uint32_t n_sets;
};

/* The number of a set of keywords, which is told when it is new. */
static uint32_t set_number(struct view *v, struct span packed, struct arena *mem)
{
    if (packed.n == 0)
        return 0;
    uint32_t number = (uint32_t)(uintptr_t)map_get(&v->sets, packed);
    if (number == 0) {
        number = ++v->n_sets;
        map_put(&v->sets, arena_copy(mem, packed), (void *)(uintptr_t)number);
        str_add(&v->words, store_keyword_text(packed, mem));
        str_addc(&v->words, '\n');
    }
    return number;
}

static void add_view_row(struct view *v, struct db *db, uint64_t uid, struct arena *mem)
{
    unsigned char *p = (unsigned char *)v->rows + (size_t)v->n++ * VIEW_ROW;
    uint32_t set = set_number(v, db_bytes(db, DB_MEMBER_VIEW, 4), mem);
    msglog_put64(p, (uint64_t)db_i64(db, DB_MEMBER_VIEW, 2));
    msglog_put64(p + 8, (uint64_t)db_i64(db, DB_MEMBER_VIEW, 1));
    msglog_put32(p + 16, (uint32_t)uid);
    msglog_put32(p + 20, (uint32_t)(db_i64(db, DB_MEMBER_VIEW, 3) & 255) | set << 8);
}

static int scan_view(struct db *db, const struct msg_member_view *in, struct msg_member_view_r *out, struct arena *mem)
{
    uint32_t limit = MIN_OF(in->limit == 0 ? (uint32_t)VIEW_MOST : in->limit, (uint32_t)VIEW_MOST);
    uint64_t first = MIN_OF(in->first, (uint64_t)INT64_MAX), last = MIN_OF(in->last, (uint64_t)UINT32_MAX);
    struct view v = {.rows = arena_alloc(mem, (size_t)limit * VIEW_ROW)};
    str_init(&v.words, mem);
    map_init(&v.sets);
    int rc = DB_FIRST(db, DB_MEMBER_VIEW, DB_I(in->mailbox), DB_I(first), DB_I(last), DB_I(limit + 1));
    for (; rc == 1; rc = db_next(db, DB_MEMBER_VIEW)) {
        uint64_t uid = (uint64_t)db_i64(db, DB_MEMBER_VIEW, 0);
        if (v.n == limit || (v.n > 0 && (size_t)v.n * VIEW_ROW + v.words.n > REPLY_BYTES)) {
            out->next = uid;
            break;
        }
        add_view_row(&v, db, uid, mem);
    }
    db_end(db, DB_MEMBER_VIEW);
    map_done(&v.sets);
    out->n = v.n;
    out->rows = span_of(v.rows, (size_t)v.n * VIEW_ROW);
    out->words = v.words.n > 0 ? str_span(&v.words) : SPAN("");
    return MIN_OF(rc, 0);
}

int store_member_view(struct store *s, uint64_t account, const struct msg_member_view *in, struct msg_member_view_r *out,
                      struct arena *mem, struct fail *f)
{
    *out = (struct msg_member_view_r){.rows = SPAN(""), .words = SPAN("")};
    struct db *db = store_reader(s);
    int rc = DB_FIRST(db, DB_MAILBOX_HAS, DB_I(account), DB_I(in->mailbox));
    db_end(db, DB_MAILBOX_HAS);
    if (rc == 0)
        rc = fail_perm(f, "5.2.0", "no such mailbox");
    else
        rc = rc == 1 && scan_view(db, in, out, mem) == 0 ? 0 : db_fail(db, f);
    store_reader_done(s, db);
    return rc;
}
