/* store_op: results of operations that were seen before, so that a repeated one is answered and not done again
 * (REL-02).
 *
 * result: u64 values, little endian: kind of operation, account, then what its reply holds. */
#include "base/clock.h"
#include "store/store_impl.h"

#include <endian.h>

enum { OP_INGEST = 1, OP_FLAGS = 2, OP_EXPUNGE = 3, KEPT_S = 86400, PURGE_STEP = 500 };

static void put(struct str *s, uint64_t v)
{
    v = htole64(v);
    str_add(s, span_of(&v, 8));
}

static uint64_t get(struct span s, size_t i)
{
    uint64_t v = 0;
    if ((i + 1) * 8 <= s.n)
        memcpy(&v, s.p + i * 8, 8);
    return le64toh(v);
}

static uint64_t kind_of(enum msg_id id)
{
    return id == MSG_ID_ingest ? OP_INGEST : id == MSG_ID_flags_set ? OP_FLAGS : OP_EXPUNGE;
}

static void encode(struct str *out, const struct store_op *op)
{
    put(out, kind_of(op->w->id));
    put(out, op->w->id == MSG_ID_ingest ? 0 : op->account);
    if (op->w->id == MSG_ID_ingest) {
        const struct msg_ingest_r *r = op->w->out;
        for (uint32_t i = 0; i < r->results.n; i++) {
            const struct msg_ingest_result *t = &r->results.v[i];
            put(out, t->account), put(out, t->mailbox), put(out, t->uid), put(out, t->eid), put(out, t->modseq);
        }
    } else if (op->w->id == MSG_ID_flags_set) {
        const struct msg_flags_set_r *r = op->w->out;
        put(out, r->modseq), put(out, r->changed);
        for (uint32_t i = 0; i < r->modified.n; i++)
            put(out, r->modified.v[i].first), put(out, r->modified.v[i].last);
    } else {
        const struct msg_expunge_r *r = op->w->out;
        put(out, r->modseq), put(out, r->removed);
    }
}

static int decode(struct span s, struct store_op *op, struct fail *f)
{
    size_t n = s.n / 8;
    uint64_t account = op->w->id == MSG_ID_ingest ? 0 : op->account;
    if (n < 2 || get(s, 0) != kind_of(op->w->id) || get(s, 1) != account)
        return fail_perm(f, "5.5.4", "the operation id was used for something else");
    if (op->w->id == MSG_ID_ingest) {
        struct msg_ingest_r *r = op->w->out;
        r->repeated = 1;
        r->results.n = (uint32_t)((n - 2) / 5);
        r->results.v = arena_zalloc(op->w->mem, (r->results.n + 1) * sizeof *r->results.v);
        for (uint32_t i = 0; i < r->results.n; i++)
            r->results.v[i] = (struct msg_ingest_result){.account = get(s, 2 + i * 5),
                                                         .mailbox = get(s, 3 + i * 5),
                                                         .uid = get(s, 4 + i * 5),
                                                         .eid = get(s, 5 + i * 5),
                                                         .modseq = get(s, 6 + i * 5)};
    } else if (op->w->id == MSG_ID_flags_set) {
        struct msg_flags_set_r *r = op->w->out;
        r->modseq = get(s, 2);
        r->changed = get(s, 3);
        r->modified.n = n > 4 ? (uint32_t)((n - 4) / 2) : 0;
        r->modified.v = arena_zalloc(op->w->mem, (r->modified.n + 1) * sizeof *r->modified.v);
        for (uint32_t i = 0; i < r->modified.n; i++)
            r->modified.v[i] = (struct msg_uid_range){.first = get(s, 4 + i * 2), .last = get(s, 5 + i * 2)};
    } else {
        struct msg_expunge_r *r = op->w->out;
        r->modseq = get(s, 2);
        r->removed = get(s, 3);
    }
    return 0;
}

int store_op_seen(struct store *s, struct store_op *op)
{
    if (op->id.n == 0)
        return 0;
    int rc = DB_FIRST(s->db, DB_OP_GET, DB_B(op->id));
    if (rc != 1)
        return rc;
    rc = decode(db_bytes(s->db, DB_OP_GET, 0), op, &op->w->fail);
    db_end(s->db, DB_OP_GET);
    return rc == 0 ? 1 : -1;
}

int store_op_remember(struct store *s, struct store_op *op)
{
    if (op->id.n == 0)
        return 0;
    struct str out;
    str_init(&out, &s->mem);
    encode(&out, op);
    return DB_RUN(s->db, DB_OP_INSERT, DB_B(op->id), DB_I(clock_now_s() + KEPT_S), DB_B(str_span(&out)));
}

/* A small step; 1: there may be more. Ids begin with their time (base/rand.h), so the old ones are at the left edge. */
int store_op_purge(struct store *s)
{
    int64_t now = clock_now_s();
    uint64_t cut_ms = htobe64((uint64_t)(now - KEPT_S) * 1000 << 16);
    if (db_begin(s->db) != 0)
        return -1;
    int rc = DB_RUN(s->db, DB_OP_PURGE, DB_B(span_of(&cut_ms, 6)), DB_I(now), DB_I(PURGE_STEP));
    int64_t gone = rc == 0 ? db_changes(s->db) : 0;
    if (gone == 0) { /* nothing to sync */
        db_rollback(s->db);
        return rc;
    }
    if (db_commit(s->db) != 0) {
        db_rollback(s->db);
        return -1;
    }
    return gone == PURGE_STEP;
}
