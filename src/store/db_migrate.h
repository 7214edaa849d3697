/* db_migrate: brings the tables of an index from the version its file has to the one this program knows. */
#ifndef POSTEL_DB_MIGRATE_H
#define POSTEL_DB_MIGRATE_H

#include "base/fail.h"

struct sqlite3;

/* From version n to n + 1. `once` is one transaction, whatever happens. A change of every row of a table that may be big
 * is `rows` as well: a statement that changes some rows behind key ?1, at most ?2, and gives their keys (RETURNING), so
 * that each piece and the key it came to are one transaction. Killed in between, the next start goes on there; no
 * row is ever changed twice. A step that was released is never edited again. */
struct db_step {
    const char *what;       /* for the log */
    const char *once;       /* SQL, or NULL */
    const char *rows;       /* SQL, or NULL; after once. Keys are integers above 0 */
};

/* 0, or -1 and *f: FAIL_PERM when the file is of a newer version; else what the file said. */
int db_migrate(struct sqlite3 *handle, const struct db_step *steps, size_t n, struct fail *f);

#endif
