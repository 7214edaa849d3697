/* store_tidy: what the committer does when nobody waits (see the header). */
#include "store/store_tidy.h"

#include "base/clock.h"
#include "base/limits.h"
#include "store/store_blob.h"
#include "store/store_queue_impl.h"
#include "store/store_thread.h"

enum {
    EVERY_MS = 60000, /* a round through what goes by age */
    OVERDUE_MS = 900000, /* a store that is never idle has one all the same, */
    STEP_MS = 500,       /* a step of it at most so often */
    THREAD_STEP = 2000,
    GONE_STEP = 1000,
    ACCOUNTS_STEP = 100,
    UPLOAD_STEP = 50,
    VALUE_STEP = 500,
};

bool store_tidy_due(const struct store *s, bool busy)
{
    int64_t now = clock_mono_ms();
    if (busy)
        return !s->broken && now - s->purged_ms > OVERDUE_MS && now >= s->tidied_ms + STEP_MS;
    return store_thread_behind(s) > 0 || store_thread_keys_due(s) || s->tidying || now - s->purged_ms > EVERY_MS;
}

/* The old tombstones of an account, from the oldest on; the floor goes up to the last of them. *n: how many. */
static int purge_account(struct store *s, uint64_t account, int64_t cut_s, size_t *n)
{
    enum db_id id = DB_GONE_OLD;
    uint64_t floor = 0;
    *n = 0;
    int rc = DB_FIRST(s->db, id, DB_I(account), DB_I(GONE_STEP));
    for (; rc == 1 && db_i64(s->db, id, 1) < cut_s; rc = db_next(s->db, id)) {
        floor = (uint64_t)db_i64(s->db, id, 0);
        ++*n;
    }
    db_end(s->db, id);
    if (rc < 0 || *n == 0)
        return rc < 0 ? -1 : 0;
    struct store_account *a = store_account_get(s, account, false);
    if (a == NULL)
        return -1;
    a->floor = MAX_OF(a->floor, floor);
    return DB_RUN(s->db, DB_GONE_PURGE, DB_I(account), DB_I(floor)) != 0 ||
                   DB_RUN(s->db, DB_ACCOUNT_FLOOR, DB_I(account), DB_I(a->floor)) != 0
               ? -1
               : 0;
}

/* 1: goes on where it stopped, 0: a round is done. *gone: how many went. */
static int purge_gone(struct store *s, size_t *gone)
{
    int64_t cut_s = clock_now_s() - LIMIT(TOMBSTONE_S);
    for (int i = 0; i < ACCOUNTS_STEP; i++) {
        size_t n;
        int rc = DB_FIRST(s->db, DB_GONE_OLDEST, DB_I(s->tidy_account));
        if (rc != 1) {
            s->tidy_account = 0;
            return rc;
        }
        uint64_t account = (uint64_t)db_i64(s->db, DB_GONE_OLDEST, 0);
        db_end(s->db, DB_GONE_OLDEST);
        if (purge_account(s, account, cut_s, &n) != 0)
            return -1;
        *gone += n;
        if (n == GONE_STEP)
            return 1;
        s->tidy_account = account;
    }
    return 1;
}

static int purge_values(struct store *s, size_t *gone)
{
    if (DB_RUN(s->db, DB_KV_PURGE, DB_I(clock_now_s()), DB_I(VALUE_STEP)) != 0)
        return -1;
    int64_t n = db_changes(s->db);
    *gone += (size_t)n;
    return n == VALUE_STEP;
}

/* 1: there is more. */
static int by_age(struct store *s, size_t *gone)
{
    size_t uploads = 0;
    int ops = store_op_purge(s, gone), tombstones = ops < 0 ? -1 : purge_gone(s, gone);
    int blobs = tombstones < 0 ? -1 : store_blob_purge(s, UPLOAD_STEP, &uploads);
    int values = blobs < 0 ? -1 : purge_values(s, gone);
    int events = values < 0 ? -1 : store_event_purge(s, gone);
    *gone += uploads;
    if (events < 0 || DB_RUN(s->db, DB_SEND_PURGE, DB_I(clock_now_s() / 86400 - 1)) != 0)
        return -1;
    return (ops | tombstones | blobs | values | events) != 0;
}

static int step(struct store *s, size_t *gone, bool *aged, bool busy)
{
    if (!busy && store_thread_behind(s) > 0) {
        *gone = 1;
        return store_thread_step(s, THREAD_STEP) != 0 ? -1 : 0;
    }
    if (!busy && store_thread_keys_due(s)) {
        *gone = 1;
        return store_thread_keys_step(s);
    }
    *aged = true;
    return by_age(s, gone);
}

int store_tidy(struct store *s, bool busy)
{
    uint64_t threaded = s->threaded, blobs = s->blobs;
    struct store_keys keys = s->keys;
    size_t gone = 0;
    bool aged = false;
    s->tidied_ms = clock_mono_ms();
    if (db_begin(s->db) != 0)
        return -1;
    s->records.n = s->live.n = s->big_dead.n = 0;
    int more = step(s, &gone, &aged, busy);
    if (more >= 0 && gone == 0) {
        db_rollback(s->db); /* nothing to sync */
    } else if (more < 0 || store_commit_tidied(s) != 0) {
        db_rollback(s->db);
        store_account_forget(s, true);
        s->threaded = threaded;
        s->keys = keys;
        s->blobs = blobs;
        return -1;
    }
    s->n_threaded = s->threaded;
    if (aged) {
        s->tidying = more > 0;
        s->purged_ms = more > 0 ? s->purged_ms : clock_mono_ms();
    }
    return 0;
}
