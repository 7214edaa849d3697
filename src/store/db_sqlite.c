/* db_sqlite: the SQLite driver of db.h.
 *
 * WAL, synchronous FULL. Exactly one connection writes and checkpoints: Debian's 3.40.1 can corrupt the WAL when two do
 * so at the same moment ("WAL-reset" bug, fixed in 3.51.3). Readers are query_only and never checkpoint, not even at
 * close. Memory mapping stays off: an input/output error must be a result, not a signal.
 */
#include "base/log.h"
#include "store/db.h"
#include "store/db_schema.h"
#include "store/store_io.h"

#include <pthread.h>
#include <sqlite3.h>

struct db {
    sqlite3 *handle;
    sqlite3_stmt *stmt[DB_COUNT];
    bool writer;
    enum db_trouble trouble;
    char why[120];
    unsigned wal_pages, wal_last; /* not yet checkpointed; as last told */
    uint64_t wal_written;
};

static const char *const sql_text[DB_COUNT] = {
#define X(id, sql) sql,
    DB_SQL(X)
#undef X
};

/* ---- errors ---- */

static int note(struct db *db, int rc)
{
    int code = sqlite3_extended_errcode(db->handle);
    switch (rc & 0xff) {
    case SQLITE_FULL:
        db->trouble = DB_NO_SPACE;
        break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
    case SQLITE_ERROR:
        db->trouble = DB_FAULT;
        break;
    default:
        db->trouble = DB_BROKEN;
    }
    snprintf(db->why, sizeof db->why, "%s (%d)", sqlite3_errmsg(db->handle), code);
    LOG(LOG_ERROR, "store.index", L_Z("error", db->why), L_INT("trouble", db->trouble));
    return -1;
}

enum db_trouble db_trouble(const struct db *db)
{
    return db->trouble;
}

int db_fail(const struct db *db, struct fail *f)
{
    if (db->trouble == DB_NO_SPACE)
        return fail_temp(f, "4.3.1", "the disk is full");
    return fail_temp(f, "4.3.0", "index: %s", db->why);
}

/* ---- statements ---- */

static int bind(struct db *db, sqlite3_stmt *q, const struct db_arg *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct db_arg *a = &args[i];
        const char *p = a->s.p != NULL ? a->s.p : "";
        int at = (int)i + 1, rc;
        if (a->kind == DB_ARG_INT)
            rc = sqlite3_bind_int64(q, at, a->i);
        else if (a->kind == DB_ARG_BLOB)
            rc = sqlite3_bind_blob64(q, at, p, a->s.n, SQLITE_STATIC);
        else if (a->kind == DB_ARG_TEXT)
            rc = sqlite3_bind_text64(q, at, p, a->s.n, SQLITE_STATIC, SQLITE_UTF8);
        else
            rc = sqlite3_bind_null(q, at);
        if (rc != SQLITE_OK)
            return note(db, rc);
    }
    return 0;
}

int db_first(struct db *db, enum db_id id, const struct db_arg *args, size_t n)
{
    sqlite3_stmt *q = db->stmt[id];
    sqlite3_reset(q);
    return bind(db, q, args, n) != 0 ? -1 : db_next(db, id);
}

int db_next(struct db *db, enum db_id id)
{
    int rc = sqlite3_step(db->stmt[id]);
    if (rc == SQLITE_ROW)
        return 1;
    int out = rc == SQLITE_DONE ? 0 : note(db, rc);
    sqlite3_reset(db->stmt[id]);
    return out;
}

int db_run(struct db *db, enum db_id id, const struct db_arg *args, size_t n)
{
    int rc = db_first(db, id, args, n);
    if (rc == 1)
        db_end(db, id);
    return rc < 0 ? -1 : 0;
}

void db_end(struct db *db, enum db_id id)
{
    sqlite3_reset(db->stmt[id]);
}
int64_t db_i64(struct db *db, enum db_id id, int column)
{
    return sqlite3_column_int64(db->stmt[id], column);
}
int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

struct span db_bytes(struct db *db, enum db_id id, int column)
{
    const void *p = sqlite3_column_blob(db->stmt[id], column);
    return span_of(p, (size_t)sqlite3_column_bytes(db->stmt[id], column));
}

bool db_null(struct db *db, enum db_id id, int column)
{
    return sqlite3_column_type(db->stmt[id], column) == SQLITE_NULL;
}

/* ---- transactions ---- */

int db_begin(struct db *db)
{
    db->trouble = DB_FINE;
    return db_run(db, db->writer ? DB_BEGIN_WRITE : DB_BEGIN_READ, NULL, 0);
}

int db_commit(struct db *db)
{
    return db_run(db, DB_COMMIT, NULL, 0);
}

void db_rollback(struct db *db)
{
    for (size_t i = 0; i < DB_COUNT; i++)
        sqlite3_reset(db->stmt[i]);
    if (!sqlite3_get_autocommit(db->handle) && sqlite3_step(db->stmt[DB_ROLLBACK]) != SQLITE_DONE)
        note(db, SQLITE_IOERR);
    sqlite3_reset(db->stmt[DB_ROLLBACK]);
}

/* SQLite calls it after each commit with the pages that the WAL then holds. */
static int on_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = arg;
    unsigned now = (unsigned)pages;
    db->wal_written += now >= db->wal_last ? now - db->wal_last : now; /* fewer: it began anew */
    db->wal_pages = db->wal_last = now;
    return SQLITE_OK;
}

unsigned db_wal_pages(const struct db *db)
{
    return db->wal_pages;
}
uint64_t db_wal_written(const struct db *db)
{
    return db->wal_written;
}

int db_checkpoint(struct db *db)
{
    int in_wal, moved, rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return 0;
    if (rc != SQLITE_OK)
        return note(db, rc);
    if (in_wal == moved)
        db->wal_pages = 0; /* the next commit begins the WAL anew, unless a reader still needs it */
    return 0;
}

/* ---- copying ---- */

int db_copy(struct db *db, const char *name)
{
    char path[4096];
    sqlite3 *to = NULL;
    struct span own = span_z(sqlite3_db_filename(db->handle, "main"));
    while (own.n > 0 && own.p[own.n - 1] != '/')
        own.n--;
    snprintf(path, sizeof path, "%.*s%s", SPAN_ARGS(own), name);
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", NULL, NULL, NULL);
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", db->handle, "main") : NULL;
    if (b != NULL) {
        sqlite3_backup_step(b, -1); /* at once: in pieces it would begin anew with each commit */
        rc = sqlite3_backup_finish(b);
    }
    bool copied = b != NULL && rc == SQLITE_OK;
    if (!copied)
        snprintf(db->why, sizeof db->why, "copy: %s", to != NULL ? sqlite3_errmsg(to) : sqlite3_errstr(rc));
    sqlite3_close(to);
    if (!copied)
        db->trouble = (rc & 0xff) == SQLITE_FULL ? DB_NO_SPACE : DB_FAULT;
    return copied ? 0 : -1;
}

/* ---- opening ---- */

static int exec(struct db *db, const char *sql, struct fail *f)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return 0;
    note(db, rc);
    return db_fail(db, f);
}

static int64_t one_number(struct db *db, const char *sql)
{
    sqlite3_stmt *q = NULL;
    int64_t v = -1;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

/* REL-04: a sync of the WAL may have failed in the process before. What is read from it then comes from memory and may
 * never reach the disk, and a commit behind it would be lost with it. So all of it goes into the file first. */
static int empty_wal(struct db *db, struct fail *f)
{
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY) /* busy: somebody reads it for longer */
        return 0;
    note(db, rc);
    return db_fail(db, f);
}

static int set_up(struct db *db, bool unsafe, struct fail *f)
{
    sqlite3_busy_timeout(db->handle, 5000);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_extended_result_codes(db->handle, 1);
    if (!db->writer)
        return exec(db,
                    "PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0; PRAGMA cache_size=-4096;"
                    "PRAGMA temp_store=MEMORY",
                    f);
    if (exec(db,
             "PRAGMA page_size=4096; PRAGMA mmap_size=0; PRAGMA foreign_keys=0; PRAGMA temp_store=MEMORY;"
             "PRAGMA cache_size=-16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
             "PRAGMA wal_autocheckpoint=0",
             f) != 0)
        return -1;
    if (unsafe && exec(db, "PRAGMA synchronous=OFF", f) != 0)
        return -1;
    if (!unsafe && one_number(db, "PRAGMA synchronous") != 2)
        return fail_temp(f, "4.3.0", "index: synchronous=FULL was not accepted");
    int grow = 4 * 1024 * 1024; /* the file grows in steps: less metadata to sync */
    sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_CHUNK_SIZE, &grow);
    sqlite3_wal_hook(db->handle, on_wal, db);
    if (empty_wal(db, f) != 0)
        return -1;
    return db_migrate(db->handle, db_schema_steps, db_schema_version, f);
}

static int prepare_all(struct db *db, struct fail *f)
{
    for (size_t i = 0; i < DB_COUNT; i++) {
        int rc = sqlite3_prepare_v3(db->handle, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL);
        if (rc != SQLITE_OK) {
            note(db, rc);
            return db_fail(db, f);
        }
    }
    return 0;
}

static void configure_once(void)
{
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD); /* a connection per thread: no mutex on each call */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct db *db_open(const char *path, unsigned flags, struct fail *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_once);
    struct db *db = base_alloc(sizeof *db);
    db->writer = (flags & DB_WRITER) != 0;
    int how =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | (db->writer ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &db->handle, how, store_io->vfs);
    if (rc != SQLITE_OK)
        fail_temp(f, "4.3.0", "index: %s: %s", path, sqlite3_errstr(rc));
    else if (set_up(db, (flags & DB_UNSAFE) != 0, f) == 0 && prepare_all(db, f) == 0)
        return db;
    db_close(db, false);
    return NULL;
}

void db_close(struct db *db, bool checkpoint)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < DB_COUNT; i++)
        sqlite3_finalize(db->stmt[i]);
    if (checkpoint && db->writer)
        sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(db->handle);
    free(db);
}
