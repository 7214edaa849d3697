/* store_verify_repair: a store that nobody serves: opening it, and making true again what can be.
 *
 * Counters are counted again; rows that belong to nothing go, members with a tombstone so that clients are told; what
 * lost its bytes is marked and stays. Nothing of the log is written. */
#include "store/store_verify_impl.h"
#include "base/clock.h"
#include "format/summary.h"
#include "store/msglog_impl.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

static const char *const remedies[] = {
    [VERIFY_BODY] = "mark the messages as damaged",
    [VERIFY_SEGMENT_LIVE] = "count again",
    [VERIFY_STORE_COUNTERS] = "count again",
    [VERIFY_BLOB_REFS] = "count again",
    [VERIFY_BLOB_UNUSED] = "forget the blob",
    [VERIFY_EMAIL_DANGLING] = "remove the message: its text is lost",
    [VERIFY_EMAIL_UNUSED] = "put it into the INBOX",
    [VERIFY_EMAIL_SIZE] = "correct the size",
    [VERIFY_EMAIL_EDITS] = "mark the message as damaged",
    [VERIFY_MEMBER_DANGLING] = "remove the entry",
    [VERIFY_MEMBER_SIZE] = "correct the size",
    [VERIFY_MAILBOX] = "count again",
    [VERIFY_MAILBOX_LOST] = "make a mailbox for them, named Recovered and its number",
    [VERIFY_ACCOUNT] = "make the row, raise the modseq",
    [VERIFY_GONE] = "remove the tombstones",
    [VERIFY_THREAD] = "begin a thread with it",
    [VERIFY_THREAD_LOST] = "forget the thread's entry",
    [VERIFY_UPLOAD] = "forget the upload",
    [VERIFY_OPS] = "forget the results",
};

const char *store_verify_remedy(enum verify_kind kind) { return (size_t)kind < COUNT_OF(remedies) ? remedies[kind] : NULL; }

/* ---- repair ---- */

static int drop_member(struct db *db, uint64_t account, uint64_t mailbox, uint64_t uid)
{
    return DB_RUN(db, DB_REPAIR_MEMBER_GONE, DB_I(account), DB_I(mailbox), DB_I(uid)) != 0 ||
                   DB_RUN(db, DB_MEMBER_DELETE, DB_I(mailbox), DB_I(uid)) != 0 || DB_RUN(db, DB_REPAIR_MODSEQ, DB_I(account)) != 0 ||
                   DB_RUN(db, DB_REPAIR_MAILBOX, DB_I(account), DB_I(mailbox)) != 0
               ? -1
               : 0;
}

/* An email without a blob: wherever it is. */
static int drop_email(struct db *db, uint64_t eid, uint64_t account)
{
    for (;;) {
        int rc = DB_FIRST(db, DB_MEMBER_OF_EMAIL, DB_I(eid));
        if (rc != 1)
            return rc != 0 ? rc : DB_RUN(db, DB_REPAIR_EMAIL, DB_I(eid));
        uint64_t mailbox = (uint64_t)db_i64(db, DB_MEMBER_OF_EMAIL, 0), uid = (uint64_t)db_i64(db, DB_MEMBER_OF_EMAIL, 1);
        db_end(db, DB_MEMBER_OF_EMAIL);
        if (drop_member(db, account, mailbox, uid) != 0)
            return -1;
    }
}

/* As an arrival of now. Without an INBOX it waits for the account's next listing, and the next repair. */
static int into_inbox(struct db *db, uint64_t eid)
{
    int rc = DB_FIRST(db, DB_REPAIR_INBOX_OF, DB_I(eid));
    if (rc != 1)
        return rc;
    int64_t account = db_i64(db, DB_REPAIR_INBOX_OF, 0), mailbox = db_i64(db, DB_REPAIR_INBOX_OF, 1);
    db_end(db, DB_REPAIR_INBOX_OF);
    if (DB_RUN(db, DB_REPAIR_MODSEQ, DB_I(account)) != 0 || DB_FIRST(db, DB_ACCOUNT_MODSEQ, DB_I(account)) != 1)
        return -1;
    int64_t modseq = db_i64(db, DB_ACCOUNT_MODSEQ, 0) + 1;
    db_end(db, DB_ACCOUNT_MODSEQ);
    return DB_RUN(db, DB_REPAIR_INBOX, DB_I(eid), DB_I(modseq)) != 0 ? -1 : DB_RUN(db, DB_REPAIR_MAILBOX, DB_I(account), DB_I(mailbox));
}

static int recover_mailbox(struct db *db, uint64_t mailbox)
{
    if (DB_RUN(db, DB_REPAIR_BOX, DB_I(mailbox), DB_I(clock_now_s())) != 0)
        return -1;
    int rc = DB_FIRST(db, DB_REPAIR_BOX_ACCOUNT, DB_I(mailbox));
    if (rc != 1)
        return rc;
    int64_t account = db_i64(db, DB_REPAIR_BOX_ACCOUNT, 0);
    db_end(db, DB_REPAIR_BOX_ACCOUNT);
    return DB_RUN(db, DB_REPAIR_MAILBOX, DB_I(account), DB_I(mailbox));
}

static int repair_one(struct db *db, const struct verify_finding *x)
{
    switch (x->kind) {
    case VERIFY_BODY:
        return DB_RUN(db, DB_REPAIR_MARK, DB_I(x->a), DB_I(SUMMARY_DAMAGED));
    case VERIFY_EMAIL_EDITS:
        return DB_RUN(db, DB_REPAIR_MARK, DB_I(x->b), DB_I(SUMMARY_DAMAGED));
    case VERIFY_SEGMENT_LIVE:
        return DB_RUN(db, DB_REPAIR_LIVE, DB_I(x->a));
    case VERIFY_STORE_COUNTERS:
        return DB_RUN(db, DB_REPAIR_STORE, DB_I(x->a));
    case VERIFY_BLOB_REFS:
        return DB_RUN(db, DB_REPAIR_REFS, DB_I(x->a));
    case VERIFY_BLOB_UNUSED:
        return DB_RUN(db, DB_REPAIR_BLOB, DB_I(x->a));
    case VERIFY_EMAIL_DANGLING:
        return drop_email(db, x->a, x->b);
    case VERIFY_EMAIL_UNUSED:
        return into_inbox(db, x->a);
    case VERIFY_EMAIL_SIZE:
        return DB_RUN(db, DB_REPAIR_EMAIL_SIZE, DB_I(x->a), DB_I(x->b));
    case VERIFY_MEMBER_DANGLING:
        return drop_member(db, x->a, x->b, x->c);
    case VERIFY_MEMBER_SIZE:
        return DB_RUN(db, DB_REPAIR_MEMBER_SIZE, DB_I(x->b), DB_I(x->c)) != 0 ? -1 : DB_RUN(db, DB_REPAIR_MAILBOX, DB_I(x->a), DB_I(x->b));
    case VERIFY_MAILBOX:
        return DB_RUN(db, DB_REPAIR_MAILBOX, DB_I(x->a), DB_I(x->b));
    case VERIFY_MAILBOX_LOST:
        return recover_mailbox(db, x->b);
    case VERIFY_ACCOUNT:
        return DB_RUN(db, DB_REPAIR_ACCOUNT, DB_I(x->a)) != 0 || (x->b == 1 && DB_RUN(db, DB_REPAIR_FLOOR, DB_I(x->a)) != 0)
                   ? -1
                   : DB_RUN(db, DB_REPAIR_MODSEQ, DB_I(x->a));
    case VERIFY_GONE:
        return DB_RUN(db, DB_GONE_DELETE_ALL, DB_I(x->a));
    case VERIFY_THREAD:
        return DB_RUN(db, DB_THREAD_PUT, DB_I(x->a), DB_I(x->a));
    case VERIFY_THREAD_LOST:
        return DB_RUN(db, DB_THREAD_DROP, DB_I(x->a));
    case VERIFY_UPLOAD:
        return DB_RUN(db, DB_UPLOAD_DELETE, DB_I(x->a));
    case VERIFY_OPS:
        return DB_RUN(db, DB_REPAIR_OPS);
    case VERIFY_NOTE: case VERIFY_LOG: case VERIFY_FILE: case VERIFY_INDEX_DAMAGED:
        return 0;
    }
    return 0;
}

int store_verify_repair(struct db *db, const struct verify_finding *v, size_t n, struct fail *f)
{
    if (db_begin(db) != 0)
        return db_fail(db, f);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = repair_one(db, &v[i]);
    if (rc == 0)
        rc = db_commit(db);
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    return rc;
}

/* ---- a store that nobody serves ---- */

int store_verify_open(struct store_place *p, const char *dir, bool write, struct fail *f)
{
    char path[4096];
    *p = (struct store_place){-1, -1, NULL};
    p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir < 0)
        return fail_errno(f, dir, errno);
    p->lock_fd = openat(p->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->lock_fd < 0 || flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0)
        fail_temp(f, "", errno == EWOULDBLOCK ? "another process has the store in %.80s" : "cannot lock the store in %.80s", dir);
    else if ((size_t)snprintf(path, sizeof path, "%s/index.db", dir) >= sizeof path)
        fail_perm(f, "", "the store's path is too long");
    else if (faccessat(p->dir, "index.db", F_OK, 0) != 0)
        fail_perm(f, "", "no index.db in %.80s: see postel help rebuild", dir);
    else if ((p->db = db_open(path, write ? DB_WRITER : 0, f)) != NULL)
        return 0;
    store_verify_close(p);
    return -1;
}

void store_verify_close(struct store_place *p)
{
    db_close(p->db, true);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    if (p->dir >= 0)
        close(p->dir);
    *p = (struct store_place){-1, -1, NULL};
}

/* ---- one that serves ---- */

struct store_verify *store_verify_of(struct store *s) { return store_verify_new(s->dir); }

int store_verify_serving(struct store *s, struct store_verify *v, struct fail *f)
{
    struct msglog_pin pin;
    msglog_pin(s->log, &pin); /* what the step's snapshot names stays */
    struct db *db = store_reader(s);
    int rc = store_verify_step(v, db, f);
    store_reader_done(s, db);
    msglog_unpin(s->log, &pin);
    return rc;
}
