/* backup_manifest: the list of what a backup holds, with sizes and hashes; written last, so that a backup without one never
 * happened (doc/decisions/09-backup.md). Exports backup_hash_* too. */
#ifndef POSTEL_BACKUP_MANIFEST_H
#define POSTEL_BACKUP_MANIFEST_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/map.h"
#include "base/vec.h"

enum { BACKUP_HASH = 64 };  /* hex digits */

struct backup_entry { struct span name; uint64_t size; char hash[BACKUP_HASH + 1]; };

struct backup_manifest {
    VEC(struct backup_entry) v;
    struct map by_name;     /* 1 + index in v */
    struct arena mem;
};

void backup_manifest_init(struct backup_manifest *m);
void backup_manifest_done(struct backup_manifest *m);
void backup_manifest_add(struct backup_manifest *m, struct span name, uint64_t size, const char *hash);
const struct backup_entry *backup_manifest_find(const struct backup_manifest *m, struct span name);
/* 1: read; 0: there is none; -1 and *f: it is not whole. */
int backup_manifest_read(struct backup_manifest *m, int dir, struct fail *f);
int backup_manifest_write(const struct backup_manifest *m, int dir, struct fail *f); /* synced, in place of an older one */

/* SHA-256 over pieces. */
struct backup_hash { void *ctx; };
void backup_hash_start(struct backup_hash *h);
void backup_hash_add(struct backup_hash *h, struct span bytes);
void backup_hash_end(struct backup_hash *h, char out[BACKUP_HASH + 1]);

#endif
