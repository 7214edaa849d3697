/* store_change: what changed in an account since a modseq (RFC 7162, JMAP /changes): arrivals, flags, removals,
 * mailboxes.
 *
 * Every change has a modseq of its own, so a reply may end anywhere and the next begins behind its last row.
 * Arrivals are the tail of a mailbox, for created_modseq grows with uid there; later changes come from a partial index
 * that an arrival does not touch. Each costs what it finds, whatever the mailbox holds.
 */
#include "store/store_read.h"

enum { CHANGES_MOST = 2500, REPLY_BYTES = 150 * 1024 }; /* 56 bytes each, and keywords: stays below a frame */

struct changes {
    struct msg_change_row *v;
    size_t n, cap;
};

/* The first uid of the mailbox whose created_modseq is above since; uidnext when there is none. Looked for from the end,
 * in growing steps: what is new is there, and the cost is that of what is new, not of the mailbox. */
static int first_new(struct db *db, uint64_t mailbox, uint64_t uidnext, uint64_t since, uint64_t *out)
{
    enum db_id id = DB_MEMBER_CREATED_AT;
    uint64_t low = 1, high = uidnext, step = 1;
    while (low < high && since > 0) {
        uint64_t mid = step < high - low ? high - step : low + (high - low) / 2;
        int rc = DB_FIRST(db, id, DB_I(mailbox), DB_I(mid));
        if (rc < 0)
            return -1;
        if (rc == 0 || (uint64_t)db_i64(db, id, 1) > since) {
            high = mid;
            step = step < INT64_MAX / 8 ? step * 8 : step;
        } else {
            low = (uint64_t)db_i64(db, id, 0) + 1;
            step = UINT64_MAX; /* halves, from here on */
        }
        db_end(db, id);
    }
    *out = low;
    return 0;
}

static int add_members(struct db *db, enum db_id id, uint32_t kind, uint64_t mailbox, uint64_t from, int64_t limit,
                       struct changes *out, struct arena *mem)
{
    int rc = DB_FIRST(db, id, DB_I(mailbox), DB_I(from), DB_I(limit));
    for (; rc == 1; rc = db_next(db, id))
        *VEC_PUSH(out) = (struct msg_change_row){
            .modseq = (uint64_t)db_i64(db, id, 2),
            .kind = kind,
            .mailbox = mailbox,
            .uid = (uint64_t)db_i64(db, id, 0),
            .eid = (uint64_t)db_i64(db, id, 1),
            .flags = (uint32_t)db_i64(db, id, 3),
            .keywords = store_keyword_text(db_bytes(db, id, 4), mem),
        };
    return rc;
}

struct box {
    uint64_t id, uidnext, highmodseq, created, changed;
};

/* The making of a mailbox and the last change to it are told apart: a reply may end between them. */
static void add_box(const struct box *b, uint64_t since, struct changes *out)
{
    if (b->created > since)
        *VEC_PUSH(out) = (struct msg_change_row){.modseq = b->created, .kind = CHANGE_MAILBOX_ADDED, .mailbox = b->id};
    if (b->changed > since && b->changed != b->created)
        *VEC_PUSH(out) = (struct msg_change_row){.modseq = b->changed, .kind = CHANGE_MAILBOX, .mailbox = b->id};
}

static int add_mailboxes(struct db *db, uint64_t account, uint64_t since, int64_t limit, struct changes *out,
                         struct arena *mem)
{
    VEC(struct box) boxes = {0};
    int rc = DB_FIRST(db, DB_MAILBOX_LIST, DB_I(account));
    for (; rc == 1; rc = db_next(db, DB_MAILBOX_LIST))
        *VEC_PUSH(&boxes) = (struct box){.id = (uint64_t)db_i64(db, DB_MAILBOX_LIST, 0),
                                         .uidnext = (uint64_t)db_i64(db, DB_MAILBOX_LIST, 4),
                                         .highmodseq = (uint64_t)db_i64(db, DB_MAILBOX_LIST, 5),
                                         .created = (uint64_t)db_i64(db, DB_MAILBOX_LIST, 14),
                                         .changed = (uint64_t)db_i64(db, DB_MAILBOX_LIST, 10)};
    for (size_t i = 0; i < boxes.n && rc == 0; i++) {
        const struct box *b = &boxes.v[i];
        uint64_t uid;
        add_box(b, since, out);
        if (b->highmodseq <= since)
            continue;
        rc = first_new(db, b->id, b->uidnext, since, &uid);
        if (rc == 0 && uid < b->uidnext)
            rc = add_members(db, DB_MEMBER_NEW, CHANGE_ADDED, b->id, uid, limit, out, mem);
        if (rc == 0)
            rc = add_members(db, DB_MEMBER_CHANGED, CHANGE_FLAGS, b->id, since, limit, out, mem);
    }
    VEC_FREE(&boxes);
    return rc;
}

static int add_gone(struct db *db, uint64_t account, uint64_t since, int64_t limit, struct changes *out)
{
    enum db_id id = DB_GONE_SCAN;
    int rc = DB_FIRST(db, id, DB_I(account), DB_I(since), DB_I(limit));
    for (; rc == 1; rc = db_next(db, id)) {
        uint64_t uid = (uint64_t)db_i64(db, id, 2);
        *VEC_PUSH(out) = (struct msg_change_row){.modseq = (uint64_t)db_i64(db, id, 0),
                                                 .kind = uid != 0 ? CHANGE_EXPUNGED : CHANGE_MAILBOX_GONE,
                                                 .mailbox = (uint64_t)db_i64(db, id, 1),
                                                 .uid = uid,
                                                 .eid = (uint64_t)db_i64(db, id, 3),
                                                 .thread = (uint64_t)db_i64(db, id, 4)};
    }
    return rc;
}

static int order(const void *a, const void *b)
{
    const struct msg_change_row *x = a, *y = b;
    return (x->modseq > y->modseq) - (x->modseq < y->modseq);
}

static int modseq_of(struct db *db, uint64_t account, uint64_t *out)
{
    int rc = DB_FIRST(db, DB_ACCOUNT_MODSEQ, DB_I(account));
    *out = rc == 1 ? (uint64_t)db_i64(db, DB_ACCOUNT_MODSEQ, 0) : 0;
    db_end(db, DB_ACCOUNT_MODSEQ);
    return rc < 0 ? -1 : 0;
}

static int floor_of(struct db *db, uint64_t account, uint64_t *out)
{
    int rc = DB_FIRST(db, DB_ACCOUNT_GET, DB_I(account));
    *out = rc == 1 ? (uint64_t)db_i64(db, DB_ACCOUNT_GET, 1) : 0;
    db_end(db, DB_ACCOUNT_GET);
    return rc < 0 ? -1 : 0;
}

static int gather(struct db *db, uint64_t account, uint64_t since, uint32_t limit, struct msg_changes_r *out,
                  struct arena *mem)
{
    struct changes all = {0};
    if (modseq_of(db, account, &out->modseq) != 0 || floor_of(db, account, &out->floor) != 0)
        return -1;
    if (since < out->floor || since >= out->modseq)
        return 0;
    int rc = add_mailboxes(db, account, since, (int64_t)limit + 1, &all, mem);
    if (rc == 0)
        rc = add_gone(db, account, since, (int64_t)limit + 1, &all);
    if (all.n > 0)
        qsort(all.v, all.n, sizeof *all.v, order);
    size_t bytes = 0;
    while (out->rows.n < MIN_OF(all.n, (size_t)limit) && bytes < REPLY_BYTES)
        bytes += 60 + all.v[out->rows.n++].keywords.n;
    out->more = out->rows.n < all.n;
    out->rows.v = store_read_take(mem, all.v, out->rows.n, sizeof *all.v);
    VEC_FREE(&all);
    return rc;
}

int store_changes(struct store *s, uint64_t account, const struct msg_changes *in, struct msg_changes_r *out,
                  struct arena *mem, struct fail *f)
{
    uint32_t limit = in->limit == 0 || in->limit > CHANGES_MOST ? (uint32_t)CHANGES_MOST : in->limit;
    *out = (struct msg_changes_r){0};
    struct db *db = store_reader(s);
    int rc = db_begin(db);
    if (rc == 0)
        rc = gather(db, account, MIN_OF(in->since, (uint64_t)INT64_MAX), limit, out, mem);
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    return rc;
}

uint64_t store_modseq(struct store *s, uint64_t account)
{
    uint64_t v = 0;
    struct db *db = store_reader(s);
    modseq_of(db, account, &v);
    store_reader_done(s, db);
    return v;
}
