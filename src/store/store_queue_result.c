/* store_queue_result: what relay tells: attempts that begin, results; and what its death leaves in doubt. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "run/shared.h"
#include "store/store_queue_impl.h"

enum { TIDY_ROWS = 500, TEXT_MOST = 4000, SMALL = 64 * 1024, REPLY_BYTES = 128 * 1024 };

/* A recipient with its message, kept over rows of the same message. 1, 0: not there any more, -1. */
struct found { struct store_queue_rcpt r; struct store_queue_message m; };

static int find(struct store *s, uint64_t rid, struct found *x)
{
    int rc = store_queue_rcpt_get(s->db, rid, &x->r, &s->mem);
    if (rc != 1 || x->m.qid == x->r.qid)
        return rc;
    rc = store_queue_message_get(s->db, x->r.qid, &x->m, &s->mem);
    return rc != 1 ? -1 : 1;
}

/* Relay has it, and this session of it: by the lease that it names; or, after we started anew, when leases were forgotten and
 * attempts were not, by its attempt. What was leased again since is another session's, whatever this one says (REL-03). */
static bool is_his(struct store *s, const struct store_queue_rcpt *r, uint64_t boot, uint64_t lease)
{
    struct store_lease l;
    if (r->trying != 0 && r->trying != boot)
        return false;
    return store_queue_leased(s, r->rid, &l) ? l.boot == boot && l.name == lease : r->trying == boot;
}

/* Hosts that were asked in vain before what is told of this place; of whom: empty for all. Returns how many. */
static uint32_t add_tried(struct store_event *e, const struct msg_queue_note *in, uint32_t place, struct span address)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->tried.n; i++) {
        const struct msg_queue_tried *t = &in->tried.v[i];
        if (t->place != place)
            continue;
        store_event_step(e, &(struct msg_event_row){.kind = EVENT_TRIED, .address = address, .host = t->host, .tls = t->tls,
            .code = t->code, .status = span_sub(t->status, 0, 20), .text = span_sub(t->text, 0, TEXT_MOST)});
        n++;
    }
    return n;
}

/* ---- attempts ---- */

/* n tries of one message at one place: all of its recipients that are named, or none. */
static int begin(struct store *s, struct store_op *op, const struct msg_queue_try *v, uint32_t n, struct msg_queue_begun *out)
{
    const struct msg_queue_note *in = op->w->in;
    uint64_t boot = op->w->account;
    struct store_queue_rcpt *rows = arena_alloc(&s->mem, n * sizeof *rows);
    struct store_queue_message m;
    struct store_event e;
    *out = (struct msg_queue_begun){.qid = v[0].qid, .refused = 1};
    for (uint32_t i = 0; i < n; i++) { /* all are looked at before one is changed */
        int rc = store_queue_rcpt_get(s->db, v[i].rid, &rows[i], &s->mem);
        if (rc < 0)
            return -1;
        if (rc == 0 || rows[i].qid != v[0].qid || !is_his(s, &rows[i], boot, in->places.v[v[i].place].lease))
            return 0;
    }
    if (store_queue_message_get(s->db, v[0].qid, &m, &s->mem) != 1)
        return -1;
    store_event_begin(&e, &s->mem, m.trace, m.account, m.sender, m.size, m.msgid_hash);
    add_tried(&e, in, v[0].place, SPAN_NONE);
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_queue_place *at = &in->places.v[v[i].place];
        if (rows[i].trying == 0 && DB_RUN(s->db, DB_QUEUE_RCPT_TRYING, DB_I(v[i].rid), DB_I(boot)) != 0)
            return -1;
        store_event_step(&e, &(struct msg_event_row){.kind = EVENT_ATTEMPT, .address = rows[i].address, .host = at->host, .tls = at->tls});
    }
    out->refused = 0;
    return store_event_write(s, &e);
}

static int begin_all(struct store *s, struct store_op *op)
{
    const struct msg_queue_note *in = op->w->in;
    struct msg_queue_note_r *out = op->w->out;
    uint64_t room = REPLY_BYTES;
    out->begun.n = 0;
    out->begun.v = arena_alloc(op->w->mem, in->tries.n * sizeof *out->begun.v + 1);
    for (uint32_t i = 0, to; i < in->tries.n; i = to) {
        struct msg_queue_begun *b = &out->begun.v[out->begun.n++];
        for (to = i + 1; to < in->tries.n && in->tries.v[to].qid == in->tries.v[i].qid && in->tries.v[to].place == in->tries.v[i].place;)
            to++; /* sessions may have recipients of the same message, each at a place of its own */
        if (begin(s, op, &in->tries.v[i], to - i, b) != 0)
            return -1;
        if (b->refused == 0 && store_queue_text(s, b->qid, MIN_OF(room, (uint64_t)SMALL), &b->text, op->w->mem) != 0)
            return -1;
        room -= b->text.n;
    }
    return 0;
}

/* REL-03: the far side may have it, or not: it is tried again, and each possible second copy is counted and told. */
static int maybe_twice(struct store *s, const struct store_queue_message *m, struct span address, struct span host)
{
    LOG(LOG_WARN, "queue.maybe_twice", L_ID(m->trace), L_SPAN("to", address));
    counter_add(COUNTER_MAYBE_TWICE, 1);
    return store_event_of(s, m, &(struct msg_event_row){.kind = EVENT_MAYBE_TWICE, .address = address, .host = host});
}

/* ---- results ---- */

static bool wants(uint32_t notify, uint32_t which) /* RFC 3461 4.1: without NOTIFY failures are told, delays may be */
{
    return notify == 0 ? which != DSN_SUCCESS : (notify & which) != 0;
}

int store_queue_fail(struct store *s, const struct store_queue_message *m, const struct store_queue_rcpt *r, uint32_t kind,
                     const struct msg_event_row *why)
{
    struct msg_event_row step = *why;
    step.kind = kind;
    step.address = r->address;
    if (store_event_of(s, m, &step) != 0)
        return -1;
    if (wants(r->notify, DSN_FAILURE) && store_report_put(s, m, r->rid, DSN_FAILED, r->address, r->orcpt, &step) != 0)
        return -1;
    return store_queue_rcpt_end(s, m, r->rid);
}

static int delivered(struct store *s, const struct found *x, const struct msg_queue_done *d, struct msg_event_row *step)
{
    step->kind = EVENT_DELIVERED;
    if (store_event_of(s, &x->m, step) != 0)
        return -1;
    /* RFC 3461 5.2.2: a far side that knows DSN tells itself; of one that does not we tell that it took the message */
    if ((d->flags & QUEUE_DSN_SENT) == 0 && (x->r.notify & DSN_SUCCESS) != 0 &&
        store_report_put(s, &x->m, x->r.rid, DSN_RELAYED, x->r.address, x->r.orcpt, step) != 0)
        return -1;
    return store_queue_rcpt_end(s, &x->m, x->r.rid);
}

static int deferred(struct store *s, const struct found *x, const struct msg_queue_done *d, struct msg_event_row *step, int64_t now)
{
    const struct store_queue_rcpt *r = &x->r;
    if (now >= r->expires_ms)
        return store_queue_fail(s, &x->m, r, EVENT_EXPIRED, step);
    int64_t due = MIN_OF(MAX_OF(store_queue_of_wall(s, d->due_ms), now + 1000), r->expires_ms);
    bool late = r->delayed == 0 && now - x->m.created_ms >= LIMIT(DSN_DELAY_S) * 1000 && wants(r->notify, DSN_DELAY);
    bool maybe = (d->flags & QUEUE_MAYBE_SENT) != 0;
    if (maybe && maybe_twice(s, &x->m, r->address, step->host) != 0)
        return -1;
    step->kind = EVENT_DEFERRED;
    step->due_ms = store_queue_wall(s, due);
    if (store_event_of(s, &x->m, step) != 0 ||
        DB_RUN(s->db, DB_QUEUE_RCPT_DEFER, DB_I(r->rid), DB_I(due), DB_I(late), DB_I(d->code), DB_B(step->status),
               DB_B(step->text), DB_B(step->host), DB_I(maybe)) != 0)
        return -1;
    step->due_ms = store_queue_wall(s, r->expires_ms); /* in the report: so long we go on */
    if (late && store_report_put(s, &x->m, r->rid, DSN_DELAYED, r->address, r->orcpt, step) != 0)
        return -1;
    store_queue_ready(s, r->domain, due);
    return 0;
}

/* Nothing went out: no try, and due as it was. */
static int untried(struct store *s, const struct found *x, struct msg_event_row *step)
{
    step->kind = EVENT_DEFERRED;
    step->due_ms = store_queue_wall(s, x->r.due_ms);
    if (store_event_of(s, &x->m, step) != 0 || DB_RUN(s->db, DB_QUEUE_RCPT_TRYING, DB_I(x->r.rid), DB_I(0)) != 0)
        return -1;
    if (x->r.state == QUEUE_WAITING)
        store_queue_ready(s, x->r.domain, x->r.due_ms);
    return 0;
}

static int result_one(struct store *s, struct store_op *op, struct found *x, const struct msg_queue_done *d, int64_t now)
{
    const struct msg_queue_note *in = op->w->in;
    const struct msg_queue_place *at = &in->places.v[d->place];
    int rc = find(s, d->rid, x);
    if (rc != 1)
        return rc;
    if (!is_his(s, &x->r, op->w->account, at->lease)) {
        LOG(LOG_WARN, "queue.result", L_ID(x->m.trace), L_Z("why", "of a recipient that this relay does not have"));
        return 0;
    }
    struct store_event e;
    if (in->tried.n > 0) {
        store_event_begin(&e, &s->mem, x->m.trace, x->m.account, x->m.sender, x->m.size, x->m.msgid_hash);
        if (add_tried(&e, in, d->place, x->r.address) > 0 && store_event_write(s, &e) != 0)
            return -1;
    }
    struct msg_event_row step = {.address = x->r.address, .host = at->host, .tls = at->tls, .code = d->code,
        .status = span_sub(d->status, 0, 20), .text = span_sub(d->text, 0, TEXT_MOST), .cause = d->cause};
    switch ((enum queue_outcome)d->outcome) {
    case QUEUE_DELIVERED:
        return delivered(s, x, d, &step);
    case QUEUE_DEFERRED:
        return deferred(s, x, d, &step, now);
    case QUEUE_FAILED:
        return store_queue_fail(s, &x->m, &x->r, EVENT_FAILED, &step);
    case QUEUE_UNTRIED:
        return untried(s, x, &step);
    }
    return fail_perm(&op->w->fail, "5.5.4", "queue_note: unknown outcome");
}

static int check(const struct msg_queue_note *in, struct fail *f)
{
    for (uint32_t i = 0; i < in->tries.n; i++)
        if (in->tries.v[i].place >= in->places.n)
            return fail_perm(f, "5.5.4", "queue_note: no such place");
    for (uint32_t i = 0; i < in->done.n; i++)
        if (in->done.v[i].outcome > QUEUE_UNTRIED || in->done.v[i].place >= in->places.n)
            return fail_perm(f, "5.5.4", "queue_note: unknown outcome, or no such place");
    return 0;
}

int store_queue_note(struct store *s, struct store_op *op)
{
    const struct msg_queue_note *in = op->w->in;
    struct found x = {0};
    int64_t now = store_queue_now(s);
    if (check(in, &op->w->fail) != 0)
        return -1;
    if (begin_all(s, op) != 0)
        return -1;
    for (uint32_t i = 0; i < in->done.n; i++)
        if (result_one(s, op, &x, &in->done.v[i], now) != 0)
            return -1;
    return in->done.n > 0 ? store_queue_time_save(s) : 0;
}

/* ---- relay's death ---- */

/* What it was handing over is in doubt. */
int store_queue_peer(struct store *s, struct store_op *op)
{
    VEC(uint64_t) rids = {0};
    enum db_id id = DB_QUEUE_TRYING;
    int64_t now = store_queue_now(s);
    int rc = DB_FIRST(s->db, id, DB_I(op->w->account));
    for (; rc == 1; rc = db_next(s->db, id))
        *VEC_PUSH(&rids) = (uint64_t)db_i64(s->db, id, 0);
    struct found x = {0};
    for (size_t i = 0; rc == 0 && i < rids.n; i++) {
        rc = find(s, rids.v[i], &x) != 1 || DB_RUN(s->db, DB_QUEUE_RCPT_LOST, DB_I(rids.v[i]), DB_I(now)) != 0 ||
                     maybe_twice(s, &x.m, x.r.address, SPAN_NONE) != 0
                 ? -1
                 : 0;
        if (rc == 0)
            store_queue_ready(s, x.r.domain, now);
    }
    VEC_FREE(&rids);
    return rc;
}

/* ---- what time brings ---- */

/* Holds that end. */
static int release(struct store *s, int64_t now, size_t *n)
{
    struct due { uint64_t rid; struct span domain; };
    VEC(struct due) v = {0};
    enum db_id id = DB_QUEUE_HELD_OVER;
    int rc = DB_FIRST(s->db, id, DB_I(now), DB_I(TIDY_ROWS));
    for (; rc == 1; rc = db_next(s->db, id))
        *VEC_PUSH(&v) = (struct due){(uint64_t)db_i64(s->db, id, 0), arena_copy(&s->mem, db_bytes(s->db, id, 1))};
    for (size_t i = 0; rc == 0 && i < v.n; i++) {
        rc = DB_RUN(s->db, DB_QUEUE_RCPT_RELEASE, DB_I(v.v[i].rid), DB_I(now));
        store_queue_ready(s, v.v[i].domain, now);
    }
    *n += v.n;
    VEC_FREE(&v);
    return rc;
}

static int expire_one(struct store *s, uint64_t rid, size_t *n)
{
    struct found x = {0};
    int rc = find(s, rid, &x);
    if (rc != 1 || x.r.state != QUEUE_WAITING || x.r.trying != 0 || store_queue_leased(s, rid, NULL))
        return rc < 0 ? -1 : 0;
    rc = store_queue_suspended(s, x.r.domain);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    struct msg_event_row why = {.host = x.r.last_host, .code = x.r.last_code, .status = x.r.last_status, .text = x.r.last_text};
    ++*n;
    return store_queue_fail(s, &x.m, &x.r, EVENT_EXPIRED, &why);
}

/* A look at the next rows for what is too old although nobody tries it: its destination is being left alone for long. */
static int expire(struct store *s, int64_t now, size_t *n)
{
    VEC(uint64_t) rids = {0};
    enum db_id id = DB_QUEUE_OLD;
    size_t seen = 0;
    int rc = DB_FIRST(s->db, id, DB_I(s->queue.round), DB_I(TIDY_ROWS * 4));
    for (; rc == 1; rc = db_next(s->db, id), seen++) {
        s->queue.round = (uint64_t)db_i64(s->db, id, 0);
        if (db_i64(s->db, id, 1) + LIMIT(EXPIRE_GRACE_S) * 1000 <= now)
            *VEC_PUSH(&rids) = s->queue.round;
    }
    if (seen < TIDY_ROWS * 4)
        s->queue.round = 0;
    for (size_t i = 0; rc == 0 && i < rids.n; i++)
        rc = expire_one(s, rids.v[i], n);
    VEC_FREE(&rids);
    return rc;
}

void store_queue_tidy(struct store *s, struct store_write *w)
{
    size_t n = 0;
    uint64_t blobs = s->blobs, event = s->event;
    int64_t now = store_queue_now(s);
    if (db_begin(s->db) != 0)
        goto bad;
    s->records.n = s->live.n = s->big_dead.n = s->gone.n = 0;
    store_queue_begin(s);
    int rc = release(s, now, &n);
    if (rc == 0)
        rc = expire(s, now, &n);
    bool save = s->queue.round == 0 && store_queue_time_due(s);
    if (rc == 0 && (n > 0 || save))
        rc = store_queue_time_save(s);
    if (rc == 0 && n == 0 && !save) {
        db_rollback(s->db);
        return;
    }
    if (rc == 0 && store_commit_tidied(s) == 0) {
        store_queue_tell(s);
        return;
    }
    db_rollback(s->db);
    store_account_forget(s, true);
bad:
    s->blobs = blobs;
    s->event = event;
    store_queue_begin(s);
    w->result = db_fail(s->db, &w->fail);
}
