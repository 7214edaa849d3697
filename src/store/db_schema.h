/* db_schema: the tables of the index, and the steps from each older version to the present one. */
#ifndef POSTEL_DB_SCHEMA_H
#define POSTEL_DB_SCHEMA_H

#include "store/db_migrate.h"

/* db_schema_steps[v] brings a file of version v to v + 1; version 0 is an empty file. Whoever adds a row keeps a store of
 * the version before it in tests/formats (make_store.py there). */
extern const struct db_step db_schema_steps[];
extern const size_t db_schema_version;

#endif
