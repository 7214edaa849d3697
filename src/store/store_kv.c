/* store_kv: small values, which parts of the program keep under names of their own, for an account or (0) for all. */
#include "base/clock.h"
#include "base/limits.h"
#include "store/store_read.h"

enum { LIST_MOST = 1000, REPLY_BYTES = 150 * 1024 };

static int check(struct store *s, struct store_op *op, const struct msg_kv_set *in)
{
    struct fail *f = &op->w->fail;
    if (in->key.n == 0 || in->key.n > (size_t)LIMIT(KV_KEY_BYTES) || in->ttl_s < 0 || in->remove > 1)
        return fail_perm(f, "5.5.4", "kv_set: not a key, or not a time");
    if (in->value.n > (size_t)LIMIT(KV_VALUE_BYTES))
        return fail_perm(f, "5.2.36", "the value is too big");
    if (in->remove != 0 || op->account == 0)
        return 0;
    int rc = DB_FIRST(s->db, DB_KV_GET, DB_I(op->account), DB_B(in->key));
    db_end(s->db, DB_KV_GET);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (DB_FIRST(s->db, DB_KV_COUNT, DB_I(op->account)) != 1)
        return -1;
    int64_t n = db_i64(s->db, DB_KV_COUNT, 0);
    db_end(s->db, DB_KV_COUNT);
    return n < LIMIT(KV_VALUES) ? 0 : fail_perm(f, "5.2.36", "too many values");
}

int store_kv_apply(struct store *s, struct store_op *op)
{
    const struct msg_kv_set *in = op->w->in;
    if (check(s, op, in) != 0)
        return -1;
    if (op->account != 0 && store_account_get(s, op->account, true) == NULL) /* so that it goes with the account */
        return -1;
    if (in->remove != 0)
        return DB_RUN(s->db, DB_KV_DELETE, DB_I(op->account), DB_B(in->key));
    int64_t expires_s = in->ttl_s == 0 ? 0 : clock_now_s() + MIN_OF(in->ttl_s, (int64_t)UINT32_MAX);
    return DB_RUN(s->db, DB_KV_PUT, DB_I(op->account), DB_B(in->key), DB_B(in->value), DB_I(expires_s));
}

static bool alive(int64_t expires_s)
{
    return expires_s == 0 || expires_s > clock_now_s();
}

int store_kv_get(struct store *s, uint64_t account, const struct msg_kv_get *in, struct msg_kv_get_r *out,
                 struct arena *mem, struct fail *f)
{
    enum db_id id = DB_KV_GET;
    *out = (struct msg_kv_get_r){0};
    struct db *db = store_reader(s);
    int rc = DB_FIRST(db, id, DB_I(account), DB_B(in->key));
    if (rc == 1 && alive(db_i64(db, id, 1)))
        *out = (struct msg_kv_get_r){1, arena_copy(mem, db_bytes(db, id, 0)), db_i64(db, id, 1)};
    if (rc < 0)
        db_fail(db, f);
    db_end(db, id);
    store_reader_done(s, db);
    return rc < 0 ? -1 : 0;
}

int store_kv_list(struct store *s, uint64_t account, const struct msg_kv_list *in, struct msg_kv_list_r *out,
                  struct arena *mem, struct fail *f)
{
    enum db_id id = DB_KV_LIST;
    VEC(struct msg_kv_row) rows = {0};
    size_t bytes = 0;
    *out = (struct msg_kv_list_r){0};
    struct db *db = store_reader(s);
    int rc = DB_FIRST(db, id, DB_I(account), DB_B(in->after), DB_B(in->prefix), DB_I(LIST_MOST + 1));
    for (; rc == 1; rc = db_next(db, id)) {
        struct span key = db_bytes(db, id, 0), value = db_bytes(db, id, 1);
        if (!span_starts(key, in->prefix))
            break;
        if (!alive(db_i64(db, id, 2)))
            continue;
        bytes += key.n + value.n + 16;
        out->more = rows.n > 0 && (bytes > REPLY_BYTES || rows.n == LIST_MOST);
        if (out->more)
            break;
        *VEC_PUSH(&rows) = (struct msg_kv_row){arena_copy(mem, key), arena_copy(mem, value)};
    }
    if (rc < 0)
        db_fail(db, f);
    db_end(db, id);
    store_reader_done(s, db);
    out->rows.n = (uint32_t)rows.n;
    out->rows.v = store_read_take(mem, rows.v, rows.n, sizeof *rows.v);
    VEC_FREE(&rows);
    return rc < 0 ? -1 : 0;
}
