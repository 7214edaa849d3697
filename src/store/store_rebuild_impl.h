/* store_rebuild_impl: what the files of rebuild share. */
#ifndef POSTEL_STORE_REBUILD_IMPL_H
#define POSTEL_STORE_REBUILD_IMPL_H

#include "base/map.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/store_meta.h"
#include "store/store_rebuild.h"

/* A record of the log that has a body; in order of the log. */
struct rebuild_record {
    uint64_t bid, off, op, order;   /* op: a hash of the operation's id, 0: none */
    uint32_t seg;
    bool doubtful;                  /* found behind a damaged place: it may be part of a message that somebody sent */
};

struct rebuild_segment { uint32_t seg; uint64_t end, size; };
struct rebuild_tree { uint64_t account; struct span meta; };

struct store_rebuild {
    int dir, lock_fd;
    struct store_rebuild_report report;
    store_rebuild_progress_fn *progress;
    void *progress_arg;
    struct arena mem;               /* of the whole */

    VEC(struct rebuild_segment) segments;   /* in order */
    VEC(struct rebuild_record) records;     /* once looked through: by blob id, then order */
    VEC(uint64_t) gone;                     /* eids, in order */
    struct map trees;                       /* by account: struct rebuild_tree, the newest */
    uint64_t next_eid, next_bid, next_mailbox;

    struct db *db;
    struct map boxes;               /* by mailbox: struct rebuild_tree *, whose account it is */
    struct map removed;             /* accounts that exist no more */
    uint64_t base_bid;              /* blobs below it are the backup's, or were removed before it */
    store_rebuild_summary_fn *summary;
    void *summary_arg;
    struct arena one;               /* of a message */
    int seg_fd;
    uint32_t seg;
};

void store_rebuild_tell(struct store_rebuild *r, const char *what, uint64_t done, uint64_t total);
bool store_rebuild_is_gone(const struct store_rebuild *r, uint64_t eid);
int store_rebuild_open(struct store_rebuild *r, uint32_t seg);   /* descriptor of a segment, r's; -1 and errno */

int store_rebuild_log(struct store_rebuild *r, struct fail *f);     /* store_rebuild_log.c */
/* The records of one blob are [from, to); the one to use is the last, others may be older copies of it. */
size_t store_rebuild_find(const struct store_rebuild *r, uint64_t bid); /* the first with bid or above; records.n: none */
void store_rebuild_group(const struct store_rebuild *r, size_t from, size_t *to);

int store_rebuild_trees(struct store_rebuild *r);       /* store_rebuild_box.c: mailboxes that the log names */
int store_rebuild_lost(struct store_rebuild *r);        /* those that it does not */
int store_rebuild_numbers(struct store_rebuild *r);     /* counters, uids and modseqs to come */
int store_rebuild_base(struct store_rebuild *r);        /* store_rebuild_base.c: takes out what is gone since */
int store_rebuild_messages(struct store_rebuild *r, struct fail *f);    /* store_rebuild_row.c */

#endif
