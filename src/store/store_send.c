/* store_send: what an account may send: messages and recipients it never wrote to before, a day (UTC). Counted in the
 * commit of the message; asked at RCPT so that the client hears of it early. */
#include "base/clock.h"
#include "base/limits.h"
#include "store/store_queue_impl.h"

enum { DAY_S = 86400 };

static int counts(struct db *db, uint64_t account, int64_t day, int64_t *messages, int64_t *fresh)
{
    int rc = DB_FIRST(db, DB_SEND_DAY, DB_I(account), DB_I(day));
    *messages = rc == 1 ? db_i64(db, DB_SEND_DAY, 0) : 0;
    *fresh = rc == 1 ? db_i64(db, DB_SEND_DAY, 1) : 0;
    db_end(db, DB_SEND_DAY);
    return rc < 0 ? -1 : 0;
}

/* 1: known, 0, -1. */
static int known(struct db *db, uint64_t account, struct span address)
{
    int rc = DB_FIRST(db, DB_CORRESPONDENT_HAS, DB_I(account), DB_B(address));
    db_end(db, DB_CORRESPONDENT_HAS);
    return rc;
}

/* The same person whatever the case: ASCII only, as the domain is A-labels already. */
static struct span folded(struct span address, struct arena *mem)
{
    char *p = arena_z(mem, address);
    for (size_t i = 0; i < address.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + 32);
    return span_of(p, address.n);
}

int store_send_check(struct store *s, uint64_t account, const struct msg_send_check *in, struct msg_send_check_r *out, struct fail *f)
{
    int64_t day = clock_now_s() / DAY_S, messages, fresh;
    struct arena mem;
    arena_init(&mem);
    struct db *db = store_reader(s);
    int rc = counts(db, account, day, &messages, &fresh), met = rc == 0 ? known(db, account, folded(in->address, &mem)) : -1;
    if (met < 0)
        db_fail(db, f);
    store_reader_done(s, db);
    arena_done(&mem);
    if (met < 0)
        return -1;
    bool full = messages >= LIMIT(SEND_MESSAGES), many = met == 0 && fresh >= LIMIT(SEND_NEW_RCPTS);
    *out = (struct msg_send_check_r){.refused = full ? SEND_MESSAGES : many ? SEND_NEW_RCPTS : SEND_OK};
    if (out->refused != SEND_OK)
        out->again_ms = (day + 1) * DAY_S * 1000;
    return 0;
}

int store_send_count(struct store *s, struct store_op *op)
{
    const struct msg_ingest *in = op->arrival;
    uint64_t account = op->w->extra != NULL ? op->w->extra->sender : 0;
    int64_t day = clock_now_s() / DAY_S, messages, fresh, more = 0;
    if (account == 0)
        return 0;
    if (counts(s->db, account, day, &messages, &fresh) != 0)
        return -1;
    for (uint32_t i = 0; i < in->remotes.n; i++) {
        if (in->remotes.v[i].via.n > 0)
            continue;
        struct span address = folded(in->remotes.v[i].address, &s->mem);
        int met = known(s->db, account, address);
        if (met < 0 || DB_RUN(s->db, DB_CORRESPONDENT_ADD, DB_I(account), DB_B(address), DB_I(clock_now_s())) != 0)
            return -1;
        more += met == 0;
    }
    if (messages >= LIMIT(SEND_MESSAGES))
        return fail_temp(&op->w->fail, "4.7.1", "this account has sent as many messages as it may today");
    if (more > 0 && fresh + more > LIMIT(SEND_NEW_RCPTS))
        return fail_temp(&op->w->fail, "4.7.1", "this account has written to as many new recipients as it may today");
    return DB_RUN(s->db, DB_SEND_ADD, DB_I(account), DB_I(day), DB_I(1), DB_I(more));
}

int store_room(struct store *s, const struct msg_room *in, struct msg_room_r *out, struct fail *f)
{
    struct msg_quota_get_r q;
    if (store_quota_get(s, in->account, &q, f) != 0)
        return -1;
    out->bytes = INT64_MAX;
    if (q.limit_bytes >= 0)
        out->bytes = MAX_OF(q.limit_bytes - (int64_t)q.bytes, INT64_C(0));
    if (q.limit_messages >= 0 && (int64_t)q.messages >= q.limit_messages)
        out->bytes = 0;
    return 0;
}
