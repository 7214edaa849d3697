/* store: opening, the committer thread, the readers (store.h is the contract; store_commit.c is what a batch does). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "store/store_impl.h"
#include "store/store_io.h"
#include "store/store_queue_impl.h"
#include "store/store_text.h"
#include "store/store_thread.h"
#include "store/store_tidy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
    WAL_MOST = 8192, /* pages: 32 MB, then checkpoint however busy; when idle, at an eighth of it */
    IDLE_MS = 200,
};

/* ---- the committer ---- */

static bool idle_work(const struct store *s)
{
    return !s->broken && (store_sweep_due(s, false) || store_note_due(s, false) || db_wal_pages(s->db) > s->wal_most / 8 || store_tidy_due(s, false));
}

static void broken_index(struct store *s)
{
    struct fail f;
    if (db_trouble(s->db) != DB_BROKEN || s->broken)
        return;
    db_fail(s->db, &f);
    s->broken = true;
    LOG(LOG_ERROR, "store.broken", L_Z("why", f.text));
    if (s->on_broken != NULL)
        s->on_broken(s->broken_arg, &f);
}

static void checkpoint(struct store *s)
{
    if (db_checkpoint(s->db) != 0)
        broken_index(s);
}

static void be_idle(struct store *s)
{
    if (db_wal_pages(s->db) > s->wal_most / 8)
        checkpoint(s);
    if (store_note_due(s, false))
        store_note_step(s);
    if (store_sweep_due(s, false))
        store_sweep_step(s);
    if (!s->broken && store_tidy_due(s, false) && store_tidy(s, false) != 0)
        broken_index(s);
}

/* Sleeps until there is something to do. Locked. False: it was the idle time that ended. */
static bool wait_for_work(struct store *s)
{
    struct timespec until;
    s->asleep = true;
    int rc = 0;
    if (idle_work(s)) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += IDLE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        rc = pthread_cond_timedwait(&s->wake, &s->lock, &until);
    } else {
        pthread_cond_wait(&s->wake, &s->lock);
    }
    s->asleep = false;
    return rc != ETIMEDOUT;
}

static void *committer(void *arg)
{
    struct store *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        bool idle = false;
        while (s->first == NULL && !s->stop && !idle)
            idle = !wait_for_work(s);
        if (s->first == NULL && s->stop)
            break;
        struct store_write *list = s->first;
        s->first = NULL;
        s->last = &s->first;
        pthread_mutex_unlock(&s->lock);
        if (list == NULL)
            be_idle(s);
        else
            store_commit_run(s, list);
        if (list != NULL && store_note_due(s, true))
            store_note_step(s);
        if (list != NULL && store_sweep_due(s, true))
            store_sweep_step(s);
        if (list != NULL && store_tidy_due(s, true) && store_tidy(s, true) != 0)
            broken_index(s);
        if (db_wal_pages(s->db) > s->wal_most && !s->broken)
            checkpoint(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    store_note_end(s);
    return NULL;
}

void store_submit(struct store *s, struct store_write *w)
{
    w->next = NULL;
    w->step = (struct store_step){0};
    pthread_mutex_lock(&s->lock);
    *s->last = w;
    s->last = &w->next;
    bool wake = s->asleep;
    s->asleep = false;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->wake);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void wait_done(struct store_write *w)
{
    struct waiting *x = w->arg;
    pthread_mutex_lock(&x->lock);
    x->done = true;
    pthread_cond_signal(&x->wake);
    pthread_mutex_unlock(&x->lock);
}

int store_wait(struct store *s, struct store_write *w)
{
    struct waiting x = {.done = false};
    pthread_mutex_init(&x.lock, NULL);
    pthread_cond_init(&x.wake, NULL);
    w->arg = &x;
    w->done = wait_done;
    store_submit(s, w);
    pthread_mutex_lock(&x.lock);
    while (!x.done)
        pthread_cond_wait(&x.wake, &x.lock);
    pthread_mutex_unlock(&x.lock);
    pthread_cond_destroy(&x.wake);
    pthread_mutex_destroy(&x.lock);
    return w->result;
}

void store_on_changed(struct store *s, store_changed_fn *fn, void *arg)
{
    s->changed_arg = arg;
    s->on_changed = fn;
}

void store_on_broken(struct store *s, void (*fn)(void *arg, const struct fail *f), void *arg)
{
    s->broken_arg = arg;
    s->on_broken = fn;
}

/* ---- readers ---- */

struct db *store_reader(struct store *s)
{
    pthread_mutex_lock(&s->read_lock);
    while (s->n_idle == 0)
        pthread_cond_wait(&s->read_wake, &s->read_lock);
    struct db *db = s->idle[--s->n_idle];
    pthread_mutex_unlock(&s->read_lock);
    return db;
}

void store_reader_done(struct store *s, struct db *db)
{
    pthread_mutex_lock(&s->read_lock);
    s->idle[s->n_idle++] = db;
    pthread_cond_signal(&s->read_wake);
    pthread_mutex_unlock(&s->read_lock);
}

int store_stats(struct store *s, struct msg_store_stats_r *out, struct fail *f)
{
    struct db *db = store_reader(s);
    *out = (struct msg_store_stats_r){
        .emails = s->n_emails, .blobs = s->n_blobs, .commits = s->commits, .committed = s->committed};
    int rc = DB_FIRST(db, DB_ACCOUNT_COUNT);
    if (rc == 1) {
        out->accounts = (uint64_t)db_i64(db, DB_ACCOUNT_COUNT, 0);
        out->mailboxes = (uint64_t)db_i64(db, DB_ACCOUNT_COUNT, 1);
        db_end(db, DB_ACCOUNT_COUNT);
        rc = DB_FIRST(db, DB_SEGMENT_SUM);
    }
    if (rc == 1) {
        out->log_bytes = (uint64_t)db_i64(db, DB_SEGMENT_SUM, 1);
        db_end(db, DB_SEGMENT_SUM);
    }
    if (rc < 0)
        db_fail(db, f);
    store_reader_done(s, db);
    return rc < 0 ? -1 : 0;
}

uint64_t store_wal_written(const struct store *s)
{
    return s->wal_written;
}

/* ---- opening and closing ---- */

/* The directory, and the lock that keeps a second process out. */
static int take_dir(struct store *s, const char *dir, struct fail *f)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail_errno(f, "mkdir of the store", errno);
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return fail_errno(f, "open of the store", errno);
    s->lock_fd = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return fail_errno(f, "open of the store's lock", errno);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return fail_temp(f, "4.3.0", "another process has the store in %.80s", dir);
    /* SEC-11: made here, for SQLite would give it 0644; its other files take their mode from this one */
    int fd = store_io->open(s->dir, "index.db", O_RDWR | O_CREAT);
    if (fd < 0)
        return fail_errno(f, "create the index", errno);
    close(fd);
    store_io->unlink(s->dir, "backup.db"); /* of a backup that did not come to its end */
    return store_io->fsync(s->dir) == 0 ? 0 : fail_errno(f, "fsync of the store's directory", errno);
}

static int open_index(struct store *s, const char *dir, unsigned readers, bool unsafe, struct fail *f)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/index.db", dir) >= sizeof path)
        return fail_perm(f, "5.3.0", "the store's path is too long");
    s->db = db_open(path, DB_WRITER | (unsafe ? DB_UNSAFE : 0), f);
    if (s->db == NULL)
        return -1;
    s->idle = base_alloc(readers * sizeof *s->idle);
    for (unsigned i = 0; i < readers; i++) {
        struct db *db = db_open(path, 0, f);
        if (db == NULL)
            return -1;
        s->idle[s->n_idle++] = db;
        s->n_readers++;
    }
    return 0;
}

int store_state(struct store *s, struct span name, int64_t none, int64_t *out)
{
    int rc = DB_FIRST(s->db, DB_STATE_GET, DB_T(name));
    *out = rc == 1 ? db_i64(s->db, DB_STATE_GET, 0) : none;
    db_end(s->db, DB_STATE_GET);
    return rc < 0 ? -1 : 0;
}

/* An index that knows no segment, beside a log that has one, was lost and made anew: to append would overwrite mail. That
 * an index is this log's stands in it before the first byte of the log is written. */
static int check_belongs(struct store *s, bool has_segment, struct fail *f)
{
    int rc = DB_FIRST(s->db, DB_STATE_GET, DB_T(STORE_STATE_LOG));
    db_end(s->db, DB_STATE_GET);
    if (rc == 0 && !has_segment && msglog_found(s->dir))
        return fail_perm(f, "5.3.0", "the index is empty, but there is mail in the log: see postel help rebuild");
    if (rc == 0 && (db_begin(s->db) != 0 || DB_RUN(s->db, DB_STATE_PUT, DB_T(STORE_STATE_LOG), DB_I(1)) != 0 || db_commit(s->db) != 0))
        rc = -1;
    if (rc < 0) {
        db_fail(s->db, f);
        db_rollback(s->db);
        return -1;
    }
    return 0;
}

static int open_log(struct store *s, uint64_t segment_bytes, struct fail *f)
{
    uint32_t seg = 0;
    uint64_t end = 0;
    s->next_eid = s->next_bid = s->next_mailbox = 1;
    int rc = DB_FIRST(s->db, DB_SEGMENT_LAST);
    if (rc < 0)
        return db_fail(s->db, f);
    if (rc == 1) {
        seg = (uint32_t)db_i64(s->db, DB_SEGMENT_LAST, 0);
        end = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 1);
        s->next_eid = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 2);
        s->next_bid = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 3);
        s->next_mailbox = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 4);
        s->n_emails = s->emails = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 5);
        s->n_blobs = s->blobs = (uint64_t)db_i64(s->db, DB_SEGMENT_LAST, 6);
        db_end(s->db, DB_SEGMENT_LAST);
    }
    if (check_belongs(s, seg != 0, f) != 0)
        return -1;
    if (store_thread_load(s) != 0 || store_queue_open(s) != 0)
        return db_fail(s->db, f);
    s->log = msglog_open(s->dir, segment_bytes, seg, end, f);
    return s->log != NULL ? 0 : -1;
}

static int start(struct store *s, struct fail *f)
{
    sigset_t all, before; /* signals are the loop thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&s->thread, NULL, committer, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return fail_errno(f, "thread of the committer", err);
    s->running = true;
    return 0;
}

static void init(struct store *s)
{
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    s->dir = s->lock_fd = -1;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_init(&s->read_lock, NULL);
    pthread_cond_init(&s->read_wake, NULL);
    pthread_mutex_init(&s->spool_lock, NULL);
    map_init(&s->accounts);
    map_init(&s->batch_ids);
    map_init(&s->spools);
    map_init(&s->queue.leases);
    map_init(&s->queue.told);
    pthread_mutex_init(&s->queue.lock, NULL);
    arena_init(&s->mem);
    s->purged_ms = clock_mono_ms();
    s->sweep.wanted = s->note.trees = true;
}

struct store *store_open(const char *dir, const struct store_options *opt, struct fail *f)
{
    struct store_options none = {0};
    struct store *s = base_alloc(sizeof *s);
    opt = opt != NULL ? opt : &none;
    init(s);
    uint64_t segment = opt->segment_bytes != 0 ? opt->segment_bytes : (uint64_t)LIMIT(SEGMENT_BYTES);
    uint64_t big = opt->big_bytes != 0 ? opt->big_bytes : (uint64_t)LIMIT(BIG_BYTES);
    s->big_bytes = MIN_OF(big, segment / 4); /* a record must fit into a segment */
    s->wal_most = opt->wal_pages != 0 ? opt->wal_pages : WAL_MOST;
    if (opt->unsafe_no_sync)
        store_io_no_sync();
    if (take_dir(s, dir, f) == 0 &&
        open_index(s, dir, opt->readers != 0 ? opt->readers : 2, opt->unsafe_no_sync, f) == 0 &&
        open_log(s, segment, f) == 0 && store_text_open(s, f) == 0 && start(s, f) == 0)
        return s;
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    store_sweep_end(s);
    if (s->log != NULL)
        store_spool_free_all(s);
    msglog_close(s->log);
    store_text_close(s);
    for (unsigned i = 0; i < s->n_readers; i++)
        db_close(s->idle[i], false);
    free(s->idle);
    db_close(s->db, !s->broken);
    store_account_forget(s, true);
    store_queue_close(s);
    map_done(&s->accounts);
    map_done(&s->batch_ids);
    map_done(&s->spools);
    VEC_FREE(&s->touched), VEC_FREE(&s->live), VEC_FREE(&s->ops), VEC_FREE(&s->records), VEC_FREE(&s->big_dead);
    VEC_FREE(&s->feed), VEC_FREE(&s->dead), VEC_FREE(&s->gone), VEC_FREE(&s->note.gone), VEC_FREE(&s->note.written);
    arena_done(&s->mem);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    if (s->dir >= 0)
        close(s->dir);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->read_lock);
    pthread_cond_destroy(&s->read_wake);
    pthread_mutex_destroy(&s->spool_lock);
    free(s);
}
