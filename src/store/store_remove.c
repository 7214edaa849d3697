/* store_remove: messages leave mailboxes (see the header). */
#include "store/store_remove.h"

#include "base/clock.h"
#include "store/store_text.h"
#include "store/store_thread.h"

enum { STEP = 2000 }; /* messages per commit: others wait behind it */

int store_remove_blob(struct store *s, uint64_t bid)
{
    int rc = DB_FIRST(s->db, DB_BLOB_GET, DB_I(bid));
    if (rc != 1)
        return rc;
    int64_t refs = db_i64(s->db, DB_BLOB_GET, 0), meta = db_i64(s->db, DB_BLOB_GET, 2);
    int64_t len = db_i64(s->db, DB_BLOB_GET, 3);
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

/* With its last member the email goes. *thread: whose it was then, else 0. */
static int drop_email(struct store *s, uint64_t eid, uint64_t *thread)
{
    *thread = 0;
    int rc = DB_FIRST(s->db, DB_MEMBER_OF_EMAIL, DB_I(eid));
    if (rc != 0) { /* another mailbox has it too */
        db_end(s->db, DB_MEMBER_OF_EMAIL);
        return rc < 0 ? -1 : 0;
    }
    rc = DB_FIRST(s->db, DB_EMAIL_BID, DB_I(eid));
    if (rc != 1)
        return rc;
    uint64_t bid = (uint64_t)db_i64(s->db, DB_EMAIL_BID, 0);
    db_end(s->db, DB_EMAIL_BID);
    s->emails--;
    *VEC_PUSH(&s->gone) = eid;
    if (store_thread_forget(s, eid, thread) != 0 || DB_RUN(s->db, DB_EMAIL_DELETE, DB_I(eid)) != 0)
        return -1;
    return store_remove_blob(s, bid);
}

static int drop_row(struct store *s, const struct store_row *r)
{
    store_account_count(r->box, r->flags, r->size, -1);
    return DB_RUN(s->db, DB_MEMBER_DELETE, DB_I(r->box->id), DB_I(r->uid));
}

static int bury(struct store *s, struct store_account *a, const struct store_row *r, uint64_t thread)
{
    return DB_RUN(s->db, DB_GONE_INSERT, DB_I(a->id), DB_I(store_account_modseq(s, a, r->box)), DB_I(r->box->id),
                  DB_I(r->uid), DB_I(r->eid), DB_I(thread), DB_I(clock_now_s()));
}

int store_remove_row(struct store *s, struct store_account *a, const struct store_row *r)
{
    uint64_t thread;
    return drop_row(s, r) != 0 || drop_email(s, r->eid, &thread) != 0 ? -1 : bury(s, a, r, thread);
}

int store_remove_moved(struct store *s, struct store_account *a, const struct store_row *r)
{
    return drop_row(s, r) != 0 ? -1 : bury(s, a, r, 0);
}

int store_remove_expunge(struct store *s, struct store_op *op)
{
    const struct msg_expunge *in = op->w->in;
    struct msg_expunge_r *out = op->w->out;
    struct store_account *a;
    struct store_mailbox *m;
    struct store_rows rows = {0};
    if ((in->flags & ~(uint32_t)EXPUNGE_ONLY_DELETED) != 0)
        return fail_perm(&op->w->fail, "5.5.4", "expunge: unknown flags");
    int rc = store_select(s, op, in->mailbox, in->uids.v, in->uids.n, op->w->trial.at, store_select_step(s, STEP),
                          in->flags == EXPUNGE_ONLY_DELETED, &a, &m, &rows);
    for (size_t i = 0; i < rows.n && rc == 0; i++)
        rc = store_remove_row(s, a, &rows.v[i]);
    if (rc == 0) {
        op->w->trial.at = rows.last;
        op->w->trial.count += rows.n;
        out->removed = op->w->trial.count;
        out->modseq = m != NULL ? m->highmodseq : a->modseq;
        op->state = rows.more ? OP_LATER : op->state;
    }
    VEC_FREE(&rows);
    return rc;
}

static int remove_uploads(struct store *s, uint64_t account)
{
    for (;;) {
        int rc = DB_FIRST(s->db, DB_UPLOAD_OF, DB_I(account));
        if (rc != 1)
            return rc;
        uint64_t bid = (uint64_t)db_i64(s->db, DB_UPLOAD_OF, 0);
        db_end(s->db, DB_UPLOAD_OF);
        if (store_remove_blob(s, bid) != 0 || DB_RUN(s->db, DB_UPLOAD_DELETE, DB_I(bid)) != 0)
            return -1;
    }
}

int store_remove_account(struct store *s, struct store_op *op)
{
    const struct msg_account_gone *in = op->w->in;
    store_text_forget(s, in->account);
    struct store_account *a = store_account_get(s, in->account, false);
    if (a == NULL)
        return db_trouble(s->db) == DB_FINE ? 0 : -1;
    struct store_rows rows = {0};
    int rc = 0;
    for (struct store_mailbox *m = a->mailboxes; m != NULL && rc == 0 && !rows.more; m = m->next)
        rc = store_select_mailbox(s, m, 0, INT64_MAX, store_select_step(s, STEP), false, &rows);
    for (size_t i = 0; i < rows.n && rc == 0; i++) {
        uint64_t thread;
        store_account_touch(s, a, rows.v[i].box);
        rc = drop_row(s, &rows.v[i]) != 0 ? -1 : drop_email(s, rows.v[i].eid, &thread);
    }
    bool more = rows.more;
    VEC_FREE(&rows);
    if (rc != 0)
        return -1;
    if (more) {
        op->state = OP_LATER;
        return 0;
    }
    return remove_uploads(s, in->account) != 0 ? -1 : store_account_drop(s, a);
}
