/* store_thread: which emails belong together (RFC 8621 3), found out after they came, in order of arrival.
 *
 * An arrival writes its keys (hashes of Message-ID, In-Reply-To, References) into its own row and nothing else. The
 * committer goes through them when it is idle, when a reader needs them, and beside arrivals once it has fallen far
 * behind. s->threaded is how far it has come; emails from there on have no thread yet, and nobody has seen one.
 *
 * An email joins the thread that its own Message-ID is known from, else that of the first of its references that is
 * known; else it begins one. Threads are never merged: RFC 8621 3 has threadId immutable.
 *
 * A key whose thread has no email left counts as unknown. It is not looked for when the thread ends, it would be a random
 * page: when such keys may be as many as the others, a walk through all of them in their order drops them. Every id
 * given since the last walk and not an email now may have left some.
 */
#include "store/store_thread.h"

#include "store/store_read.h"

#include <endian.h>

enum {
    WAIT_STEP = 5000, /* emails per commit while a reader waits */
    ASKED_MOST = 500, /* threads in a request */
    EMAILS_MOST = 6000,
    KEYS_STEP = 5000,
    KEYS_SPARE = 10000, /* below so many ids no walk is worth while */
};

#define STATE_THREADED SPAN("threaded")
#define STATE_KEYS SPAN("thread_keys")

int store_thread_load(struct store *s)
{
    int64_t threaded;
    if (store_state(s, STATE_THREADED, 1, &threaded) != 0 || store_state(s, STATE_KEYS, 0, &s->keys.fresh) != 0)
        return -1;
    s->n_threaded = s->threaded = (uint64_t)threaded;
    s->n_eids = s->next_eid;
    return 0;
}

uint64_t store_thread_behind(const struct store *s)
{
    return s->n_eids - MIN_OF(s->threaded, (uint64_t)s->n_eids);
}

/* ---- giving threads ---- */

struct keyed {
    uint64_t eid, account, own;
    struct span refs;
};

static uint64_t key_at(struct span refs, size_t i)
{
    uint64_t v;
    memcpy(&v, refs.p + i * 8, 8);
    return le64toh(v);
}

/* The thread that a key is known from; 0: none. */
static int known(struct store *s, uint64_t account, uint64_t key, uint64_t *thread)
{
    *thread = 0;
    if (key == 0)
        return 0;
    int rc = DB_FIRST(s->db, DB_THREAD_KEY_GET, DB_I(account), DB_I(key));
    if (rc == 1)
        *thread = (uint64_t)db_i64(s->db, DB_THREAD_KEY_GET, 0);
    db_end(s->db, DB_THREAD_KEY_GET);
    return rc < 0 ? -1 : 0;
}

static int put_key(struct store *s, uint64_t account, uint64_t key, uint64_t thread)
{
    return key == 0 ? 0 : DB_RUN(s->db, DB_THREAD_KEY_PUT, DB_I(account), DB_I(key), DB_I(thread));
}

static int assign(struct store *s, const struct keyed *k)
{
    uint64_t thread;
    size_t n = k->refs.n / 8;
    if (known(s, k->account, k->own, &thread) != 0)
        return -1;
    for (size_t i = 0; i < n && thread == 0; i++)
        if (known(s, k->account, key_at(k->refs, i), &thread) != 0)
            return -1;
    thread = thread != 0 ? thread : k->eid;
    if (DB_RUN(s->db, DB_THREAD_PUT, DB_I(k->eid), DB_I(thread)) != 0 || put_key(s, k->account, k->own, thread) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (put_key(s, k->account, key_at(k->refs, i), thread) != 0)
            return -1;
    return 0;
}

int store_thread_step(struct store *s, size_t most)
{
    enum db_id id = DB_EMAIL_KEYS;
    uint64_t end = s->n_eids, next = s->threaded;
    size_t n = 0;
    int rc = DB_FIRST(s->db, id, DB_I(next), DB_I(end), DB_I(most));
    for (; rc == 1; rc = db_next(s->db, id)) {
        struct keyed k = {(uint64_t)db_i64(s->db, id, 0), (uint64_t)db_i64(s->db, id, 1),
                          (uint64_t)db_i64(s->db, id, 2), db_bytes(s->db, id, 3)};
        n++;
        next = k.eid + 1;
        if (assign(s, &k) != 0) {
            db_end(s->db, id);
            return -1;
        }
    }
    if (rc != 0)
        return -1;
    s->threaded = n < most ? MAX_OF(end, s->threaded) : next;
    return DB_RUN(s->db, DB_STATE_PUT, DB_T(STATE_THREADED), DB_I(s->threaded));
}

int store_thread_apply(struct store *s, struct store_op *op)
{
    if (store_thread_behind(s) == 0)
        return 0;
    if (store_thread_step(s, WAIT_STEP) != 0)
        return -1;
    op->state = store_thread_behind(s) > 0 ? OP_LATER : op->state;
    return 0;
}

int store_thread_forget(struct store *s, uint64_t eid, uint64_t *thread)
{
    *thread = eid;
    if (eid >= s->threaded)
        return 0;
    int rc = DB_FIRST(s->db, DB_THREAD_OF, DB_I(eid));
    if (rc != 1)
        return rc;
    *thread = (uint64_t)db_i64(s->db, DB_THREAD_OF, 0);
    db_end(s->db, DB_THREAD_OF);
    return DB_RUN(s->db, DB_THREAD_DROP, DB_I(eid));
}

/* ---- the keys of threads that ended ---- */

static int64_t fresh(const struct store *s) { return (int64_t)s->emails - (int64_t)s->next_eid; }

bool store_thread_keys_due(const struct store *s)
{
    int64_t ended = s->keys.fresh - fresh(s); /* at most */
    return s->keys.walking || ended > (int64_t)s->emails + KEYS_SPARE;
}

int store_thread_keys_step(struct store *s)
{
    struct store_keys *k = &s->keys;
    if (!k->walking)
        *k = (struct store_keys){.walking = true, .fresh = fresh(s)};
    int rc = DB_FIRST(s->db, DB_THREAD_KEY_AHEAD, DB_I(k->account), DB_I(k->key), DB_I(KEYS_STEP - 1));
    int64_t account = rc == 1 ? db_i64(s->db, DB_THREAD_KEY_AHEAD, 0) : INT64_MAX;
    int64_t key = rc == 1 ? db_i64(s->db, DB_THREAD_KEY_AHEAD, 1) : INT64_MAX;
    db_end(s->db, DB_THREAD_KEY_AHEAD);
    if (rc < 0 || DB_RUN(s->db, DB_THREAD_KEY_SWEEP, DB_I(k->account), DB_I(k->key), DB_I(account), DB_I(key)) != 0)
        return -1;
    k->account = account;
    k->key = key;
    k->walking = rc == 1;
    return k->walking ? 1 : DB_RUN(s->db, DB_STATE_PUT, DB_T(STATE_KEYS), DB_I(k->fresh));
}

/* ---- reading ---- */

int store_thread_wait(struct store *s, uint64_t eid, struct fail *f)
{
    if (atomic_load(&s->n_threaded) >= MIN_OF(eid, atomic_load(&s->n_eids)))
        return 0;
    struct store_write w = {.id = MSG_ID_thread_get};
    if (store_wait(s, &w) == 0)
        return 0;
    *f = w.fail;
    return -1;
}

/* 1: at least one mailbox has it without \Deleted, 0, -1. */
static int visible(struct db *db, uint64_t eid)
{
    enum db_id id = DB_MEMBER_ALL_OF_EMAIL;
    bool seen = false;
    int rc = DB_FIRST(db, id, DB_I(eid));
    for (; rc == 1; rc = db_next(db, id))
        seen |= ((uint32_t)db_i64(db, id, 3) & FLAG_DELETED) == 0;
    return rc != 0 ? -1 : seen;
}

struct emails {
    struct msg_thread_email *v;
    size_t n, cap;
};

/* The emails of one thread, when they are the account's. */
static int one_thread(struct db *db, uint64_t account, uint64_t thread, struct emails *out)
{
    enum db_id id = DB_THREAD_EMAILS;
    int rc = DB_FIRST(db, id, DB_I(thread));
    for (; rc == 1; rc = db_next(db, id)) {
        uint64_t eid = (uint64_t)db_i64(db, id, 0);
        int got = DB_FIRST(db, DB_EMAIL_HEAD, DB_I(eid)), shown = 0;
        if (got == 1 && (uint64_t)db_i64(db, DB_EMAIL_HEAD, 0) == account) {
            int64_t received_ms = db_i64(db, DB_EMAIL_HEAD, 1);
            if ((shown = visible(db, eid)) >= 0)
                *VEC_PUSH(out) = (struct msg_thread_email){thread, eid, received_ms, (uint32_t)shown};
        }
        db_end(db, DB_EMAIL_HEAD);
        if (got < 0 || shown < 0) {
            db_end(db, id);
            return -1;
        }
    }
    return rc;
}

static int age_order(const void *a, const void *b)
{
    const struct msg_thread_email *x = a, *y = b;
    if (x->received_ms != y->received_ms)
        return x->received_ms < y->received_ms ? -1 : 1;
    return (x->eid > y->eid) - (x->eid < y->eid);
}

int store_thread_get(struct store *s, uint64_t account, const struct msg_thread_get *in, struct msg_thread_get_r *out,
                     struct arena *mem, struct fail *f)
{
    struct emails all = {0};
    *out = (struct msg_thread_get_r){0};
    if (store_thread_wait(s, UINT64_MAX, f) != 0)
        return -1;
    struct db *db = store_reader(s);
    int rc = db_begin(db);
    for (; out->done < MIN_OF(in->threads.n, (uint32_t)ASKED_MOST) && all.n < EMAILS_MOST && rc == 0; out->done++) {
        size_t from = all.n;
        rc = one_thread(db, account, in->threads.v[out->done].eid, &all);
        if (all.n > EMAILS_MOST && from > 0) { /* the next request begins with it */
            all.n = from;
            break;
        }
        if (all.n > from + 1)
            qsort(all.v + from, all.n - from, sizeof *all.v, age_order);
    }
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    all.n = MIN_OF(all.n, (size_t)EMAILS_MOST); /* a thread above it is cut: RFC 8620 3.6.1 leaves that open */
    out->emails.n = (uint32_t)all.n;
    out->emails.v = store_read_take(mem, all.v, all.n, sizeof *all.v);
    VEC_FREE(&all);
    return rc;
}
