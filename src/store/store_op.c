/* store_op: results of operations that were seen before, so that a repeated one is answered and not done again
 * (REL-02).
 *
 * result: u64 values, little endian: kind of operation, account, then what its reply holds. */
#include "base/clock.h"
#include "store/store_impl.h"

#include <endian.h>

enum { KEPT_S = 86400, PURGE_STEP = 500 };

/* Numbers of kinds stand in stored rows. words: a reply that is nothing but so many numbers of 64 bits. */
enum op_kind {
    OP_NONE,
    OP_INGEST,
    OP_FLAGS,
    OP_EXPUNGE,
    OP_APPEND,
    OP_COPY,
    OP_CREATE,
    OP_SET,
    OP_REMOVE,
    OP_PUT,
    OP_HALF
};

struct kind {
    enum op_kind kind;
    uint16_t at; /* of `op` in the request */
    uint16_t words;
};

#define ROW(id, kind, words) [MSG_ID_##id] = {kind, offsetof(struct msg_##id, op), words}
static const struct kind kinds[MSG_ID_COUNT] = {
    ROW(ingest, OP_INGEST, 0),   ROW(flags_set, OP_FLAGS, 0),       ROW(copy, OP_COPY, 0),
    ROW(expunge, OP_EXPUNGE, 2), ROW(append, OP_APPEND, 5),         ROW(mailbox_create, OP_CREATE, 3),
    ROW(mailbox_set, OP_SET, 2), ROW(mailbox_remove, OP_REMOVE, 1), ROW(blob_put, OP_PUT, 2),
};

static const struct kind *kind_of(const struct store_write *w)
{
    static const struct kind none;
    return w->id < MSG_ID_COUNT ? &kinds[w->id] : &none;
}

struct span store_op_id(const struct store_write *w)
{
    const struct kind *k = kind_of(w);
    return k->kind == OP_NONE ? SPAN_NONE : *(const struct span *)(const void *)((const char *)w->in + k->at);
}

/* ---- encoding ---- */

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

static void put_ranges(struct str *out, const struct msg_uid_range *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put(out, v[i].first), put(out, v[i].last);
}

/* What stands from value `at` on. */
static uint32_t get_ranges(struct span s, size_t at, struct msg_uid_range **v, struct arena *mem)
{
    size_t n = s.n / 8 > at ? (s.n / 8 - at) / 2 : 0;
    *v = arena_zalloc(mem, (n + 1) * sizeof **v);
    for (size_t i = 0; i < n; i++)
        (*v)[i] = (struct msg_uid_range){get(s, at + i * 2), get(s, at + i * 2 + 1)};
    return (uint32_t)n;
}

static void encode(struct str *out, const struct store_op *op, bool finished)
{
    const struct kind *k = kind_of(op->w);
    put(out, finished ? k->kind : OP_HALF);
    put(out, k->kind == OP_INGEST ? 0 : op->account);
    if (k->kind == OP_INGEST) {
        const struct msg_ingest_r *r = op->w->out;
        for (uint32_t i = 0; i < r->results.n; i++) {
            const struct msg_ingest_result *t = &r->results.v[i];
            put(out, t->account), put(out, t->mailbox), put(out, t->uid), put(out, t->eid), put(out, t->modseq);
        }
    } else if (k->kind == OP_FLAGS) {
        const struct msg_flags_set_r *r = op->w->out;
        put(out, r->modseq), put(out, r->changed);
        put_ranges(out, r->modified.v, r->modified.n);
    } else if (k->kind == OP_COPY) {
        const struct msg_copy_r *r = op->w->out;
        put(out, r->modseq), put(out, r->uidvalidity), put(out, r->uid), put(out, r->count), put(out, r->next);
        put_ranges(out, r->uids.v, r->uids.n);
    } else {
        for (uint16_t i = 0; i < k->words; i++)
            put(out, ((const uint64_t *)op->w->out)[i]);
    }
}

static void decode_ingest(struct span s, struct store_op *op)
{
    struct msg_ingest_r *r = op->w->out;
    r->repeated = 1;
    r->results.n = (uint32_t)((s.n / 8 - 2) / 5);
    r->results.v = arena_zalloc(op->w->mem, (r->results.n + 1) * sizeof *r->results.v);
    for (uint32_t i = 0; i < r->results.n; i++)
        r->results.v[i] = (struct msg_ingest_result){.account = get(s, 2 + i * 5),
                                                     .mailbox = get(s, 3 + i * 5),
                                                     .uid = get(s, 4 + i * 5),
                                                     .eid = get(s, 5 + i * 5),
                                                     .modseq = get(s, 6 + i * 5)};
}

/* 1: out is filled, 0: half done, go on, -1. */
static int decode(struct span s, struct store_op *op, struct fail *f)
{
    const struct kind *k = kind_of(op->w);
    bool half = get(s, 0) == OP_HALF && k->kind == OP_SET;
    if (s.n < 16 || (get(s, 0) != k->kind && !half) || get(s, 1) != (k->kind == OP_INGEST ? 0 : op->account))
        return fail_perm(f, "5.5.4", "the operation id was used for something else");
    if (k->kind == OP_INGEST) {
        decode_ingest(s, op);
    } else if (k->kind == OP_FLAGS) {
        struct msg_flags_set_r *r = op->w->out;
        r->modseq = get(s, 2);
        r->changed = get(s, 3);
        r->modified.n = get_ranges(s, 4, &r->modified.v, op->w->mem);
    } else if (k->kind == OP_COPY) {
        struct msg_copy_r *r = op->w->out;
        *r = (struct msg_copy_r){get(s, 2), get(s, 3), get(s, 4), get(s, 5), get(s, 6), {0}};
        r->uids.n = get_ranges(s, 7, &r->uids.v, op->w->mem);
    } else {
        for (uint16_t i = 0; i < k->words; i++)
            ((uint64_t *)op->w->out)[i] = get(s, 2 + i);
    }
    return !half;
}

/* ---- */

int store_op_seen(struct store *s, struct store_op *op)
{
    if (op->w->id == MSG_ID_mailbox_set) /* what an attempt that was rolled back has left there */
        ((struct msg_mailbox_set_r *)op->w->out)->mailbox = 0;
    if (op->id.n == 0)
        return 0;
    int rc = DB_FIRST(s->db, DB_OP_GET, DB_B(op->id));
    if (rc != 1)
        return rc;
    rc = decode(db_bytes(s->db, DB_OP_GET, 0), op, &op->w->fail);
    db_end(s->db, DB_OP_GET);
    return rc;
}

int store_op_remember(struct store *s, struct store_op *op, bool finished)
{
    if (op->id.n == 0)
        return 0;
    struct str out;
    str_init(&out, &s->mem);
    encode(&out, op, finished);
    return DB_RUN(s->db, DB_OP_INSERT, DB_B(op->id), DB_I(clock_now_s() + KEPT_S), DB_B(str_span(&out)));
}

/* A small step; 1: there may be more. Ids begin with their time (base/rand.h), so the old ones are at the left edge. */
int store_op_purge(struct store *s, size_t *gone)
{
    int64_t now = clock_now_s();
    uint64_t cut_ms = htobe64((uint64_t)(now - KEPT_S) * 1000 << 16);
    if (DB_RUN(s->db, DB_OP_PURGE, DB_B(span_of(&cut_ms, 6)), DB_I(now), DB_I(PURGE_STEP)) != 0)
        return -1;
    int64_t n = db_changes(s->db);
    *gone += (size_t)n;
    return n == PURGE_STEP;
}
