/* db: one connection to the index, with every statement prepared once (SEC-09: bound parameters only).
 *
 * db_sqlite.c is the driver; the statements' texts are db_sql.h. A connection belongs to one thread at a time. */
#ifndef POSTEL_DB_H
#define POSTEL_DB_H

#include "base/fail.h"
#include "store/db_sql.h"

struct db;

enum db_id {
#define X(id, sql) DB_##id,
    DB_SQL(X)
#undef X
        DB_COUNT
};

/* What the last failing call on a connection came from. */
enum db_trouble {
    DB_FINE,
    DB_NO_SPACE, /* rolls back; works again when there is space */
    DB_FAULT,    /* this statement is at fault, not the files: a bug of ours */
    DB_BROKEN,   /* input/output or corruption: the process must end (REL-04) */
};

struct db_arg {
    enum { DB_ARG_INT, DB_ARG_BLOB, DB_ARG_TEXT, DB_ARG_NULL } kind;
    int64_t i;
    struct span s; /* must live until the statement's end */
};
#define DB_I(v)                                                                                                        \
    {                                                                                                                  \
        .kind = DB_ARG_INT, .i = (int64_t)(v)                                                                          \
    }
#define DB_B(v)                                                                                                        \
    {                                                                                                                  \
        .kind = DB_ARG_BLOB, .s = (v)                                                                                  \
    }
#define DB_T(v)                                                                                                        \
    {                                                                                                                  \
        .kind = DB_ARG_TEXT, .s = (v)                                                                                  \
    }
#define DB_NULL                                                                                                        \
    {                                                                                                                  \
        .kind = DB_ARG_NULL                                                                                            \
    }

/* DB_WRITER: makes the file, brings its schema up to date and alone checkpoints; readers come after it.
 * DB_UNSAFE: nothing is synced, see store_options. */
enum db_flag { DB_WRITER = 1, DB_UNSAFE = 2 };
struct db *db_open(const char *path, unsigned flags, struct fail *f);
void db_close(struct db *db,
              bool checkpoint); /* checkpoint: the writer's last one, moves everything and empties the WAL */

/* Runs a statement to its end: 0 or -1. */
int db_run(struct db *db, enum db_id id, const struct db_arg *args, size_t n);
/* The first row: 1, none: 0, trouble: -1. After 1 call db_next until it gives 0, or db_end; columns live until then. */
int db_first(struct db *db, enum db_id id, const struct db_arg *args, size_t n);
int db_next(struct db *db, enum db_id id);
void db_end(struct db *db, enum db_id id);
int64_t db_i64(struct db *db, enum db_id id, int column);
struct span db_bytes(struct db *db, enum db_id id, int column); /* borrowed until db_next or db_end */
bool db_null(struct db *db, enum db_id id, int column);

#define DB_RUN(db, id, ...)                                                                                            \
    db_run(db, id, (const struct db_arg[]){__VA_ARGS__},                                                               \
           sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg))
#define DB_FIRST(db, id, ...)                                                                                          \
    db_first(db, id, (const struct db_arg[]){__VA_ARGS__},                                                             \
             sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg))

enum db_trouble db_trouble(const struct db *db);
int db_fail(const struct db *db, struct fail *f); /* -1 with the last trouble as *f */
int64_t db_changes(const struct db *db);          /* rows the last db_run changed */

int db_begin(struct db *db);     /* writer: takes the write lock; reader: a snapshot from its first read on */
int db_commit(struct db *db);    /* durable when 0 and db is the writer */
void db_rollback(struct db *db); /* nothing when none is open */
unsigned db_wal_pages(const struct db *db);   /* pages in the write-ahead log after the last commit */
uint64_t db_wal_written(const struct db *db); /* pages written to it since db_open */
int db_checkpoint(struct db *db);             /* moves what readers allow into the file */

/* Copies the whole index into a new file `name` beside it, as the transaction that is open here sees it; others write on.
 * Not synced: whoever keeps it does that. */
int db_copy(struct db *db, const char *name);

#endif
