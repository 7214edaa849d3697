/* store_rebuild: a new index for a store whose own is lost, made of the message log and, if there is one, of the index of
 * a backup (doc/decisions/12-rebuild.md). Of a store that nobody serves; waits for files. */
#ifndef POSTEL_STORE_REBUILD_H
#define POSTEL_STORE_REBUILD_H

#include "base/fail.h"
#include "format/summary.h"

struct store_rebuild;

struct store_rebuild_report {
    uint64_t segments, log_bytes;   /* of the log */
    uint64_t records, trees;        /* messages and uploads in it; accounts whose mailboxes it names */
    uint64_t bad_places, bad_bytes; /* where no record can be read */
    uint64_t tail_bytes;            /* behind the last record of a segment: a batch that was cut off, or damage */
    uint64_t accounts, mailboxes, recovered, messages;  /* what the new index has; recovered: mailboxes without a name */
    uint64_t gone, repeated, conflicts;     /* left out: removed before, of a batch that was written twice, contradictory */
    uint64_t unread, damaged;       /* messages whose summary could not be made; whose text is damaged */
    uint64_t stray_files;           /* of big/, which nothing names: moved aside */
    uint64_t kept;                  /* messages that the backup's index knew */
    char aside[64];                 /* the old index, or that and its companions; "" when there was none */
    char strays[64];                /* directory of the stray files */
    char index[120];                /* "" when the old index can be read, else why not */
};

/* Fills in *out for a message; false: it could not. What it points to lives in mem. */
typedef bool store_rebuild_summary_fn(void *arg, struct span message, struct summary *out, struct arena *mem);
typedef void store_rebuild_progress_fn(void *arg, const char *what, uint64_t done, uint64_t total);

/* Opens the store's directory and takes its lock; it is the working directory from then on. NULL and *f:
 * somebody serves it. */
struct store_rebuild *store_rebuild_new(const char *dir, struct fail *f);
void store_rebuild_free(struct store_rebuild *r);
void store_rebuild_on_progress(struct store_rebuild *r, store_rebuild_progress_fn *fn, void *arg);
/* Reads the log through, without its bodies, and writes nothing. */
int store_rebuild_look(struct store_rebuild *r, struct fail *f);
/* Then: makes the index beside the old one, puts that aside, and the new one in its place. base: descriptor of a backup's
 * index, the caller's, or -1. After -1 the old index is where it was. */
int store_rebuild_run(struct store_rebuild *r, int base, store_rebuild_summary_fn *fn, void *arg, struct fail *f);
const struct store_rebuild_report *store_rebuild_report(const struct store_rebuild *r);

#endif
