/* store_email: the text of a message as a client reads it: the log's bytes through the email's edit list. */
#include "format/edit.h"
#include "store/store_read.h"
#include "store/store_thread.h"

enum { READ_MOST = 65536 };

static int find(struct db *db, uint64_t eid, struct store_read_place *out, struct arena *mem)
{
    enum db_id id = DB_EMAIL_PLACE;
    int rc = DB_FIRST(db, id, DB_I(eid));
    if (rc != 1)
        return rc;
    *out = (struct store_read_place){.account = (uint64_t)db_i64(db, id, 0),
                          .size = (uint64_t)db_i64(db, id, 1),
                          .edits = arena_copy(mem, db_bytes(db, id, 2)),
                          .log = {.bid = (uint64_t)db_i64(db, id, 3),
                                  .seg = (uint32_t)db_i64(db, id, 4),
                                  .off = (uint64_t)db_i64(db, id, 5),
                                  .meta = (uint32_t)db_i64(db, id, 6),
                                  .len = (uint64_t)db_i64(db, id, 7),
                                  .big = db_i64(db, id, 8) != 0},
                          .summary_flags = (uint32_t)db_i64(db, id, 9)};
    db_end(db, id);
    return 1;
}

/* Bytes [from, from + n) of the edited message; n was clipped to it. */
static int window(struct store *s, const struct store_read_place *p, uint64_t from, size_t n, char *out, struct arena *mem,
                  struct fail *f)
{
    struct edit_walk w;
    struct edit_piece piece;
    uint64_t at = 0, to = from + n;
    edit_begin(&w, p->edits, p->log.len);
    for (; at < to && edit_next(&w, &piece); at += piece.n) {
        uint64_t a = MAX_OF(at, from), b = MIN_OF(at + piece.n, to);
        if (a >= b)
            continue;
        struct span bytes;
        if (piece.literal.p != NULL)
            bytes = span_sub(piece.literal, (size_t)(a - at), (size_t)(b - a));
        else if (msglog_read(s->log, &p->log, piece.at + (a - at), (size_t)(b - a), &bytes, mem, f) != 0)
            return -1;
        memcpy(out + (a - from), bytes.p, bytes.n);
    }
    return 0;
}

int store_read_window(struct store *s, const struct store_read_place *p, uint64_t from, size_t n, struct span *out,
                      struct arena *mem, struct fail *f)
{
    if (edit_size(p->edits, p->log.len) != p->size)
        return fail_temp(f, "4.3.0", "stored message is damaged: edit list");
    *out = SPAN_NONE;
    if (from >= p->size)
        return 0;
    n = (size_t)MIN_OF((uint64_t)n, p->size - from);
    char *data = arena_alloc(mem, n + 1);
    if (window(s, p, from, n, data, mem, f) != 0)
        return -1;
    *out = span_of(data, n);
    return 0;
}

/* place: as find gave it, rc its answer. */
static int read_place(struct store *s, uint64_t account, const struct store_read_place *p, int rc, const struct msg_email_slice *in,
                      struct msg_email_read_r *out, struct arena *mem, struct fail *f)
{
    if (rc == 0 || p->account != account)
        return fail_perm(f, "5.2.0", "no such message");
    out->size = p->size;
    out->summary_flags = p->summary_flags;
    if (store_read_window(s, p, in->offset, MIN_OF(in->length, (uint32_t)READ_MOST), &out->data, mem, f) != 0)
        return -1;
    return 0;
}

static int read_pinned(struct store *s, uint64_t account, const struct msg_email_read *in, struct msg_email_read_r *out,
                       struct arena *mem, struct fail *f)
{
    struct store_read_place p;
    *out = (struct msg_email_read_r){0};
    struct db *db = store_reader(s);
    int rc = find(db, in->eid, &p, mem);
    if (rc < 0)
        db_fail(db, f);
    store_reader_done(s, db); /* the place stays: it is pinned */
    struct msg_email_slice slice = {in->eid, in->offset, in->length};
    return rc < 0 ? -1 : read_place(s, account, &p, rc, &slice, out, mem, f);
}

int store_email_read(struct store *s, uint64_t account, const struct msg_email_read *in, struct msg_email_read_r *out,
                     struct arena *mem, struct fail *f)
{
    struct msglog_pin pin;
    msglog_pin(s->log, &pin);
    int rc = read_pinned(s, account, in, out, mem, f);
    msglog_unpin(s->log, &pin);
    return rc;
}

/* ---- many at once ---- */

enum { SLICES_BYTES = 192 * 1024, SLICE_ROW = 24 };

struct slices {
    struct store_read_place *place;
    int *found;
    uint32_t n;
};

/* All places first, with one connection; the reading needs none. */
static int find_slices(struct store *s, const struct msg_email_slices *in, struct slices *q, struct arena *mem, struct fail *f)
{
    int rc = 0;
    q->n = MIN_OF(in->slices.n, (uint32_t)(SLICES_BYTES / SLICE_ROW));
    q->place = arena_alloc(mem, (q->n + 1) * sizeof *q->place);
    q->found = arena_alloc(mem, (q->n + 1) * sizeof *q->found);
    struct db *db = store_reader(s);
    rc = db_begin(db); /* one snapshot: else each look takes its locks */
    for (uint32_t i = 0; i < q->n && rc >= 0; i++)
        rc = q->found[i] = find(db, in->slices.v[i].eid, &q->place[i], mem);
    if (rc < 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    return MIN_OF(rc, 0);
}

int store_email_slices(struct store *s, uint64_t account, const struct msg_email_slices *in,
                       struct msg_email_slices_r *out, struct arena *mem, struct fail *f)
{
    struct slices q;
    struct msglog_pin pin;
    size_t bytes = 0;
    msglog_pin(s->log, &pin);
    int rc = find_slices(s, in, &q, mem, f);
    out->got.v = arena_zalloc(mem, (q.n + 1) * sizeof *out->got.v);
    out->got.n = 0;
    while (rc == 0 && out->got.n < q.n) {
        uint32_t i = out->got.n;
        struct msg_email_read_r r = {0};
        struct fail why;
        size_t most = MIN_OF(in->slices.v[i].length, (uint32_t)READ_MOST) + (size_t)SLICE_ROW;
        if (i > 0 && bytes + most > SLICES_BYTES)
            break;
        bool there = read_place(s, account, &q.place[i], q.found[i], &in->slices.v[i], &r, mem, &why) == 0;
        out->got.v[out->got.n++] = (struct msg_email_slice_got){there, r.size, r.data};
        bytes += r.data.n + SLICE_ROW;
    }
    msglog_unpin(s->log, &pin);
    return rc;
}

/* ---- emails by id ---- */

enum { REPLY_BYTES = 150 * 1024, MEMBERS_BYTES = 100 * 1024, ASKED_MOST = 1000 };

struct gathered {
    VEC(struct msg_email_row) emails;
    VEC(struct msg_email_member) members;
    size_t bytes;
};

/* In so many places that they do not fit one frame: it is told with as many as do. */
static int add_members(struct db *db, uint64_t eid, struct gathered *g, struct arena *mem)
{
    enum db_id id = DB_MEMBER_ALL_OF_EMAIL;
    size_t most = g->bytes + MEMBERS_BYTES;
    int rc = DB_FIRST(db, id, DB_I(eid));
    for (; rc == 1 && g->bytes < most; rc = db_next(db, id)) {
        struct msg_email_member m = {
            .eid = eid,
            .mailbox = (uint64_t)db_i64(db, id, 7),
            .uid = (uint64_t)db_i64(db, id, 0),
            .modseq = (uint64_t)db_i64(db, id, 2),
            .flags = (uint32_t)db_i64(db, id, 3),
            .internal_ms = db_i64(db, id, 4),
            .keywords = store_keyword_text(db_bytes(db, id, 6), mem),
        };
        *VEC_PUSH(&g->members) = m;
        g->bytes += 52 + m.keywords.n;
    }
    db_end(db, id);
    return MIN_OF(rc, 0);
}

static int thread_of(struct db *db, uint64_t eid, uint64_t *thread)
{
    int rc = DB_FIRST(db, DB_THREAD_OF, DB_I(eid));
    *thread = rc == 1 ? (uint64_t)db_i64(db, DB_THREAD_OF, 0) : 0;
    db_end(db, DB_THREAD_OF);
    return rc < 0 ? -1 : 0;
}

static int add_email(struct db *db, uint64_t account, uint64_t eid, uint32_t want, struct gathered *g,
                     struct arena *mem)
{
    enum db_id id = DB_EMAIL_GET;
    int rc = DB_FIRST(db, id, DB_I(eid));
    if (rc != 1 || (uint64_t)db_i64(db, id, 0) != account) {
        db_end(db, id);
        return MIN_OF(rc, 0);
    }
    struct msg_email_row r = {
        .eid = eid,
        .size = (uint64_t)db_i64(db, id, 1),
        .created_modseq = (uint64_t)db_i64(db, id, 2),
        .received_ms = db_i64(db, id, 3),
        .date_s = db_null(db, id, 4) ? INT64_MIN : db_i64(db, id, 4),
        .summary_flags = (uint32_t)db_i64(db, id, 5),
    };
    if (want & WANT_ENVELOPE)
        r.envelope = arena_copy(mem, db_bytes(db, id, 6));
    if (want & WANT_STRUCTURE)
        r.structure = arena_copy(mem, db_bytes(db, id, 7));
    if (want & WANT_HEADERS)
        r.headers = arena_copy(mem, db_bytes(db, id, 8));
    if (want & WANT_PREVIEW)
        r.preview = arena_copy(mem, db_bytes(db, id, 9));
    db_end(db, id);
    if (thread_of(db, eid, &r.thread) != 0)
        return -1;
    *VEC_PUSH(&g->emails) = r;
    g->bytes += 72 + r.envelope.n + r.structure.n + r.headers.n + r.preview.n;
    return add_members(db, eid, g, mem);
}

int store_email_get(struct store *s, uint64_t account, const struct msg_email_get *in, struct msg_email_get_r *out,
                    struct arena *mem, struct fail *f)
{
    struct gathered g = {0};
    uint64_t last = 0;
    uint32_t n = MIN_OF(in->ids.n, (uint32_t)ASKED_MOST);
    *out = (struct msg_email_get_r){0};
    for (uint32_t i = 0; i < n; i++)
        last = MAX_OF(last, MIN_OF(in->ids.v[i].eid, (uint64_t)INT64_MAX));
    if (store_thread_wait(s, last + 1, f) != 0)
        return -1;
    struct db *db = store_reader(s);
    int rc = db_begin(db);
    for (; out->done < n && g.bytes < REPLY_BYTES && rc == 0; out->done++) {
        size_t emails = g.emails.n, members = g.members.n;
        rc = add_email(db, account, in->ids.v[out->done].eid, in->want, &g, mem);
        if (g.bytes > REPLY_BYTES && emails > 0) { /* the next request begins with it */
            g.emails.n = emails;
            g.members.n = members;
            break;
        }
    }
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    out->emails.n = (uint32_t)g.emails.n;
    out->emails.v = store_read_take(mem, g.emails.v, g.emails.n, sizeof *g.emails.v);
    out->members.n = (uint32_t)g.members.n;
    out->members.v = store_read_take(mem, g.members.v, g.members.n, sizeof *g.members.v);
    VEC_FREE(&g.emails);
    VEC_FREE(&g.members);
    return rc;
}
