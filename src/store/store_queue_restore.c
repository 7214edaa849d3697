/* store_queue_restore: the queue of an index that comes from a backup (see store_queue.h). What waited in it may have gone
 * out since then: nobody knows but a person, so it is held until one says (REL-03). */
#include "base/clock.h"
#include "store/store_queue_impl.h"

#include <errno.h>
#include <sys/stat.h>

enum { STEP = 5000 };

struct walk { uint64_t after, held; size_t n; uint64_t rids[STEP]; };

static int page(struct store *s, struct walk *w)
{
    enum db_id id = DB_QUEUE_OLD;
    w->n = 0;
    int rc = DB_FIRST(s->db, id, DB_I(w->after), DB_I(STEP));
    for (; rc == 1; rc = db_next(s->db, id))
        w->rids[w->n++] = (uint64_t)db_i64(s->db, id, 0);
    return rc;
}

static int hold(struct store *s, uint64_t rid, int64_t now)
{
    struct store_queue_rcpt r;
    struct store_queue_message m;
    struct msg_event_row step = {.kind = EVENT_HELD, .text = SPAN("it comes from a backup, and may have gone out since")};
    if (store_queue_rcpt_get(s->db, rid, &r, &s->mem) != 1 || store_queue_message_get(s->db, r.qid, &m, &s->mem) != 1)
        return -1;
    if (r.state == QUEUE_HELD && r.due_ms == INT64_MAX)
        return 0;
    step.address = r.address;
    return DB_RUN(s->db, DB_QUEUE_RCPT_HOLD, DB_I(rid), DB_I(INT64_MAX), DB_I(r.state == QUEUE_HELD ? r.held_ms : now)) != 0
               ? -1
               : store_event_of(s, &m, &step);
}

static int hold_all(struct store *s, struct walk *w)
{
    int rc = page(s, w);
    for (; rc == 0 && w->n > 0; rc = page(s, w)) {
        int64_t now = store_queue_now(s);
        if (db_begin(s->db) != 0)
            return -1;
        for (size_t i = 0; i < w->n; i++) {
            if (hold(s, w->rids[i], now) != 0)
                return -1;
            arena_reset(&s->mem);
        }
        if (store_queue_time_save(s) != 0 || db_commit(s->db) != 0)
            return -1;
        w->held += w->n;
        w->after = w->rids[w->n - 1];
    }
    return rc;
}

static int count(struct store *s, uint64_t *n)
{
    int rc = DB_FIRST(s->db, DB_QUEUE_COUNT);
    *n = rc == 1 ? (uint64_t)db_i64(s->db, DB_QUEUE_COUNT, 0) : 0;
    db_end(s->db, DB_QUEUE_COUNT);
    return rc == 1 ? 0 : -1;
}

/* The files that SQLite leaves beside it, which go by its present name. */
static int alone(const char *index, struct fail *f)
{
    static const char *const ends[] = {"-wal", "-shm"};
    struct stat st;
    char path[4200];
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        snprintf(path, sizeof path, "%s%s", index, ends[i]);
        if (stat(path, &st) != 0)
            continue;
        if (i == 0 && st.st_size > 0)
            return fail_temp(f, "4.3.0", "the index could not be written in full");
        if (unlink(path) != 0)
            return fail_errno(f, "a file beside the index", errno);
    }
    return 0;
}

int store_queue_restored(const char *index, bool send, uint64_t *n, struct fail *f)
{
    struct store *s = base_alloc(sizeof *s); /* as much of one as the queue's rows and events need */
    struct walk *w = base_alloc(sizeof *w);
    *w = (struct walk){0};
    arena_init(&s->mem);
    s->db = db_open(index, DB_WRITER, f);
    int rc = s->db == NULL ? -1 : store_queue_open(s) != 0 ? -1 : send ? count(s, n) : hold_all(s, w);
    if (rc != 0 && s->db != NULL) {
        db_fail(s->db, f);
        db_rollback(s->db);
    }
    if (!send)
        *n = w->held;
    db_close(s->db, rc == 0);
    if (rc == 0)
        rc = alone(index, f);
    arena_done(&s->mem);
    free(w);
    free(s);
    return rc;
}
