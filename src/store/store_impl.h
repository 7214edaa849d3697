/* store_impl: what the files of the store share. Nobody outside src/store includes it. */
#ifndef POSTEL_STORE_IMPL_H
#define POSTEL_STORE_IMPL_H

#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "run/ipc.h"
#include "store/db.h"
#include "store/msglog.h"
#include "store/store.h"
#include "store/store_queue.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- what the committer knows of accounts: read from the index when first needed, written back once per commit ------
 */

struct store_mailbox {
    struct store_mailbox *next;
    uint64_t id, parent, uidvalidity, uidnext, highmodseq, created_modseq, changed_modseq;
    uint64_t total, unseen, deleted, size, unread;
    struct span name; /* its own copy */
    uint32_t role;
    bool subscribed, dirty;
};

struct store_account {
    uint64_t id, modseq, floor, uidvalidity;
    int64_t quota, quota_messages; /* -1: none */
    struct store_mailbox *mailboxes;
    bool dirty_row; /* the account's own row */
    bool touched;   /* in s->touched */
};

/* ---- a write inside a batch ---- */

enum store_op_state { OP_WAITING, OP_DONE, OP_REPEATED, OP_FAILED, OP_LATER };

struct store_op {
    struct store_write *w;
    enum store_op_state state;
    uint64_t account;
    struct span id;                   /* the operation's, n 0: none */
    const struct msg_ingest *arrival; /* what brings a message or bytes: ingest itself, or append, blob_put as such */
    size_t record;                    /* of those: 1 + index in the batch's records, 0: none */
    struct store_spool *spool;
    struct msg_ingest_result *results;
    struct span *edits;   /* per target */
    struct span keywords; /* packed */
    struct span big_body; /* for a file of its own, when it was not spooled */
    uint64_t big_from;    /* or that blob's file, 0: none */
    size_t n;
    uint64_t refs;        /* messages of the queue that it makes */
};

/* Rewriting of segments, and the search for orphans (store_sweep.c). */
struct store_sweep {
    uint32_t seg, after;            /* being rewritten, 0: none; what was left as it is lies up to here */
    uint64_t at, end;
    bool left, wanted;              /* it cannot be rewritten; look for another one */
    int64_t next_ms, last_ms, orphans_ms;
    DIR *files;
    bool in_big;
};

/* What the log is to be told beside messages (store_note.c). */
struct store_note {
    bool trees;                     /* there may be accounts whose tree is to be noted */
    VEC(uint64_t) gone, written;    /* emails whose end is to be noted; accounts whose tree this step notes */
    size_t taken;                   /* of gone, by this step */
    int64_t next_ms, last_ms;
};

/* A file the index no longer names: a segment, or else a big body. */
struct store_dead { uint64_t bid, ticket; uint32_t seg; };

#define STORE_STATE_LOG SPAN("log")     /* in the table state: this index is that of the log beside it */
/* What the committer keeps of the queue in memory (store_queue_impl.h). */
struct store_ready { struct span domain; int64_t due_ms; };
struct store_queue {
    _Atomic int64_t skew_ms;        /* of the wall clock against the queue's */
    int64_t wall_ms, mono_ms;       /* at the last look */
    int64_t seen_ms;                /* the queue's time as last saved */
    bool skew_dirty;
    pthread_mutex_t lock;
    struct map leases;              /* by rid: struct store_lease; under the lock */
    uint64_t lease;                 /* the last one's name; begins anywhere */
    struct map told;                /* by domain: what relay knows to be due there */
    VEC(struct store_ready) ready;  /* of this batch; in s->mem */
    bool reports;                   /* this batch made or moved some */
    uint64_t round;                 /* where the search for what is too old goes on */
    bool more;                      /* it goes on at once */
    void (*on_ready)(void *arg, const struct msg_queue_ready *v, size_t n);
    void *ready_arg;
    void (*on_report)(void *arg);
    void *report_arg;
};

/* The walk through the keys of threads (store_thread.c). */
struct store_keys {
    bool walking;
    int64_t account, key; /* it is through with these */
    int64_t fresh;        /* emails less emails ever when the last walk began */
};

struct store_live {
    uint32_t seg;
    int64_t bytes;
};

struct store {
    int dir, lock_fd;
    uint64_t big_bytes;
    unsigned wal_most;
    struct db *db; /* the committer's */
    struct msglog *log;

    /* submission */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_write *first, **last;
    bool stop, asleep, running;
    _Atomic bool broken;

    /* the committer's */
    struct map accounts; /* by number: struct store_account */
    VEC(struct store_account *) touched;
    VEC(struct store_live) live; /* what this batch adds to segments */
    VEC(struct store_op) ops;
    VEC(struct msglog_record) records;
    VEC(uint64_t) big_dead; /* to remove once committed */
    VEC(uint64_t) gone;     /* emails that this batch ended */
    VEC(struct msg_changed) feed;
    struct map batch_ids;
    struct arena mem; /* of the batch */
    uint64_t next_eid, next_bid, next_mailbox, emails, blobs;
    uint64_t threaded;     /* emails below it have their thread */
    struct store_keys keys;
    uint64_t tidy_account; /* where the purge of tombstones goes on */
    bool tidying;          /* the last idle step left something to do */
    _Atomic unsigned step; /* messages per commit of a long operation, for tests; 0: what each has */
    bool big_dirty;        /* big/ got a new name */
    int64_t purged_ms, tidied_ms;
    struct store_sweep sweep;
    struct store_note note;
    struct store_queue queue;
    uint64_t event; /* the last event's id */
    VEC(struct store_dead) dead;
    _Atomic int64_t pinned_until_ms; /* a backup is being made */

    store_changed_fn *on_changed;
    void *changed_arg;
    void (*on_broken)(void *arg, const struct fail *f);
    void *broken_arg;

    /* readers */
    pthread_mutex_t read_lock;
    pthread_cond_t read_wake;
    struct db **idle;
    unsigned n_idle, n_readers;

    pthread_mutex_t spool_lock;
    struct map spools; /* by operation id: struct store_spool */

    struct store_texts *texts; /* store_text.h */

    _Atomic uint64_t commits, committed, wal_written, n_emails, n_blobs, n_threaded, n_eids;
};

int store_state(struct store *s, struct span name, int64_t none, int64_t *out); /* of table state; none: when it is not there */

/* store_account.c: the committer's view. All return NULL or -1 on trouble of the index (see db_trouble). */
struct store_account *store_account_get(struct store *s, uint64_t account, bool make); /* NULL and DB_FINE: not there */
/* For an operation of an account: NULL and refused when there is none of that number (or trouble). 0: the INBOX. */
struct store_mailbox *store_account_find(struct store *s, struct store_op *op, uint64_t mailbox,
                                         struct store_account **a);
struct store_mailbox *store_account_mailbox(struct store_account *a, uint64_t mailbox); /* 0: INBOX; NULL: not there */
/* Makes it when missing; lang: of the account, in which its other mailboxes (Drafts, Sent, ...) are named that come with
 * it; empty: none come. */
struct store_mailbox *store_account_inbox(struct store *s, struct store_account *a, struct span lang);
int store_special_make(struct store *s, struct store_account *a, struct span lang); /* those others */
struct store_mailbox *store_account_add(struct store *s, struct store_account *a, uint64_t parent, struct span name,
                                        uint32_t role, bool subscribed);
void store_account_rename(struct store_mailbox *m, struct span name);                        /* here only; then: */
int store_account_change(struct store *s, struct store_account *a, struct store_mailbox *m); /* writes name and kind */
int store_account_remove(struct store *s, struct store_account *a, struct store_mailbox *m); /* an empty one */
void store_account_touch(struct store *s, struct store_account *a, struct store_mailbox *m);
uint64_t store_account_modseq(struct store *s, struct store_account *a, struct store_mailbox *m); /* the next one */
/* A message comes into the counters (by = 1) or leaves them (-1). */
void store_account_count(struct store_mailbox *m, uint32_t flags, uint64_t size, int by);
/* 0, or -1 and *f: so many bytes and messages more are above the account's quota. a NULL: a new account. */
int store_account_room(const struct store_account *a, uint64_t bytes, uint64_t messages, struct fail *f);
uint64_t store_account_used(const struct store_account *a);
uint64_t store_account_messages(const struct store_account *a);
int store_account_write_back(struct store *s);
void store_account_forget(struct store *s, bool all); /* the whole cache, or only that nothing is touched any more */
int store_account_drop(struct store *s, struct store_account *a);

/* store_keyword.c: a message's keywords as the index keeps them: a byte for each registered one, others as text. */
int store_keyword_pack(struct span text, struct span *out, struct arena *mem, struct fail *f); /* checked; n 0: none */
struct span store_keyword_text(struct span packed, struct arena *mem);
/* mode: enum flags_mode. 0 and *out, or -1 and *f: too many. */
int store_keyword_apply(struct span packed, uint32_t mode, struct span change, struct span *out, struct arena *mem,
                        struct fail *f);
bool store_keyword_same(struct span a, struct span b); /* of packed ones: case apart */

/* One file per kind of write. plan: before the log is written; apply: after. 0, or -1: either op->w->fail is set and
 * nothing was changed, or db_trouble tells why the batch must be rolled back. State OP_LATER: more is left. */
int store_ingest_plan(struct store *s, struct store_op *op);
int store_ingest_apply(struct store *s, struct store_op *op);
int store_append_plan(struct store *s, struct store_op *op);
int store_append_apply(struct store *s, struct store_op *op);
int store_blob_plan(struct store *s, struct store_op *op);
int store_blob_apply(struct store *s, struct store_op *op);
int store_flags_apply(struct store *s, struct store_op *op);
int store_copy_apply(struct store *s, struct store_op *op);
int store_remove_expunge(struct store *s, struct store_op *op);
int store_remove_account(struct store *s, struct store_op *op);
int store_tree_create(struct store *s, struct store_op *op);
int store_tree_set(struct store *s, struct store_op *op);
int store_tree_remove(struct store *s, struct store_op *op);
int store_kv_apply(struct store *s, struct store_op *op);
int store_quota_apply(struct store *s, struct store_op *op);
int store_quota_recount(struct store *s, struct store_op *op);
int store_thread_apply(struct store *s, struct store_op *op); /* all threads up to now */
int store_mailbox_make_inbox(struct store *s, struct store_op *op);

/* store_op.c: results of operations that were seen before. */
int store_op_seen(struct store *s, struct store_op *op);                    /* 1 and out filled, 0, -1 */
int store_op_remember(struct store *s, struct store_op *op, bool finished); /* not finished: go on after a restart */
struct span store_op_id(const struct store_write *w);                       /* n 0: none */
int store_op_purge(struct store *s, size_t *gone);                          /* 1: there may be more */

/* store_commit.c */
void store_commit_live(struct store *s, uint32_t seg, int64_t bytes);
int store_commit_tidied(struct store *s); /* commits what an idle step did: s->live, s->big_dead */
void store_commit_run(struct store *s, struct store_write *list); /* a batch, from first to done */

/* store_sweep.c: the committer's, but for _pin. */
enum { STORE_SWEEP = MSG_ID_COUNT };    /* as the id of a write: a step of rewriting */
int store_sweep_plan(struct store *s, struct store_op *op);
int store_sweep_apply(struct store *s, struct store_op *op);
void store_sweep_dead(struct store *s, uint64_t bid, uint32_t seg);    /* after the commit; seg 0: a big body */
void store_sweep_files(struct store *s);        /* removes those that nobody reads any more */
bool store_sweep_due(const struct store *s, bool busy);
void store_sweep_step(struct store *s);
void store_sweep_pin(struct store *s, bool on);     /* for ten minutes no file goes */
void store_sweep_end(struct store *s);

/* store_note.c: the committer's. */
enum { STORE_NOTE = MSG_ID_COUNT + 1 };  /* as the id of a write */
int store_note_tree(struct store *s, uint64_t account);     /* its mailboxes, or limits, changed in this transaction */
void store_note_gone(struct store *s);                      /* after the commit: what s->gone holds */
int store_note_plan(struct store *s, struct store_op *op);
int store_note_apply(struct store *s, struct store_op *op);
/* A note in a segment that is being rewritten. 1: to be copied, 0: not, -1: trouble of the index. */
int store_note_swept(struct store *s, struct span meta);
bool store_note_due(const struct store *s, bool busy);
void store_note_step(struct store *s);
void store_note_end(struct store *s);                       /* writes what is left, gives memory back */

/* store_spool.c */
struct store_spool {
    int fd;
    uint64_t size;
    uint32_t crc;
    bool synced, busy; /* busy: an operation of the batch uses it */
    int64_t used_ms;
    char name[48];
    char op[16];
};
struct store_spool *store_spool_take(struct store *s, struct span op); /* for the committer; give back or end it */
void store_spool_give(struct store *s, struct store_spool *sp, bool done);
int store_spool_sync(struct store_spool *sp);
void store_spool_free_all(struct store *s);

/* store.c */
struct db *store_reader(struct store *s);               /* waits for a free one */
void store_reader_done(struct store *s, struct db *db);
uint64_t store_wal_written(const struct store *s); /* pages of index written; for the bench */

#endif
