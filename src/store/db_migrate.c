/* db_migrate: see the header. The version is PRAGMA user_version; how far a step's rows have come is the table
 * `migration`, which exists only meanwhile. */
#include "store/db_migrate.h"
#include "base/log.h"

#include <sqlite3.h>

enum { ROWS_AT_ONCE = 2000 }; /* some MB of write-ahead log a piece */

static int trouble(sqlite3 *h, struct fail *f)
{
    int rc = sqlite3_errcode(h);
    LOG(LOG_ERROR, "store.migrate", L_Z("error", sqlite3_errmsg(h)));
    if (rc == SQLITE_FULL)
        return fail_temp(f, "4.3.1", "the disk is full");
    return fail_temp(f, "4.3.0", "index: %.120s", sqlite3_errmsg(h));
}

static int number(sqlite3 *h, const char *sql, int64_t none, int64_t *out)
{
    sqlite3_stmt *q = NULL;
    *out = none;
    int rc = sqlite3_prepare_v2(h, sql, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

static int exec(sqlite3 *h, const char *sql) { return sqlite3_exec(h, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1; }

/* PRAGMA and the cursor take no bound parameters; both are numbers of ours. */
static int exec_number(sqlite3 *h, const char *sql, int64_t v)
{
    char text[120];
    snprintf(text, sizeof text, "%s%lld", sql, (long long)v);
    return exec(h, text);
}

/* One piece: 1 when there was something, 0 when all is done. */
static int piece(sqlite3 *h, const char *sql, int64_t *cursor)
{
    sqlite3_stmt *q = NULL;
    int64_t last = *cursor;
    if (sqlite3_prepare_v2(h, sql, -1, &q, NULL) != SQLITE_OK)
        return -1;
    sqlite3_bind_int64(q, 1, *cursor);
    sqlite3_bind_int64(q, 2, ROWS_AT_ONCE);
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        last = MAX_OF(last, (int64_t)sqlite3_column_int64(q, 0));
    sqlite3_finalize(q);
    if (rc != SQLITE_DONE)
        return -1;
    bool more = last > *cursor;
    *cursor = last;
    return more;
}

static int begin_rows(sqlite3 *h)
{
    return exec(h, "CREATE TABLE migration(cursor INTEGER NOT NULL); INSERT INTO migration VALUES(0)");
}

/* One transaction of a step. 1: the step has more, 0: it is done and the version is new. */
static int advance(sqlite3 *h, const struct db_step *step, size_t version)
{
    int64_t begun, cursor;
    if (number(h, "SELECT count(*) FROM sqlite_master WHERE name = 'migration'", 0, &begun) != 0)
        return -1;
    if (begun == 0 && step->once != NULL && exec(h, step->once) != 0)
        return -1;
    if (step->rows == NULL)
        return exec_number(h, "PRAGMA user_version=", (int64_t)version);
    if (begun == 0 && begin_rows(h) != 0)
        return -1;
    if (number(h, "SELECT cursor FROM migration", 0, &cursor) != 0)
        return -1;
    int more = piece(h, step->rows, &cursor);
    if (more == 1)
        return exec_number(h, "UPDATE migration SET cursor = ", cursor) == 0 ? 1 : -1;
    if (more < 0 || exec(h, "DROP TABLE migration") != 0)
        return -1;
    return exec_number(h, "PRAGMA user_version=", (int64_t)version);
}

static int run_step(sqlite3 *h, const struct db_step *step, size_t version)
{
    int more;
    do {
        if (exec(h, "BEGIN IMMEDIATE") != 0)
            return -1;
        more = advance(h, step, version);
        if (more < 0 || exec(h, "COMMIT") != 0)
            return -1;
    } while (more == 1);
    return 0;
}

int db_migrate(sqlite3 *h, const struct db_step *steps, size_t n, struct fail *f)
{
    int64_t version;
    if (number(h, "PRAGMA user_version", -1, &version) != 0 || version < 0)
        return fail_temp(f, "4.3.0", "index: cannot be read: %.120s", sqlite3_errmsg(h));
    if ((uint64_t)version > n)
        return fail_perm(f, "5.3.0", "index has format %lld, this program knows up to %zu: use a newer one",
                         (long long)version, n);
    for (size_t v = (size_t)version; v < n; v++) {
        if (version > 0)
            LOG(LOG_INFO, "store.migrate", L_INT("from", (int64_t)v), L_INT("to", (int64_t)v + 1), L_Z("what", steps[v].what));
        if (run_step(h, &steps[v], v + 1) != 0) {
            trouble(h, f);
            sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
            return -1;
        }
    }
    return 0;
}
