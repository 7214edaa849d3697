/* store_report: which reports (DSN) are still to be made. A row is noted in the commit that made it necessary and goes in
 * the commit that brings the report: exactly one each. */
#include "base/clock.h"
#include "base/limits.h"
#include "store/store_queue_impl.h"
#include "store/store_read.h"

enum { ROWS_MOST = 100, TEXT_MOST = 4000 };

int store_report_put(struct store *s, const struct store_queue_message *m, uint64_t rid, uint32_t action, struct span address,
                     struct span orcpt, const struct msg_event_row *why)
{
    if (m->report.n == 0) /* SEC-19: nobody is to hear of it; the event tells */
        return 0;
    int64_t now = store_queue_now(s);
    s->queue.reports = true;
    return DB_RUN(s->db, DB_QUEUE_REPORT_PUT, DB_I(rid), DB_I(action), DB_I(m->qid), DB_I(now + LIMIT(DSN_GATHER_MS)),
                  DB_I(clock_now_ms()), DB_I(why->code), DB_I(why->cause), DB_I(why->due_ms), DB_B(address), DB_B(orcpt),
                  DB_B(why->status), DB_B(span_sub(why->text, 0, TEXT_MOST)), DB_B(why->host));
}

int store_report_done(struct store *s, const struct store_extra *x)
{
    struct store_queue_message m;
    for (size_t i = 0; i < x->n_done; i++)
        if (DB_RUN(s->db, DB_QUEUE_REPORT_DELETE, DB_I(x->done[i].rid), DB_I(x->done[i].action)) != 0)
            return -1;
    int rc = store_queue_message_get(s->db, x->about, &m, &s->mem);
    return rc != 1 ? rc : store_queue_message_end(s, &m);
}

int store_report_untold(struct store *s, struct store_op *op)
{
    struct store_queue_message m;
    int rc = store_queue_message_get(s->db, op->w->account, &m, &s->mem);
    if (rc != 1)
        return rc;
    struct msg_event_row step = {.kind = EVENT_REPORTED, 
                                 .text = arena_printf(&s->mem, "to nobody: there is no mailbox <%.*s>", SPAN_ARGS(m.report))};
    return DB_RUN(s->db, DB_QUEUE_REPORT_DROP, DB_I(m.qid), DB_I(m.rcpts)) != 0 || store_event_of(s, &m, &step) != 0
               ? -1
               : store_queue_message_end(s, &m);
}

/* Tried again later: scan or auth could not be asked. */
int store_report_later(struct store *s, struct store_op *op)
{
    struct store_queue_message m;
    int rc = store_queue_message_get(s->db, op->w->account, &m, &s->mem);
    return rc != 1 ? rc : DB_RUN(s->db, DB_QUEUE_REPORT_LATER, DB_I(m.qid), DB_I(m.rcpts), DB_I(store_queue_now(s) + 60 * 1000));
}

/* ---- reading ---- */

static int rows_of(struct db *db, const struct store_queue_message *m, struct store_report *out, struct arena *mem)
{
    enum db_id id = DB_QUEUE_REPORT_OF;
    VEC(struct store_report_row) rows = {0};
    int rc = DB_FIRST(db, id, DB_I(m->qid), DB_I(m->rcpts), DB_I(ROWS_MOST));
    for (; rc == 1; rc = db_next(db, id)) {
        struct store_report_row r = {.rid = (uint64_t)db_i64(db, id, 0), .action = (uint32_t)db_i64(db, id, 1),
            .at_ms = db_i64(db, id, 2), .code = (uint32_t)db_i64(db, id, 3), .cause = (uint32_t)db_i64(db, id, 4),
            .until_ms = db_i64(db, id, 5), .address = arena_copy(mem, db_bytes(db, id, 6)),
            .orcpt = arena_copy(mem, db_bytes(db, id, 7)), .status = arena_copy(mem, db_bytes(db, id, 8)),
            .text = arena_copy(mem, db_bytes(db, id, 9)), .host = arena_copy(mem, db_bytes(db, id, 10)),
            .tries = (uint32_t)db_i64(db, id, 11)};
        *VEC_PUSH(&rows) = r;
    }
    out->n = rows.n;
    out->rows = store_read_take(mem, rows.v, rows.n, sizeof *rows.v);
    VEC_FREE(&rows);
    return rc;
}

static int next(struct store *s, struct db *db, struct store_report *out, int64_t *wait_ms, struct arena *mem)
{
    struct store_queue_message m;
    int rc = DB_FIRST(db, DB_QUEUE_REPORT_DUE);
    if (rc != 1)
        return rc;
    uint64_t qid = (uint64_t)db_i64(db, DB_QUEUE_REPORT_DUE, 0);
    *wait_ms = MAX_OF(store_queue_wall(s, db_i64(db, DB_QUEUE_REPORT_DUE, 1)) - clock_now_ms(), INT64_C(0));
    db_end(db, DB_QUEUE_REPORT_DUE);
    if (*wait_ms > 0)
        return 0;
    rc = store_queue_message_get(db, qid, &m, mem);
    if (rc != 1)
        return rc;
    *out = (struct store_report){.qid = qid, .account = m.account, .size = m.size, .msgid_hash = m.msgid_hash, .flags = m.flags,
        .ret = m.ret, .created_ms = store_queue_wall(s, m.created_ms), .trace = m.trace, .sender = m.sender, .report = m.report,
        .envid = m.envid};
    rc = rows_of(db, &m, out, mem);
    return rc < 0 ? -1 : out->n > 0;
}

int store_report_next(struct store *s, struct store_report *out, int64_t *wait_ms, struct arena *mem, struct fail *f)
{
    struct db *db = store_reader(s);
    *wait_ms = -1;
    int rc = db_begin(db);
    if (rc == 0)
        rc = next(s, db, out, wait_ms, mem);
    if (rc < 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    return rc;
}
