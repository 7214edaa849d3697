/* store_queue_change: the queue for people: what is in it, and what they do to it. */
#include "base/clock.h"
#include "store/store_queue_impl.h"
#include "store/store_read.h"

enum { LIST_MOST = 500, REPLY_BYTES = 150 * 1024, SCANNED = 20000, CHANGED = 2000 };

struct filter { struct span trace, domain, sender, address; uint32_t state; };

/* exact, or "*@domain"; the domain's case does not count. */
static bool matches_address(struct span want, struct span has)
{
    if (want.n == 0)
        return true;
    ptrdiff_t at = span_rfind_char(has, '@');
    if (span_starts(want, SPAN("*@")))
        return at >= 0 && span_eq_nocase(span_from(want, 2), span_from(has, (size_t)at + 1));
    return span_eq_nocase(want, has);
}

/* The present row of QUEUE_SCAN. */
static enum queue_state state_of(struct store *s, struct db *db)
{
    enum db_id id = DB_QUEUE_SCAN;
    if (db_i64(db, id, 2) == QUEUE_HELD)
        return QUEUE_HELD;
    return db_i64(db, id, 13) != 0 || store_queue_leased(s, (uint64_t)db_i64(db, id, 0), NULL) ? QUEUE_LEASED : QUEUE_WAITING;
}

static bool matches(struct store *s, struct db *db, const struct filter *f)
{
    enum db_id id = DB_QUEUE_SCAN;
    return (f->trace.n == 0 || span_eq(f->trace, db_bytes(db, id, 14))) &&
           (f->domain.n == 0 || span_eq_nocase(f->domain, db_bytes(db, id, 6))) && matches_address(f->sender, db_bytes(db, id, 15)) &&
           matches_address(f->address, db_bytes(db, id, 7)) && (f->state == 0 || f->state - 1 == state_of(s, db));
}

/* ---- list ---- */

static struct msg_queue_row row_of(struct store *s, struct db *db, struct arena *mem)
{
    enum db_id id = DB_QUEUE_SCAN;
    int64_t due = db_i64(db, id, 4);
    return (struct msg_queue_row){.rid = (uint64_t)db_i64(db, id, 0), .qid = (uint64_t)db_i64(db, id, 1), .state = state_of(s, db),
        .tries = (uint32_t)db_i64(db, id, 3), .due_ms = due == INT64_MAX ? 0 : store_queue_wall(s, due),
        .expires_ms = store_queue_wall(s, db_i64(db, id, 5)), .domain = arena_copy(mem, db_bytes(db, id, 6)),
        .address = arena_copy(mem, db_bytes(db, id, 7)), .route = arena_copy(mem, db_bytes(db, id, 8)),
        .last_code = (uint32_t)db_i64(db, id, 9), .last_status = arena_copy(mem, db_bytes(db, id, 10)),
        .last_text = arena_copy(mem, db_bytes(db, id, 11)), .last_host = arena_copy(mem, db_bytes(db, id, 12)),
        .trace = arena_copy(mem, db_bytes(db, id, 14)), .sender = arena_copy(mem, db_bytes(db, id, 15)),
        .created_ms = store_queue_wall(s, db_i64(db, id, 16)), .size = (uint64_t)db_i64(db, id, 17)};
}

int store_queue_list(struct store *s, const struct msg_queue_list *in, struct msg_queue_list_r *out, struct arena *mem,
                     struct fail *f)
{
    struct filter want = {in->trace, in->domain, in->sender, in->address, in->state};
    VEC(struct msg_queue_row) rows = {0};
    size_t bytes = 0, most = in->limit != 0 ? MIN_OF(in->limit, (uint32_t)LIST_MOST) : LIST_MOST, seen = 0;
    struct db *db = store_reader(s);
    uint64_t last = 0;
    int rc = DB_FIRST(db, DB_QUEUE_SCAN, DB_I(in->after));
    for (; rc == 1 && rows.n < most && bytes < REPLY_BYTES && seen < SCANNED; rc = db_next(db, DB_QUEUE_SCAN), seen++) {
        last = (uint64_t)db_i64(db, DB_QUEUE_SCAN, 0);
        if (!matches(s, db, &want))
            continue;
        struct msg_queue_row r = row_of(s, db, mem);
        bytes += 200 + r.domain.n + r.address.n + r.sender.n + r.last_text.n + r.last_host.n;
        *VEC_PUSH(&rows) = r;
    }
    if (rc < 0)
        db_fail(db, f);
    db_end(db, DB_QUEUE_SCAN);
    store_reader_done(s, db);
    *out = (struct msg_queue_list_r){.next = rc == 1 ? last : 0};
    out->rows.n = (uint32_t)rows.n;
    out->rows.v = store_read_take(mem, rows.v, rows.n, sizeof *rows.v);
    VEC_FREE(&rows);
    return rc < 0 ? -1 : 0;
}

/* ---- change ---- */

static int hold(struct store *s, const struct msg_queue_change *in, const struct store_queue_rcpt *r, int64_t now)
{
    int64_t until = in->until_ms != 0 ? store_queue_of_wall(s, in->until_ms) : INT64_MAX;
    return DB_RUN(s->db, DB_QUEUE_RCPT_HOLD, DB_I(r->rid), DB_I(until), DB_I(r->state == QUEUE_HELD ? r->held_ms : now));
}

static int drop(struct store *s, const struct store_queue_message *m, const struct store_queue_rcpt *r, bool report)
{
    struct msg_event_row why = {.kind = EVENT_DROPPED, .address = r->address};
    if (report) {
        why.status = SPAN("5.7.0");
        why.text = SPAN("given up by the administrator of this server");
        return store_queue_fail(s, m, r, EVENT_FAILED, &why);
    }
    return store_event_of(s, m, &why) != 0 ? -1 : store_queue_rcpt_end(s, m, r->rid);
}

/* 1: changed, 0: nothing to do, -1. */
static int change_one(struct store *s, const struct msg_queue_change *in, uint64_t rid, int64_t now)
{
    struct store_queue_rcpt r;
    struct store_queue_message m;
    struct msg_event_row step = {0};
    int rc = store_queue_rcpt_get(s->db, rid, &r, &s->mem);
    if (rc != 1 || store_queue_message_get(s->db, r.qid, &m, &s->mem) != 1)
        return rc == 0 ? 0 : -1;
    step.address = r.address;
    switch ((enum queue_action)in->action) {
    case QUEUE_HOLD:
        step.kind = EVENT_HELD;
        step.due_ms = in->until_ms;
        rc = hold(s, in, &r, now);
        break;
    case QUEUE_RELEASE:
        if (r.state != QUEUE_HELD)
            return 0;
        step.kind = EVENT_RELEASED;
        rc = DB_RUN(s->db, DB_QUEUE_RCPT_RELEASE, DB_I(rid), DB_I(now));
        break;
    case QUEUE_RETRY:
        if (r.state == QUEUE_HELD)
            return 0;
        store_queue_ready(s, r.domain, now);
        return DB_RUN(s->db, DB_QUEUE_RCPT_DUE, DB_I(rid), DB_I(now)) != 0 ? -1 : 1;
    case QUEUE_DROP:
    case QUEUE_BOUNCE:
        return drop(s, &m, &r, in->action == QUEUE_BOUNCE) != 0 ? -1 : 1;
    case QUEUE_ROUTE:
        step.kind = EVENT_ROUTED;
        step.text = in->route;
        rc = DB_RUN(s->db, DB_QUEUE_RCPT_ROUTE, DB_I(rid), DB_B(in->route), DB_I(now));
        break;
    }
    if (in->action != QUEUE_HOLD)
        store_queue_ready(s, r.domain, now);
    return rc != 0 || store_event_of(s, &m, &step) != 0 ? -1 : 1;
}

int store_queue_change(struct store *s, struct store_op *op)
{
    const struct msg_queue_change *in = op->w->in;
    struct msg_queue_change_r *out = op->w->out;
    struct filter want = {in->trace, in->domain, in->sender, in->address, in->state};
    VEC(uint64_t) rids = {0};
    size_t seen = 0;
    uint64_t last = 0;
    *out = (struct msg_queue_change_r){0};
    if (in->action > QUEUE_ROUTE || in->route.n > 300)
        return fail_perm(&op->w->fail, "5.5.4", "queue_change: unknown action");
    if (in->all == 0 && in->trace.n + in->domain.n + in->sender.n + in->address.n == 0 && in->state == 0)
        return fail_perm(&op->w->fail, "5.5.4", "queue_change: no filter, and not said to be for all");
    int64_t now = store_queue_now(s);
    int rc = DB_FIRST(s->db, DB_QUEUE_SCAN, DB_I(in->after));
    for (; rc == 1 && rids.n < CHANGED && seen < SCANNED; rc = db_next(s->db, DB_QUEUE_SCAN), seen++) {
        last = (uint64_t)db_i64(s->db, DB_QUEUE_SCAN, 0);
        if (matches(s, s->db, &want))
            *VEC_PUSH(&rids) = last;
    }
    db_end(s->db, DB_QUEUE_SCAN);
    out->next = rc == 1 ? last : 0;
    rc = MIN_OF(rc, 0);
    for (size_t i = 0; i < rids.n && rc >= 0; i++) {
        rc = change_one(s, in, rids.v[i], now);
        out->changed += rc == 1;
    }
    VEC_FREE(&rids);
    return rc < 0 ? -1 : store_queue_time_save(s);
}
