/* store_verify_box: mailboxes and their members, accounts, tombstones. A mailbox is one step: its counters and its rows
 * must be of the same moment. */
#include "store/store_verify_impl.h"
#include "run/ipc.h"

#include <inttypes.h>

struct box {
    uint64_t account, mailbox, uidnext, highmodseq, total, unseen, deleted, size, unread, modseq, floor;
    bool no_account;
    char name[80];
};

/* ---- members ---- */

struct seen { uint64_t total, unseen, deleted, size, unread, uid, created, modseq; bool order; };

static void check_member(struct store_verify *v, struct db *db, const struct box *b, struct seen *n)
{
    enum db_id id = DB_VERIFY_MEMBERS;
    uint64_t uid = (uint64_t)db_i64(db, id, 0), size = (uint64_t)db_i64(db, id, 3), created = (uint64_t)db_i64(db, id, 4),
             modseq = (uint64_t)db_i64(db, id, 5);
    uint32_t flags = (uint32_t)db_i64(db, id, 2);
    n->total++;
    n->unseen += (flags & FLAG_SEEN) == 0;
    n->deleted += (flags & FLAG_DELETED) != 0;
    n->unread += (flags & (FLAG_SEEN | FLAG_DELETED | FLAG_DRAFT)) == 0;
    n->size += size;
    if (created <= n->created || modseq < created)
        n->order = false;
    n->uid = MAX_OF(n->uid, uid);
    n->created = created;
    n->modseq = MAX_OF(n->modseq, modseq);
    if (db_null(db, id, 6))
        store_verify_found(v, VERIFY_MEMBER_DANGLING, b->account, b->mailbox, uid, "account %" PRIu64 ": %s uid %" PRIu64
                           " has no email (it was %" PRId64 ")", b->account, b->name, uid, db_i64(db, id, 1));
    else if ((uint64_t)db_i64(db, id, 6) != b->account)
        store_verify_found(v, VERIFY_MEMBER_DANGLING, b->account, b->mailbox, uid, "account %" PRIu64 ": %s uid %" PRIu64
                           " is an email of account %" PRId64, b->account, b->name, uid, db_i64(db, id, 6));
    else if ((uint64_t)db_i64(db, id, 7) != size)
        store_verify_found(v, VERIFY_MEMBER_SIZE, b->account, b->mailbox, uid, "account %" PRIu64 ": %s uid %" PRIu64
                           " says %" PRIu64 " octets, its email %" PRId64, b->account, b->name, uid, size, db_i64(db, id, 7));
}

static void check_counter(struct store_verify *v, const struct box *b, const char *what, uint64_t says, uint64_t is)
{
    if (says != is)
        store_verify_found(v, VERIFY_MAILBOX, b->account, b->mailbox, 0, "account %" PRIu64 ": %s counts %" PRIu64 " %s, there are %"
                           PRIu64, b->account, b->name, says, what, is);
}

static int check_members(struct store_verify *v, struct db *db, const struct box *b)
{
    struct seen n = {.order = true};
    int rc = DB_FIRST(db, DB_VERIFY_MEMBERS, DB_I(b->mailbox));
    for (; rc == 1; rc = db_next(db, DB_VERIFY_MEMBERS))
        check_member(v, db, b, &n);
    if (rc != 0)
        return -1;
    v->at.done += n.total;
    check_counter(v, b, "messages", b->total, n.total);
    check_counter(v, b, "unseen", b->unseen, n.unseen);
    check_counter(v, b, "deleted", b->deleted, n.deleted);
    check_counter(v, b, "octets", b->size, n.size);
    check_counter(v, b, "unread", b->unread, n.unread);
    if (n.uid >= b->uidnext)
        store_verify_found(v, VERIFY_MAILBOX, b->account, b->mailbox, 0, "account %" PRIu64 ": %s: the next uid is to be %" PRIu64
                           ", which is taken up to %" PRIu64, b->account, b->name, b->uidnext, n.uid);
    if (n.modseq > b->highmodseq)
        store_verify_found(v, VERIFY_MAILBOX, b->account, b->mailbox, 0, "account %" PRIu64 ": %s: modseq %" PRIu64
                           " is below a message's %" PRIu64, b->account, b->name, b->highmodseq, n.modseq);
    if (!n.order)
        store_verify_found(v, VERIFY_NOTE, b->account, b->mailbox, 0, "account %" PRIu64 ": %s: modseqs are not in order of uid:"
                           " clients may be told less than there is", b->account, b->name);
    return 0;
}

/* ---- a mailbox and its account ---- */

static int check_account(struct store_verify *v, struct db *db, const struct box *b)
{
    if (b->no_account) {
        store_verify_found(v, VERIFY_ACCOUNT, b->account, 0, 0, "account %" PRIu64 " has mailboxes and no row", b->account);
        return 0;
    }
    int rc = DB_FIRST(db, DB_ACCOUNT_MODSEQ, DB_I(b->account));
    if (rc != 1)
        return -1;
    uint64_t modseq = (uint64_t)db_i64(db, DB_ACCOUNT_MODSEQ, 0);
    db_end(db, DB_ACCOUNT_MODSEQ);
    rc = DB_FIRST(db, DB_VERIFY_GONE, DB_I(b->account));
    if (rc != 1)
        return -1;
    uint64_t gone = (uint64_t)db_i64(db, DB_VERIFY_GONE, 0);
    db_end(db, DB_VERIFY_GONE);
    if (gone > modseq)
        store_verify_found(v, VERIFY_ACCOUNT, b->account, 0, 0, "account %" PRIu64 ": modseq %" PRIu64 " is below a tombstone's %"
                           PRIu64, b->account, modseq, gone);
    if (b->floor > modseq)
        store_verify_found(v, VERIFY_ACCOUNT, b->account, 1, 0, "account %" PRIu64 ": the floor of its tombstones is %" PRIu64
                           ", above its modseq %" PRIu64, b->account, b->floor, modseq);
    return 0;
}

/* key, key2: account and mailbox done with. */
int store_verify_mailbox(struct store_verify *v, struct db *db)
{
    enum db_id id = DB_VERIFY_MAILBOX;
    int rc = DB_FIRST(db, id, DB_I(v->key), DB_I(v->key2));
    if (rc != 1)
        return rc;
    struct box b = {.account = (uint64_t)db_i64(db, id, 0), .mailbox = (uint64_t)db_i64(db, id, 1),
        .uidnext = (uint64_t)db_i64(db, id, 3), .highmodseq = (uint64_t)db_i64(db, id, 4), .total = (uint64_t)db_i64(db, id, 5),
        .unseen = (uint64_t)db_i64(db, id, 6), .deleted = (uint64_t)db_i64(db, id, 7), .size = (uint64_t)db_i64(db, id, 8),
        .unread = (uint64_t)db_i64(db, id, 12), .no_account = db_null(db, id, 9), .modseq = (uint64_t)db_i64(db, id, 10), .floor = (uint64_t)db_i64(db, id, 11)};
    struct span name = db_bytes(db, id, 2);
    snprintf(b.name, sizeof b.name, "%.*s", (int)MIN_OF(name.n, sizeof b.name - 1), name.p != NULL ? name.p : "");
    db_end(db, id);
    rc = check_members(v, db, &b);
    if (rc == 0 && v->key != (int64_t)b.account)
        rc = check_account(v, db, &b);
    map_put_u64(&v->mailboxes, b.mailbox, v);
    v->key = (int64_t)b.account;
    v->key2 = (int64_t)b.mailbox;
    v->at.done++;
    return rc == 0 ? 1 : -1;
}

/* ---- what belongs to nothing ---- */

int store_verify_threads(struct store_verify *v, struct db *db)
{
    enum { ROWS = 2000 };
    unsigned n = 0;
    int rc = DB_FIRST(db, DB_VERIFY_THREADS, DB_I(v->key), DB_I(ROWS));
    for (; rc == 1; rc = db_next(db, DB_VERIFY_THREADS), n++) {
        v->key = db_i64(db, DB_VERIFY_THREADS, 0);
        if (db_i64(db, DB_VERIFY_THREADS, 1) == 0)
            store_verify_found(v, VERIFY_THREAD_LOST, (uint64_t)v->key, 0, 0, "email %" PRId64 " has a thread and does not exist", v->key);
    }
    return rc != 0 ? rc : n == ROWS;
}

static int stray_uploads(struct store_verify *v, struct db *db)
{
    int rc = DB_FIRST(db, DB_VERIFY_UPLOADS);
    for (; rc == 1; rc = db_next(db, DB_VERIFY_UPLOADS))
        store_verify_found(v, VERIFY_UPLOAD, (uint64_t)db_i64(db, DB_VERIFY_UPLOADS, 0), 0, 0, "upload %" PRId64 " of account %" PRId64
                           " has no blob", db_i64(db, DB_VERIFY_UPLOADS, 0), db_i64(db, DB_VERIFY_UPLOADS, 1));
    return rc;
}

static int lost_members(struct store_verify *v, struct db *db, uint64_t mailbox)
{
    int rc = DB_FIRST(db, DB_VERIFY_BOX_HAS, DB_I(mailbox)); /* made meanwhile? */
    db_end(db, DB_VERIFY_BOX_HAS);
    if (rc == 0)
        store_verify_found(v, VERIFY_MAILBOX_LOST, 0, mailbox, 0, "mailbox %" PRIu64 " has messages and does not exist", mailbox);
    return rc < 0 ? -1 : 0;
}

static int stray_members(struct store_verify *v, struct db *db)
{
    for (int64_t at = 0;;) {
        int rc = DB_FIRST(db, DB_VERIFY_MEMBER_BOX, DB_I(at));
        if (rc != 1)
            return rc;
        at = db_i64(db, DB_VERIFY_MEMBER_BOX, 0);
        db_end(db, DB_VERIFY_MEMBER_BOX);
        if (map_get_u64(&v->mailboxes, (uint64_t)at) == NULL && lost_members(v, db, (uint64_t)at) != 0)
            return -1;
    }
}

static int stray_gone(struct store_verify *v, struct db *db)
{
    for (int64_t at = 0;;) {
        int rc = DB_FIRST(db, DB_VERIFY_GONE_ACCOUNT, DB_I(at));
        if (rc != 1)
            return rc;
        at = db_i64(db, DB_VERIFY_GONE_ACCOUNT, 0);
        db_end(db, DB_VERIFY_GONE_ACCOUNT);
        rc = DB_FIRST(db, DB_ACCOUNT_GET, DB_I(at));
        db_end(db, DB_ACCOUNT_GET);
        if (rc == 0)
            store_verify_found(v, VERIFY_GONE, (uint64_t)at, 0, 0, "account %" PRId64 " has tombstones and does not exist", at);
        if (rc < 0)
            return -1;
    }
}

int store_verify_strays(struct store_verify *v, struct db *db)
{
    if (stray_uploads(v, db) != 0 || stray_members(v, db) != 0 || stray_gone(v, db) != 0)
        return -1;
    int rc = DB_FIRST(db, DB_VERIFY_OPS);
    if (rc != 1)
        return -1;
    int64_t bad = db_i64(db, DB_VERIFY_OPS, 0);
    db_end(db, DB_VERIFY_OPS);
    if (bad > 0)
        store_verify_found(v, VERIFY_OPS, 0, 0, 0, "%" PRId64 " remembered results of operations cannot be read", bad);
    return 0;
}
