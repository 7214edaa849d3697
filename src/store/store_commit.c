/* store_commit: a batch of writes becomes one sync of the log and one transaction of the index (doc/architecture.md,
 * 3).
 *
 * Bodies first, then the rows that name them: a row never names bytes that are not on disk. An operation that is
 * refused by its own checks has changed nothing and does not disturb the others. Trouble with the files rolls the whole
 * attempt back; what it then means is decided in `retry`:
 *   no space in the log    the arrivals are refused (4.3.1), the rest of the batch is tried without them
 *   no space in the index  all are refused; works again when there is space
 *   a statement at fault   a bug of ours: each operation is tried alone, so that one cannot block all mail
 *   anything else          REL-04: all are refused, the store is broken, the process ends and recovers from disk
 */
#include "base/log.h"
#include "run/shared.h"
#include "store/store_impl.h"
#include "store/store_queue_impl.h"
#include "store/store_thread.h"

#include <errno.h>

enum { THREADS_BEHIND = 100000 }; /* a second's work for a reader who wants a thread */

struct counters {
    uint64_t eid, bid, mailbox, emails, blobs, threaded, event;
};

struct attempt {
    struct counters before;
    bool changed;           /* something is to be committed */
    bool log_failed, doubt; /* the log is to blame; nobody knows what the files hold */
    bool again;             /* an operation was refused after others had seen it planned: the same without it */
    struct fail fail;
};

void store_commit_live(struct store *s, uint32_t seg, int64_t bytes)
{
    s->sweep.wanted |= bytes < 0;
    for (size_t i = 0; i < s->live.n; i++) {
        if (s->live.v[i].seg == seg) {
            s->live.v[i].bytes += bytes;
            return;
        }
    }
    *VEC_PUSH(&s->live) = (struct store_live){seg, bytes};
}

/* ---- one attempt ---- */

/* An operation's own refusal ends the operation, trouble of the index ends the attempt (-1). */
static int refused(struct store *s, struct store_op *op)
{
    if (db_trouble(s->db) != DB_FINE || op->w->fail.kind == FAIL_NONE)
        return -1;
    op->state = OP_FAILED;
    return 0;
}

static int plan(struct store *s, struct store_op *op)
{
    int seen = store_op_seen(s, op);
    if (seen == 1) {
        op->state = OP_REPEATED;
        return 0;
    }
    if (seen < 0)
        return refused(s, op);
    int rc = op->w->id == MSG_ID_ingest     ? store_ingest_plan(s, op)
             : op->w->id == MSG_ID_append   ? store_append_plan(s, op)
             : op->w->id == MSG_ID_blob_put ? store_blob_plan(s, op)
             : (int)op->w->id == STORE_SWEEP ? store_sweep_plan(s, op)
             : (int)op->w->id == STORE_NOTE  ? store_note_plan(s, op)
                                            : 0;
    return rc != 0 ? refused(s, op) : 0;
}

static int write_big(struct store *s, struct store_op *op, struct attempt *t)
{
    const struct msglog_record *r = &s->records.v[op->record - 1];
    if ((r->flags & MSGLOG_BIG) == 0)
        return 0;
    if (op->big_from != 0)
        return msglog_big_copy(s->log, op->big_from, r->bid, &t->doubt, &t->fail);
    if (op->spool == NULL)
        return msglog_big_write(s->log, op->big_body, r->bid, &t->doubt, &t->fail);
    if (store_spool_sync(op->spool) != 0) {
        t->doubt = true;
        return fail_errno(&t->fail, "fdatasync of a spool file", errno);
    }
    return msglog_big_adopt(s->log, op->spool->name, r->bid, &t->doubt, &t->fail);
}

static int write_bodies(struct store *s, struct store_op *ops, size_t n, struct attempt *t)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0 && s->big_dirty; i++)
        if (ops[i].state == OP_WAITING && ops[i].record != 0)
            rc = write_big(s, &ops[i], t);
    if (rc == 0 && s->big_dirty)
        rc = msglog_big_sync(s->log, &t->doubt, &t->fail);
    if (rc == 0 && s->records.n > 0)
        rc = msglog_append(s->log, s->records.v, s->records.n, &t->doubt, &t->fail);
    t->log_failed = rc != 0;
    return rc;
}

typedef int apply_fn(struct store *s, struct store_op *op);

static apply_fn *const appliers[MSG_ID_COUNT] = {
    [MSG_ID_ingest] = store_ingest_apply,
    [MSG_ID_append] = store_append_apply,
    [MSG_ID_copy] = store_copy_apply,
    [MSG_ID_flags_set] = store_flags_apply,
    [MSG_ID_expunge] = store_remove_expunge,
    [MSG_ID_mailbox_create] = store_tree_create,
    [MSG_ID_mailbox_set] = store_tree_set,
    [MSG_ID_mailbox_remove] = store_tree_remove,
    [MSG_ID_blob_put] = store_blob_apply,
    [MSG_ID_kv_set] = store_kv_apply,
    [MSG_ID_quota_set] = store_quota_apply,
    [MSG_ID_recount] = store_quota_recount,
    [MSG_ID_account_gone] = store_remove_account,
    [MSG_ID_mailbox_list] = store_mailbox_make_inbox,
    [MSG_ID_thread_get] = store_thread_apply,
    [MSG_ID_queue_note] = store_queue_note,
    [MSG_ID_queue_change] = store_queue_change,
    [MSG_ID_queue_suspend] = store_queue_suspend,
    [MSG_ID_event_note] = store_event_note,
};

static int apply(struct store *s, struct store_op *op)
{
    apply_fn *fn = (int)op->w->id == STORE_SWEEP         ? store_sweep_apply
                   : (int)op->w->id == STORE_NOTE        ? store_note_apply
                   : (int)op->w->id == STORE_QUEUE_PEER  ? store_queue_peer
                   : (int)op->w->id == STORE_QUEUE_LATER ? store_report_later
                   : (int)op->w->id == STORE_QUEUE_UNTOLD ? store_report_untold
                   : op->w->id < MSG_ID_COUNT            ? appliers[op->w->id]
                                                         : NULL;
    op->w->trial = op->w->step;
    return fn != NULL ? fn(s, op) : fail_perm(&op->w->fail, "5.5.1", "not an operation that writes");
}

static int apply_one(struct store *s, struct store_op *op, struct attempt *t)
{
    if (apply(s, op) != 0) {
        bool planned = op->record != 0;
        if (refused(s, op) != 0)
            return -1;
        if (planned) /* for good; what others were refused for may be its plan */
            op->w->result = -1;
        t->again = planned;
        return planned ? -1 : 0;
    }
    t->changed = true;
    if (op->state != OP_WAITING)
        return 0;
    op->state = OP_DONE;
    return store_op_remember(s, op, true);
}

/* A recount comes last: the plans have counted what only now gets its rows. */
static int apply_all(struct store *s, struct store_op *ops, size_t n, struct attempt *t)
{
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < n; i++)
            if (ops[i].state == OP_WAITING && (ops[i].w->id == MSG_ID_recount) == last && apply_one(s, &ops[i], t) != 0)
                return -1;
    /* Arrivals that never leave the committer idle: beside each another gets its thread. */
    if (t->changed && store_thread_behind(s) > THREADS_BEHIND)
        return store_thread_step(s, n + 16);
    return 0;
}

static int put_segment(struct store *s, uint32_t seg, uint64_t end)
{
    return DB_RUN(s->db, DB_SEGMENT_PUT, DB_I(seg), DB_I(end), DB_I(s->next_eid), DB_I(s->next_bid),
                  DB_I(s->next_mailbox), DB_I(s->emails), DB_I(s->blobs));
}

/* The newest segment's row has the counters. A batch that went over into a new segment leaves the old one's end to its
 * last record there. */
static int write_segments(struct store *s)
{
    uint32_t now = msglog_segment(s->log);
    for (size_t i = 0; i < s->records.n; i++) {
        const struct msglog_record *r = &s->records.v[i];
        bool last_there = i + 1 == s->records.n || s->records.v[i + 1].seg != r->seg;
        if (r->seg != now && last_there && put_segment(s, r->seg, r->off + MSGLOG_HEADER + r->meta.n + r->body.n) != 0)
            return -1;
    }
    if (put_segment(s, now, msglog_end(s->log)) != 0)
        return -1;
    for (size_t i = 0; i < s->live.n; i++)
        if (DB_RUN(s->db, DB_SEGMENT_LIVE, DB_I(s->live.v[i].seg), DB_I(s->live.v[i].bytes)) != 0)
            return -1;
    return 0;
}

static int attempt(struct store *s, struct store_op *ops, size_t n, struct attempt *t)
{
    *t = (struct attempt){.before = {s->next_eid, s->next_bid, s->next_mailbox, s->emails, s->blobs, s->threaded, s->event}};
    s->records.n = s->live.n = s->big_dead.n = s->gone.n = 0;
    s->big_dirty = false;
    store_queue_begin(s);
    if (db_begin(s->db) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (ops[i].state == OP_WAITING && plan(s, &ops[i]) != 0)
            return -1;
    if (write_bodies(s, ops, n, t) != 0 || apply_all(s, ops, n, t) != 0)
        return -1;
    if (!t->changed) {
        db_rollback(s->db);
        return 0;
    }
    return store_account_write_back(s) != 0 || write_segments(s) != 0 ? -1 : db_commit(s->db);
}

int store_commit_tidied(struct store *s)
{
    if (store_account_write_back(s) != 0 || (s->live.n > 0 && write_segments(s) != 0) || db_commit(s->db) != 0)
        return -1;
    for (size_t i = 0; i < s->big_dead.n; i++)
        store_sweep_dead(s, s->big_dead.v[i], 0);
    atomic_store_explicit(&s->n_blobs, s->blobs, memory_order_relaxed);
    return 0;
}

/* ---- after it ---- */

static void undo(struct store *s, struct store_op *ops, size_t n, const struct attempt *t)
{
    db_rollback(s->db);
    store_account_forget(s, true);
    msglog_rewind(s->log);
    s->next_eid = t->before.eid;
    s->next_bid = t->before.bid;
    s->next_mailbox = t->before.mailbox;
    s->emails = t->before.emails;
    s->blobs = t->before.blobs;
    s->threaded = t->before.threaded;
    s->event = t->before.event;
    for (size_t i = 0; i < n; i++) {
        struct store_op *op = &ops[i];
        if (op->spool != NULL)
            store_spool_give(s, op->spool, false);
        op->spool = NULL;
        op->record = 0;
        if (op->w->result == 0) { /* not refused for good: as it came */
            op->state = OP_WAITING;
            op->w->fail = (struct fail){0};
        }
    }
}

static void settle(struct store *s, struct store_op *ops, size_t n, const struct attempt *t)
{
    if (t->changed) {
        msglog_committed(s->log);
        atomic_fetch_add_explicit(&s->commits, 1, memory_order_relaxed);
        counter_add(COUNTER_COMMITS, 1);
        atomic_store_explicit(&s->wal_written, db_wal_written(s->db), memory_order_relaxed);
        atomic_store_explicit(&s->n_emails, s->emails, memory_order_relaxed);
        atomic_store_explicit(&s->n_blobs, s->blobs, memory_order_relaxed);
        atomic_store(&s->n_eids, s->next_eid);
        atomic_store(&s->n_threaded, s->threaded);
        for (size_t i = 0; i < s->big_dead.n; i++)
            store_sweep_dead(s, s->big_dead.v[i], 0);
        store_sweep_files(s);
        store_note_gone(s);
        for (size_t i = 0; i < s->touched.n; i++)
            *VEC_PUSH(&s->feed) =
                (struct msg_changed){.account = s->touched.v[i]->id, .modseq = s->touched.v[i]->modseq};
    }
    store_account_forget(s, !t->changed);
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        struct store_op *op = &ops[i];
        if (op->spool != NULL)
            store_spool_give(s, op->spool, op->state == OP_DONE || op->state == OP_REPEATED);
        op->spool = NULL;
        if (op->state == OP_FAILED)
            op->w->result = -1;
        else if (op->state == OP_DONE && t->changed)
            done++;
        else if (op->state == OP_LATER)
            op->w->step = op->w->trial;
    }
    if (t->changed)
        store_queue_settled(s, ops, n);
    atomic_fetch_add_explicit(&s->committed, (uint64_t)done, memory_order_relaxed);
    counter_add(COUNTER_COMMITTED, done);
}

static void fail_op(struct store_op *op, const struct fail *f)
{
    op->state = OP_FAILED;
    op->w->result = -1;
    op->w->fail = *f;
}

static bool brings(const struct store_op *op)
{
    return op->w->id == MSG_ID_ingest || op->w->id == MSG_ID_append || op->w->id == MSG_ID_blob_put ||
           (int)op->w->id == STORE_SWEEP || (int)op->w->id == STORE_NOTE;
}

static void fail_all(struct store_op *ops, size_t n, const struct fail *f, bool arrivals_only)
{
    for (size_t i = 0; i < n; i++)
        if (ops[i].w->result == 0 && (!arrivals_only || brings(&ops[i])))
            fail_op(&ops[i], f);
}

static void run(struct store *s, struct store_op *ops, size_t n);

/* What a failed attempt means (see above). True: try again. */
static bool retry(struct store *s, struct store_op *ops, size_t n, struct attempt *t)
{
    enum db_trouble trouble = db_trouble(s->db); /* a failed rollback counts too */
    struct fail f = t->fail;
    if (!t->log_failed)
        db_fail(s->db, &f);
    if (t->doubt || trouble == DB_BROKEN) {
        s->broken = true;
        fail_all(ops, n, &f, false);
        LOG(LOG_ERROR, "store.broken", L_Z("why", f.text));
        if (s->on_broken != NULL)
            s->on_broken(s->broken_arg, &f);
        return false;
    }
    if (t->log_failed) {
        fail_all(ops, n, &f, true);
        return true;
    }
    if (t->again && trouble == DB_FINE)
        return true;
    if (trouble == DB_NO_SPACE || n == 1) {
        fail_all(ops, n, &f, false);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        run(s, ops + i, 1);
    return false;
}

static void run(struct store *s, struct store_op *ops, size_t n)
{
    struct attempt t;
    do {
        if (s->broken) {
            fail_temp(&t.fail, "4.3.0", "the store failed and is about to start again");
            fail_all(ops, n, &t.fail, false);
            return;
        }
        if (attempt(s, ops, n, &t) == 0) {
            settle(s, ops, n, &t);
            return;
        }
        undo(s, ops, n, &t);
    } while (retry(s, ops, n, &t));
}

/* ---- the batch ---- */

/* Puts writes back at the head of the queue. */
static void put_back(struct store *s, struct store_write *first, struct store_write **last)
{
    if (first == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    *last = s->first;
    if (s->first == NULL)
        s->last = last;
    s->first = first;
    pthread_mutex_unlock(&s->lock);
}

/* One slot per write; those that need no commit are given back. The same operation twice in a batch: the second one comes again in the next, and is a repetition.
 */
static struct store_write *take(struct store *s, struct store_write *list)
{
    struct store_write *later = NULL, **at = &later, *beside = NULL, **beside_at = &beside;
    for (struct store_write *w = list, *next; w != NULL; w = next) {
        struct span id = store_op_id(w);
        next = w->next;
        w->next = NULL;
        if (store_queue_beside(w)) {
            *beside_at = w;
            beside_at = &w->next;
            continue;
        }
        w->result = 0;
        w->fail = (struct fail){0};
        if (id.n > 0 && map_put(&s->batch_ids, id, w) != NULL) {
            *at = w;
            at = &w->next;
            continue;
        }
        *VEC_PUSH(&s->ops) = (struct store_op){.w = w, .id = id, .account = w->account};
    }
    for (size_t i = 0; i < s->ops.n; i++)
        if (s->ops.v[i].id.n > 0)
            map_take(&s->batch_ids, s->ops.v[i].id);
    put_back(s, later, at);
    return beside;
}

void store_commit_run(struct store *s, struct store_write *list)
{
    struct store_write *later = NULL, **at = &later;
    s->ops.n = s->feed.n = 0;
    struct store_write *beside = take(s, list);
    if (s->ops.n > 0)
        run(s, s->ops.v, s->ops.n);
    for (size_t i = 0; i < s->ops.n; i++) {
        struct store_write *w = s->ops.v[i].w;
        if (s->ops.v[i].state == OP_LATER) {
            *at = w;
            at = &w->next;
        } else {
            w->done(w);
        }
    }
    s->ops.n = 0; /* theirs are gone */
    for (struct store_write *next; beside != NULL; beside = next) { /* what the commit told is seen by them */
        next = beside->next;
        store_queue_beside_run(s, beside);
        beside->done(beside);
    }
    put_back(s, later, at);
    if (s->feed.n > 0 && s->on_changed != NULL)
        s->on_changed(s->changed_arg, s->feed.v, s->feed.n);
    arena_reset(&s->mem);
}
