/* store_queue_suspend: a domain's mail rests, and goes on; the time of its rest does not make it older.
 *
 * Resuming gives that time back to every row of the domain, in order of rid, in steps between the commits of others; until the last
 * one the domain rests. How far it has come stands in its row, so that no row gets the time twice: a resume that was
 * broken off (the process ended) is gone on with by the next one, which adds what has passed since. */
#include "store/store_queue_impl.h"

enum { LOOKED_AT = 20000, ENOUGH_MS = 60 * 1000 };

struct rest { int64_t since_ms, until_ms; uint64_t done; };

static int get(struct store *s, struct span domain, struct rest *r)
{
    enum db_id id = DB_QUEUE_SUSPENDED;
    int rc = DB_FIRST(s->db, id, DB_B(domain));
    if (rc == 1)
        *r = (struct rest){db_i64(s->db, id, 0), db_i64(s->db, id, 1), (uint64_t)db_i64(s->db, id, 2)};
    db_end(s->db, id);
    return rc;
}

int store_queue_suspended(struct store *s, struct span domain)
{
    struct rest r;
    return get(s, domain, &r);
}

/* A step from r->done on, which it moves. 1: rows are left, 0: that was all, -1. */
static int step(struct store *s, struct span domain, struct rest *r)
{
    enum db_id id = DB_QUEUE_RCPT_AFTER;
    int rc = DB_FIRST(s->db, id, DB_I(r->done), DB_I(LOOKED_AT - 1));
    uint64_t to = rc == 1 ? (uint64_t)db_i64(s->db, id, 0) : INT64_MAX;
    db_end(s->db, id);
    if (rc < 0 || DB_RUN(s->db, DB_QUEUE_RCPT_RESUME, DB_B(domain), DB_I(r->done), DB_I(to), DB_I(r->until_ms), DB_I(r->since_ms)) != 0)
        return -1;
    r->done = to;
    return rc;
}

static int resume(struct store *s, struct store_op *op, struct span domain, int64_t now)
{
    struct rest r;
    int rc = get(s, domain, &r);
    if (rc != 1)
        return rc;
    if (r.until_ms == 0)
        r.until_ms = now;
    rc = step(s, domain, &r);
    if (rc == 0 && now - r.until_ms > ENOUGH_MS) { /* it was broken off for a while: that is given back as well */
        r = (struct rest){r.until_ms, now, 0};
        rc = 1;
    }
    if (rc == 1) {
        op->state = OP_LATER;
        return DB_RUN(s->db, DB_QUEUE_RESUMING, DB_B(domain), DB_I(r.since_ms), DB_I(r.until_ms), DB_I(r.done));
    }
    if (rc == 0)
        store_queue_ready(s, domain, now);
    return rc < 0 ? -1 : DB_RUN(s->db, DB_QUEUE_UNSUSPEND, DB_B(domain));
}

int store_queue_suspend(struct store *s, struct store_op *op)
{
    const struct msg_queue_suspend *in = op->w->in;
    struct msg_queue_suspend_r *out = op->w->out;
    int64_t now = store_queue_now(s);
    if (in->domain.n == 0 || in->domain.n > 255)
        return fail_perm(&op->w->fail, "5.5.4", "queue_suspend: which domain?");
    int rc = in->on != 0 ? DB_RUN(s->db, DB_QUEUE_SUSPEND, DB_B(in->domain), DB_I(now)) : resume(s, op, in->domain, now);
    if (rc != 0 || store_queue_time_save(s) != 0)
        return -1;
    if (op->state == OP_LATER)
        return 0;
    rc = DB_FIRST(s->db, DB_QUEUE_DOMAIN_COUNT, DB_B(in->domain));
    out->waiting = rc == 1 ? (uint64_t)db_i64(s->db, DB_QUEUE_DOMAIN_COUNT, 0) : 0;
    db_end(s->db, DB_QUEUE_DOMAIN_COUNT);
    return rc == 1 ? 0 : -1;
}
