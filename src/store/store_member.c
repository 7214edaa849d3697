/* store_member: emails in mailboxes: flags, removal, listing. */
#include "store/store_impl.h"

#include <inttypes.h>

enum {
    FLAGS_KNOWN = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT,
    MODIFIED_MOST = 9000,     /* ranges in a reply */
    GONE_STEP = 2000,         /* members of a removed account per batch: others wait behind it */
    REPLY_BYTES = 150 * 1024, /* stays below a frame */
    SCAN_MOST = 5000,
};

struct member {
    uint64_t uid, eid, modseq, size;
    uint32_t flags;
};
struct members {
    struct member *v;
    size_t n, cap;
};

/* ---- which ---- */

static int range_order(const void *a, const void *b)
{
    const struct msg_uid_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Sorted and without overlap, whatever the client sent; lives in the batch's arena. */
static int ranges_clean(struct store *s, const struct msg_uid_range *in, uint32_t n, struct msg_uid_range **out,
                        uint32_t *n_out, struct fail *f)
{
    struct msg_uid_range *v = arena_alloc(&s->mem, (n + 1) * sizeof *v);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (in[i].first > in[i].last)
            return fail_perm(f, "5.5.4", "uid range %" PRIu64 ":%" PRIu64 " runs backwards", in[i].first, in[i].last);
        v[i] =
            (struct msg_uid_range){MIN_OF(in[i].first, (uint64_t)INT64_MAX), MIN_OF(in[i].last, (uint64_t)INT64_MAX)};
    }
    qsort(v, n, sizeof *v, range_order);
    for (uint32_t i = 0; i < n; i++) {
        if (kept > 0 && v[i].first <= v[kept - 1].last)
            v[kept - 1].last = MAX_OF(v[kept - 1].last, v[i].last);
        else
            v[kept++] = v[i];
    }
    *out = v;
    *n_out = kept;
    return 0;
}

static int collect(struct store *s, uint64_t mailbox, uint64_t first, uint64_t last, int64_t limit, struct members *out)
{
    int rc = DB_FIRST(s->db, DB_MEMBER_SCAN, DB_I(mailbox), DB_I(first), DB_I(last), DB_I(limit));
    for (; rc == 1; rc = db_next(s->db, DB_MEMBER_SCAN))
        *VEC_PUSH(out) = (struct member){.uid = (uint64_t)db_i64(s->db, DB_MEMBER_SCAN, 0),
                                         .eid = (uint64_t)db_i64(s->db, DB_MEMBER_SCAN, 1),
                                         .modseq = (uint64_t)db_i64(s->db, DB_MEMBER_SCAN, 2),
                                         .flags = (uint32_t)db_i64(s->db, DB_MEMBER_SCAN, 3),
                                         .size = (uint64_t)db_i64(s->db, DB_MEMBER_SCAN, 5)};
    return rc;
}

/* The account's mailbox and the members asked for; -1 with fail set, or for trouble of the index. */
static int find(struct store *s, struct store_op *op, uint64_t mailbox, const struct msg_uid_range *v, uint32_t n,
                struct store_account **a, struct store_mailbox **m, struct members *out)
{
    *a = store_account_get(s, op->account, false);
    if (*a == NULL && db_trouble(s->db) != DB_FINE)
        return -1;
    *m = *a == NULL || mailbox == 0 ? NULL : store_account_mailbox(*a, mailbox);
    if (*m == NULL)
        return fail_perm(&op->w->fail, "5.2.0", "no such mailbox");
    struct msg_uid_range *clean = NULL;
    uint32_t n_clean = 0;
    if (ranges_clean(s, v, n, &clean, &n_clean, &op->w->fail) != 0)
        return -1;
    for (uint32_t i = 0; i < n_clean; i++)
        if (collect(s, mailbox, clean[i].first, clean[i].last, -1, out) != 0)
            return -1;
    return 0;
}

/* ---- flags ---- */

static uint32_t new_flags(uint32_t old, uint32_t mode, uint32_t flags)
{
    return mode == FLAGS_ADD ? old | flags : mode == FLAGS_REMOVE ? old & ~flags : flags;
}

/* RFC 7162 3.1.3: messages changed since are left alone and told, as ranges. */
static int list_modified(struct store_op *op, const struct msg_flags_set *in, const struct members *all,
                         struct msg_flags_set_r *out)
{
    out->modified.v = NULL;
    out->modified.n = 0;
    if (in->unchangedsince == 0)
        return 0;
    struct msg_uid_range *v = arena_alloc(op->w->mem, (MIN_OF(all->n, (size_t)MODIFIED_MOST) + 1) * sizeof *v);
    uint32_t n = 0;
    bool joined = false;
    for (size_t i = 0; i < all->n; i++) {
        bool modified = all->v[i].modseq > in->unchangedsince;
        if (modified && joined)
            v[n - 1].last = all->v[i].uid;
        else if (modified && n == MODIFIED_MOST)
            return fail_temp(&op->w->fail, "4.3.0", "too many messages were modified: ask for fewer at a time");
        else if (modified)
            v[n++] = (struct msg_uid_range){all->v[i].uid, all->v[i].uid};
        joined = modified;
    }
    out->modified.v = v;
    out->modified.n = n;
    return 0;
}

static int set_each(struct store *s, struct store_account *a, struct store_mailbox *m, const struct msg_flags_set *in,
                    const struct members *all, struct msg_flags_set_r *out)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct member *row = &all->v[i];
        uint32_t now = new_flags(row->flags, in->mode, in->flags), was = row->flags;
        if (now == was || (in->unchangedsince != 0 && row->modseq > in->unchangedsince))
            continue;
        if (DB_RUN(s->db, DB_MEMBER_FLAGS, DB_I(m->id), DB_I(row->uid), DB_I(now),
                   DB_I(store_account_modseq(s, a, m))) != 0)
            return -1;
        m->unseen += (uint64_t)((now & FLAG_SEEN) == 0) - (uint64_t)((was & FLAG_SEEN) == 0);
        m->deleted += (uint64_t)((now & FLAG_DELETED) != 0) - (uint64_t)((was & FLAG_DELETED) != 0);
        out->changed++;
    }
    return 0;
}

int store_member_flags(struct store *s, struct store_op *op)
{
    const struct msg_flags_set *in = op->w->in;
    struct msg_flags_set_r *out = op->w->out;
    struct store_account *a;
    struct store_mailbox *m;
    struct members all = {0};
    if (in->mode > FLAGS_REPLACE || (in->flags & ~(uint32_t)FLAGS_KNOWN) != 0)
        return fail_perm(&op->w->fail, "5.5.4", "flags_set: unknown mode or flags");
    int rc = find(s, op, in->mailbox, in->uids.v, in->uids.n, &a, &m, &all);
    if (rc == 0)
        rc = list_modified(op, in, &all, out);
    if (rc == 0) {
        out->changed = 0;
        rc = set_each(s, a, m, in, &all, out);
        out->modseq = m->highmodseq;
    }
    VEC_FREE(&all);
    return rc;
}

/* ---- removal ---- */

static int blob_unref(struct store *s, uint64_t bid)
{
    int rc = DB_FIRST(s->db, DB_BLOB_GET, DB_I(bid));
    if (rc != 1)
        return rc;
    int64_t refs = db_i64(s->db, DB_BLOB_GET, 0), meta = db_i64(s->db, DB_BLOB_GET, 2),
            len = db_i64(s->db, DB_BLOB_GET, 3);
    uint32_t seg = (uint32_t)db_i64(s->db, DB_BLOB_GET, 1);
    bool big = db_i64(s->db, DB_BLOB_GET, 4) != 0;
    db_end(s->db, DB_BLOB_GET);
    if (refs > 1)
        return DB_RUN(s->db, DB_BLOB_UNREF, DB_I(bid));
    if (big)
        *VEC_PUSH(&s->big_dead) = bid;
    s->blobs--;
    store_commit_live(s, seg, -(MSGLOG_HEADER + meta + (big ? 0 : len)));
    return DB_RUN(s->db, DB_BLOB_DELETE, DB_I(bid));
}

/* The row goes; with its last member the email, with its last email the blob. */
static int remove_member(struct store *s, struct store_mailbox *m, const struct member *row)
{
    if (DB_RUN(s->db, DB_MEMBER_DELETE, DB_I(m->id), DB_I(row->uid)) != 0)
        return -1;
    m->total--;
    m->size -= row->size;
    m->unseen -= (row->flags & FLAG_SEEN) == 0;
    m->deleted -= (row->flags & FLAG_DELETED) != 0;
    int rc = DB_FIRST(s->db, DB_MEMBER_OF_EMAIL, DB_I(row->eid));
    if (rc != 0) { /* another mailbox has it too */
        db_end(s->db, DB_MEMBER_OF_EMAIL);
        return rc < 0 ? -1 : 0;
    }
    rc = DB_FIRST(s->db, DB_EMAIL_BID, DB_I(row->eid));
    if (rc != 1)
        return rc;
    uint64_t bid = (uint64_t)db_i64(s->db, DB_EMAIL_BID, 0);
    db_end(s->db, DB_EMAIL_BID);
    s->emails--;
    return DB_RUN(s->db, DB_EMAIL_DELETE, DB_I(row->eid)) != 0 ? -1 : blob_unref(s, bid);
}

int store_member_expunge(struct store *s, struct store_op *op)
{
    const struct msg_expunge *in = op->w->in;
    struct msg_expunge_r *out = op->w->out;
    struct store_account *a;
    struct store_mailbox *m;
    struct members all = {0};
    int rc = find(s, op, in->mailbox, in->uids.v, in->uids.n, &a, &m, &all);
    for (size_t i = 0; i < all.n && rc == 0; i++) {
        rc = remove_member(s, m, &all.v[i]);
        if (rc == 0)
            rc = DB_RUN(s->db, DB_GONE_INSERT, DB_I(a->id), DB_I(store_account_modseq(s, a, m)), DB_I(m->id),
                        DB_I(all.v[i].uid), DB_I(all.v[i].eid));
    }
    if (rc == 0) {
        out->removed = all.n;
        out->modseq = m->highmodseq;
    }
    VEC_FREE(&all);
    return rc;
}

int store_member_account_gone(struct store *s, struct store_op *op)
{
    const struct msg_account_gone *in = op->w->in;
    struct store_account *a = store_account_get(s, in->account, false);
    if (a == NULL)
        return db_trouble(s->db) == DB_FINE ? 0 : -1;
    size_t done = 0;
    for (struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next) {
        struct members some = {0};
        int rc = collect(s, m->id, 0, INT64_MAX, (int64_t)(GONE_STEP - done), &some);
        for (size_t i = 0; i < some.n && rc == 0; i++)
            rc = remove_member(s, m, &some.v[i]);
        if (some.n > 0)
            store_account_touch(s, a, m);
        done += some.n;
        VEC_FREE(&some);
        if (rc != 0)
            return -1;
        if (done >= GONE_STEP) {
            op->state = OP_LATER;
            return 0;
        }
    }
    return store_account_drop(s, a);
}

/* ---- listing: on a reader ---- */

static size_t read_row(struct db *db, enum db_id id, uint32_t want, struct msg_member_row *r, struct arena *mem)
{
    *r = (struct msg_member_row){.uid = (uint64_t)db_i64(db, id, 0),
                                 .eid = (uint64_t)db_i64(db, id, 1),
                                 .modseq = (uint64_t)db_i64(db, id, 2),
                                 .flags = (uint32_t)db_i64(db, id, 3),
                                 .internal_ms = db_i64(db, id, 4),
                                 .size = (uint64_t)db_i64(db, id, 5),
                                 .keywords = arena_copy(mem, db_bytes(db, id, 6))};
    if (want & WANT_ENVELOPE)
        r->envelope = arena_copy(mem, db_bytes(db, id, 7));
    if (want & WANT_STRUCTURE)
        r->structure = arena_copy(mem, db_bytes(db, id, 8));
    if (want & WANT_HEADERS)
        r->headers = arena_copy(mem, db_bytes(db, id, 9));
    if (want & WANT_PREVIEW)
        r->preview = arena_copy(mem, db_bytes(db, id, 10));
    return 96 + r->keywords.n + r->envelope.n + r->structure.n + r->headers.n + r->preview.n;
}

static int scan(struct db *db, const struct msg_member_scan *in, struct msg_member_scan_r *out, struct arena *mem)
{
    enum db_id id = in->want != 0 ? DB_MEMBER_SCAN_WIDE : DB_MEMBER_SCAN;
    int64_t limit = MIN_OF(in->limit == 0 ? (uint32_t)SCAN_MOST : in->limit, (uint32_t)SCAN_MOST);
    VEC(struct msg_member_row) rows = {0};
    size_t bytes = 0;
    uint64_t first = MIN_OF(in->first, (uint64_t)INT64_MAX), last = MIN_OF(in->last, (uint64_t)INT64_MAX);
    int rc = DB_FIRST(db, id, DB_I(in->mailbox), DB_I(first), DB_I(last), DB_I(limit + 1));
    for (; rc == 1; rc = db_next(db, id)) {
        struct msg_member_row r;
        bytes += read_row(db, id, in->want, &r, mem);
        if (rows.n > 0 && (bytes > REPLY_BYTES || (int64_t)rows.n == limit)) {
            out->next = r.uid;
            db_end(db, id);
            rc = 0;
            break;
        }
        *VEC_PUSH(&rows) = r;
    }
    out->rows.v = arena_alloc(mem, (rows.n + 1) * sizeof *rows.v);
    out->rows.n = (uint32_t)rows.n;
    if (rows.n > 0)
        memcpy(out->rows.v, rows.v, rows.n * sizeof *rows.v);
    VEC_FREE(&rows);
    return rc;
}

int store_member_scan(struct store *s, uint64_t account, const struct msg_member_scan *in,
                      struct msg_member_scan_r *out, struct arena *mem, struct fail *f)
{
    *out = (struct msg_member_scan_r){0};
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
