/* directory_db: directory.db, the directory at rest: SQLite, one connection, bound parameters only (SEC-09). */
#ifndef POSTEL_DIRECTORY_DB_H
#define POSTEL_DIRECTORY_DB_H

#include "login/directory.h"

struct directory_db;

/* Opens or makes `path` and brings its schema up to date. NULL and *f: damaged, made by a newer program, in use. */
struct directory_db *directory_db_open(const char *path, struct fail *f);
void directory_db_close(struct directory_db *db);
void directory_db_checkpoint(struct directory_db *db);

/* Reads everything into an empty cache. secret: 32 bytes, made with the database. */
int directory_db_load(struct directory_db *db, struct directory_cache *c, unsigned char secret[32], struct fail *f);

/* One transaction; durable when 0 comes back. -1: nothing of it happened; *broken: the file is in doubt (REL-04).
 * These block, run on the pool, one at a time. Fills in change->account and ->domain_id for what was made. */
int directory_db_write(struct directory_db *db, struct directory_change *change, bool *broken, struct fail *f);
int directory_db_domains(struct directory_db *db, struct msg_domain_list_r *out, struct arena *mem, struct fail *f);
int directory_db_domain_aliases(struct directory_db *db, struct msg_domain_alias_list_r *out, struct arena *mem,
                                struct fail *f);
int directory_db_accounts(struct directory_db *db, struct span after, struct msg_account_list_r *out, struct arena *mem,
                          struct fail *f);
int directory_db_aliases(struct directory_db *db, struct span after, struct msg_alias_list_r *out, struct arena *mem,
                         struct fail *f);
int directory_db_write_attempts(struct directory_db *db, const struct directory_attempt *v, size_t n, bool *broken,
                                struct fail *f);
int directory_db_logins(struct directory_db *db, uint64_t account, uint64_t before, struct msg_logins_r *out,
                        struct arena *mem, struct fail *f);
/* Accounts removed in the last seven days, newest first: store is told again whenever it starts, since posts get lost. */
int directory_db_gone(struct directory_db *db, uint64_t **ids, size_t *n, struct arena *mem, struct fail *f);

/* The whole database as the bytes of a file; caller frees out->p. */
int directory_db_snapshot(struct directory_db *db, struct span *out, struct fail *f);

#endif
