/* db_schema: the tables of the index, and the steps from each older version to the present one. */
#ifndef POSTEL_DB_SCHEMA_H
#define POSTEL_DB_SCHEMA_H

#include "base/base.h"

/* db_schema_steps[v] brings a file of version v to v + 1; version 0 is an empty file. */
extern const char *const db_schema_steps[];
extern const size_t db_schema_version;

#endif
