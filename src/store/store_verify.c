/* store_verify: the phases, one after the other; each step is one snapshot (see the header).
 *
 *   index      SQLite's own look at its file
 *   log        every record of every segment: header, meta data and body against their checksums
 *   blobs      each has its record where the index says, its file, and as many emails as it counts
 *   emails     each has a blob, a place in a mailbox, and an edit list that gives the size it says
 *   mailboxes  members in order, theirs, below uidnext and modseq; counters against a recount; tombstones
 *   strays     threads, uploads, members, tombstones and remembered results that belong to nothing
 *   counters   of segments and of the whole store
 *   texts      kept for searches: whole, and this index's; nothing is lost with them
 */
#include "store/store_verify_impl.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "format/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>

enum { ROWS = 500, INDEX_LINES = 20 };

void store_verify_found(struct store_verify *v, enum verify_kind kind, uint64_t a, uint64_t b, uint64_t c, const char *fmt, ...)
{
    va_list args;
    char text[600];
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *VEC_PUSH(&v->found) = (struct verify_finding){.kind = kind, .a = a, .b = b, .c = c, .text = arena_copy(&v->mem, span_z(text))};
}

#define FOUND(kind, a, b, c, ...) store_verify_found(v, kind, a, b, c, __VA_ARGS__)

/* Who loses what when a blob is damaged: "account 7: INBOX uid 12". */
int store_verify_body(struct store_verify *v, struct db *db, uint64_t bid, const char *where, const char *what)
{
    if (map_put_u64(&v->bad_blobs, bid, v) != NULL)
        return 0; /* told already */
    int n = 0, rc = DB_FIRST(db, DB_VERIFY_USES, DB_I(bid));
    for (; rc == 1; rc = db_next(db, DB_VERIFY_USES), n++) {
        struct span name = db_bytes(db, DB_VERIFY_USES, 4);
        if (db_i64(db, DB_VERIFY_USES, 0) == 0) {
            FOUND(VERIFY_BODY, bid, 0, 0, "%s: %s: account %" PRId64 ": upload %" PRIu64, where, what, db_i64(db, DB_VERIFY_USES, 1), bid);
            continue;
        }
        FOUND(VERIFY_BODY, bid, 0, 0, "%s: %s: account %" PRId64 ": %.*s uid %" PRId64 " (email %" PRId64 ")", where, what,
              db_i64(db, DB_VERIFY_USES, 1), (int)MIN_OF(name.n, (size_t)200), name.p != NULL ? name.p : "no mailbox",
              db_i64(db, DB_VERIFY_USES, 3), db_i64(db, DB_VERIFY_USES, 0));
    }
    if (n == 0)
        FOUND(VERIFY_BODY, bid, 0, 0, "%s: %s: blob %" PRIu64 ", which no message uses", where, what, bid);
    return rc;
}

/* ---- index ---- */

static int step_index(struct store_verify *v, struct db *db)
{
    int rc = DB_FIRST(db, DB_VERIFY_INDEX);
    for (; rc == 1; rc = db_next(db, DB_VERIFY_INDEX)) {
        struct span line = db_bytes(db, DB_VERIFY_INDEX, 0);
        if (!span_eq(line, SPAN("ok")))
            FOUND(VERIFY_INDEX_DAMAGED, 0, 0, 0, "index.db: %.*s", (int)MIN_OF(line.n, (size_t)200), line.p);
    }
    return rc;
}

/* ---- blobs ---- */

struct blob { uint64_t bid, off, len, end; uint32_t seg, meta; bool big, no_segment; int64_t refs, emails; };

static int check_big(struct store_verify *v, struct db *db, const struct blob *b, uint32_t crc)
{
    char name[MSGLOG_NAME], where[64];
    struct stat st;
    uint32_t got;
    msglog_big_name(b->bid, name);
    snprintf(where, sizeof where, "big/%s", name);
    int fd = openat(v->dir, where, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return store_verify_body(v, db, b->bid, where, errno == ENOENT ? "file is missing" : strerror(errno));
    int rc = 0;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != b->len)
        rc = store_verify_body(v, db, b->bid, where, "file has another size");
    else if (store_verify_crc(fd, 0, b->len, &got) != 0)
        rc = store_verify_body(v, db, b->bid, where, "cannot be read");
    else if (got != crc)
        rc = store_verify_body(v, db, b->bid, where, "body checksum");
    close(fd);
    v->at.done += b->len;
    return rc;
}

/* Its record, where the index says. Bodies in the log were seen by the log's phase. */
static int check_place(struct store_verify *v, struct db *db, const struct blob *b)
{
    char where[64];
    unsigned char h[MSGLOG_HEADER];
    const char *what;
    snprintf(where, sizeof where, "seg-%08u at %" PRIu64, b->seg, b->off);
    if (b->no_segment)
        what = "segment is not in the index";
    else if (b->off + MSGLOG_HEADER + b->meta + (b->big ? 0 : b->len) > b->end)
        what = "lies behind the segment's end";
    else if (!store_verify_segment(v, b->seg))
        what = v->seg_missing ? "segment is missing" : "segment cannot be opened";
    else
        what = store_verify_header(v->seg_fd, b->off, b->end, h);
    if (what == NULL && (msglog_get64(h + 24) != b->bid || msglog_get64(h + 16) != b->len || msglog_get32(h + 8) != b->meta ||
                         ((h[5] & MSGLOG_BIG) != 0) != b->big))
        what = "another record than the index says";
    if (what != NULL)
        return store_verify_body(v, db, b->bid, where, what);
    return b->big ? check_big(v, db, b, msglog_get32(h + 12)) : 0;
}

static int check_blob(struct store_verify *v, struct db *db, const struct blob *b)
{
    if (b->emails == 0)
        FOUND(VERIFY_BLOB_UNUSED, b->bid, 0, 0, "blob %" PRIu64 " has no email and no upload", b->bid);
    else if (b->refs != b->emails)
        FOUND(VERIFY_BLOB_REFS, b->bid, 0, 0, "blob %" PRIu64 " counts %" PRId64 " references, there are %" PRId64, b->bid, b->refs,
              b->emails);
    return check_place(v, db, b);
}

static int step_blobs(struct store_verify *v, struct db *db)
{
    VEC(struct blob) rows = {0};
    enum db_id id = DB_VERIFY_BLOBS;
    int rc = DB_FIRST(db, id, DB_I(v->key), DB_I(ROWS));
    for (; rc == 1; rc = db_next(db, id))
        *VEC_PUSH(&rows) = (struct blob){.bid = (uint64_t)db_i64(db, id, 0), .seg = (uint32_t)db_i64(db, id, 1),
            .off = (uint64_t)db_i64(db, id, 2), .meta = (uint32_t)db_i64(db, id, 3), .len = (uint64_t)db_i64(db, id, 4),
            .big = db_i64(db, id, 5) != 0, .refs = db_i64(db, id, 6), .emails = db_i64(db, id, 7),
            .no_segment = db_null(db, id, 8), .end = (uint64_t)db_i64(db, id, 8)};
    for (size_t i = 0; i < rows.n && rc == 0; i++)
        rc = check_blob(v, db, &rows.v[i]);
    bool more = rows.n == ROWS;
    if (rows.n > 0)
        v->key = (int64_t)rows.v[rows.n - 1].bid;
    v->at.done += rows.n;
    VEC_FREE(&rows);
    return rc != 0 ? rc : more;
}

/* ---- emails ---- */

static void check_email(struct store_verify *v, struct db *db)
{
    enum db_id id = DB_VERIFY_EMAILS;
    int64_t eid = db_i64(db, id, 0), account = db_i64(db, id, 1), bid = db_i64(db, id, 2);
    uint64_t size = (uint64_t)db_i64(db, id, 3), want;
    if (db_null(db, id, 5)) {
        FOUND(VERIFY_EMAIL_DANGLING, (uint64_t)eid, (uint64_t)account, 0, "email %" PRId64 " of account %" PRId64
              " has no blob (it was %" PRId64 ")", eid, account, bid);
        return;
    }
    want = edit_size(db_bytes(db, id, 4), (uint64_t)db_i64(db, id, 5));
    if (want == UINT64_MAX)
        FOUND(VERIFY_EMAIL_EDITS, (uint64_t)eid, (uint64_t)bid, 0, "email %" PRId64 " of account %" PRId64
              ": its edit list cannot be read", eid, account);
    else if (want != size)
        FOUND(VERIFY_EMAIL_SIZE, (uint64_t)eid, want, 0, "email %" PRId64 " of account %" PRId64 " says %" PRIu64
              " octets, it has %" PRIu64, eid, account, size, want);
    if (db_i64(db, id, 6) == 0)
        FOUND(VERIFY_EMAIL_UNUSED, (uint64_t)eid, 0, 0, "email %" PRId64 " of account %" PRId64 " is in no mailbox", eid, account);
    if (db_i64(db, id, 7) == 0)
        FOUND(VERIFY_THREAD, (uint64_t)eid, 0, 0, "email %" PRId64 " of account %" PRId64 " has no thread", eid, account);
}

static int step_emails(struct store_verify *v, struct db *db)
{
    unsigned n = 0;
    int rc = DB_FIRST(db, DB_VERIFY_EMAILS, DB_I(v->key), DB_I(ROWS));
    for (; rc == 1; rc = db_next(db, DB_VERIFY_EMAILS), n++) {
        v->key = db_i64(db, DB_VERIFY_EMAILS, 0);
        check_email(v, db);
    }
    v->at.done += n;
    return rc != 0 ? rc : n == ROWS;
}

/* ---- counters ---- */

static int step_live(struct store_verify *v, struct db *db)
{
    enum db_id id = DB_VERIFY_LIVE;
    int rc = DB_FIRST(db, id);
    for (; rc == 1; rc = db_next(db, id))
        FOUND(VERIFY_SEGMENT_LIVE, (uint64_t)db_i64(db, id, 0), 0, 0, "seg-%08u counts %" PRId64 " live bytes, there are %" PRId64,
              (unsigned)db_i64(db, id, 0), db_i64(db, id, 1), db_i64(db, id, 2));
    return rc;
}

static int step_store(struct store_verify *v, struct db *db)
{
    static const char *const counts[] = {"emails", "blobs"}, *const nexts[] = {"email", "blob", "mailbox"};
    enum db_id id = DB_VERIFY_STORE;
    int rc = DB_FIRST(db, id);
    if (rc != 1)
        return rc;
    uint64_t seg = (uint64_t)db_i64(db, id, 0);
    for (int i = 0; i < 2; i++)
        if (db_i64(db, id, 1 + i * 2) != db_i64(db, id, 2 + i * 2))
            FOUND(VERIFY_STORE_COUNTERS, seg, 0, 0, "the store counts %" PRId64 " %s, there are %" PRId64,
                  db_i64(db, id, 1 + i * 2), counts[i], db_i64(db, id, 2 + i * 2));
    for (int i = 0; i < 3; i++)
        if (db_i64(db, id, 5 + i * 2) <= db_i64(db, id, 6 + i * 2))
            FOUND(VERIFY_STORE_COUNTERS, seg, 0, 0, "the next %s is to be %" PRId64 ", which is taken up to %" PRId64, nexts[i],
                  db_i64(db, id, 5 + i * 2), db_i64(db, id, 6 + i * 2));
    db_end(db, id);
    return 0;
}

/* ---- running ---- */

static const struct phase {
    int (*step)(struct store_verify *v, struct db *db); /* 1: again, 0: done, -1 */
} phases[] = {
    {step_index}, {store_verify_log}, {step_blobs}, {step_emails}, {store_verify_mailbox}, {store_verify_threads}, {store_verify_strays},
    {step_live}, {step_store}, {store_verify_text},
};

static int begin(struct store_verify *v, struct db *db)
{
    int rc = DB_FIRST(db, DB_VERIFY_SIZES);
    if (rc != 1)
        return -1;
    for (int i = 0; i < 4; i++)
        v->at.total += (uint64_t)db_i64(db, DB_VERIFY_SIZES, i);
    db_end(db, DB_VERIFY_SIZES);
    return 0;
}

int store_verify_step(struct store_verify *v, struct db *db, struct fail *f)
{
    if (v->phase == COUNT_OF(phases))
        return 0;
    int rc = db_begin(db);
    if (rc == 0 && !v->begun)
        rc = begin(v, db);
    v->begun = true;
    if (rc == 0)
        rc = phases[v->phase].step(v, db);
    if (rc < 0)
        db_fail(db, f);
    db_rollback(db);
    if (rc == 0) {
        v->phase++;
        v->key = v->key2 = 0;
    }
    return rc < 0 ? -1 : v->phase < COUNT_OF(phases);
}

size_t store_verify_findings(const struct store_verify *v, size_t from, const struct verify_finding **out)
{
    *out = v->found.v + from;
    return v->found.n - from;
}

struct verify_progress store_verify_progress(const struct store_verify *v)
{
    return (struct verify_progress){v->phase == COUNT_OF(phases) ? v->at.total : MIN_OF(v->at.done, v->at.total), v->at.total};
}

struct store_verify *store_verify_new(int dir)
{
    struct store_verify *v = base_alloc(sizeof *v);
    v->dir = dir;
    v->seg_fd = -1;
    arena_init(&v->mem);
    map_init(&v->bad_blobs);
    map_init(&v->mailboxes);
    return v;
}

void store_verify_free(struct store_verify *v)
{
    if (v == NULL)
        return;
    if (v->seg_fd >= 0)
        close(v->seg_fd);
    map_done(&v->bad_blobs);
    map_done(&v->mailboxes);
    VEC_FREE(&v->texts);
    VEC_FREE(&v->found);
    arena_done(&v->mem);
    free(v);
}
