/* store_backup: the store of one moment, readable while it goes on serving (doc/decisions/09-backup.md). */
#ifndef POSTEL_STORE_BACKUP_H
#define POSTEL_STORE_BACKUP_H

#include "base/arena.h"
#include "base/fail.h"

struct store;
struct store_backup;

/* All of these block: on a thread of the pool, one at a time. Files stay while a backup is open and asked for something
 * every ten minutes. */
struct store_backup *store_backup_begin(struct store *s, struct fail *f);
void store_backup_end(struct store_backup *b);

struct store_backup_file { char name[32]; uint64_t size; }; /* "index.db", "seg-00000001", "big/0000000000000001" */
size_t store_backup_files(const struct store_backup *b, const struct store_backup_file **out);
/* At most 65,536 bytes; fewer only at the file's end. */
int store_backup_read(struct store_backup *b, struct span name, uint64_t offset, struct span *out, struct arena *mem,
                      struct fail *f);

#endif
