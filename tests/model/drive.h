/* drive: what the files that drive the store beside its model share. */
#ifndef POSTEL_DRIVE_H
#define POSTEL_DRIVE_H

#include "base/clock.h"
#include "model.h"
#include "store/store.h"

#include <pthread.h>

enum { DRIVE_ROUND = 6 }; /* operations of a round, at most */

/* An operation on its way. */
struct drive_slot {
    struct store_write w;
    struct model_request q;
    struct model_answer got;
    bool off;       /* refused before it was submitted: its body could not be spooled */
    struct arena mem;
    struct drive *d;
    union {
        struct msg_ingest ingest;
        struct msg_append append;
        struct msg_flags_set flags_set;
        struct msg_expunge expunge;
        struct msg_copy copy;
        struct msg_mailbox_create mailbox_create;
        struct msg_mailbox_set mailbox_set;
        struct msg_mailbox_remove mailbox_remove;
        struct msg_recount recount;
        struct msg_quota_set quota_set;
        struct msg_account_gone account_gone;
        struct msg_blob_put blob_put;
        struct msg_kv_set kv_set;
    } in;
    union {
        struct msg_ingest_r ingest;
        struct msg_append_r append;
        struct msg_flags_set_r flags_set;
        struct msg_expunge_r expunge;
        struct msg_copy_r copy;
        struct msg_mailbox_create_r mailbox_create;
        struct msg_mailbox_set_r mailbox_set;
        struct msg_mailbox_remove_r mailbox_remove;
        struct msg_recount_r recount;
        struct msg_quota_set_r quota_set;
        struct msg_blob_put_r blob_put;
        struct msg_kv_set_r kv_set;
    } out;
};

/* What the operations are like. */
struct drive_mix {
    uint32_t most[8];           /* a body's greatest length, each as likely; 0: not one */
    unsigned spooled, huge;     /* one body in so many comes in pieces; is above 1 MiB */
    bool steps;                 /* an operation that is alone is done in small steps */
    unsigned ages;              /* one round in so many is that hours pass; 0: none */
};

/* A client that was away since `modseq`: what it knows of an account (RFC 7162 3.2.5, RFC 8620 5.2). */
struct drive_client {
    uint64_t modseq;
    size_t n, n_boxes;
    struct model_member members[MODEL_MEMBERS + 200];
    uint64_t boxes[MODEL_BOXES + 20];
};

struct drive {
    struct store *store;
    char dir[64];
    uint64_t seed, random;
    uint64_t rounds, operations;
    int64_t round_began_ms;
    bool in_turn; /* no threads: a run repeats exactly */
    struct model_world world, trial;
    struct model_account before[MODEL_ACCOUNTS + 1]; /* the round that is being explained */
    struct drive_client clients[MODEL_ACCOUNTS][2];
    struct drive_slot slots[DRIVE_ROUND];
    struct model_request follow; /* the rest of a copy that was done in part; id 0: none */
    const struct drive_mix *mix;
    void (*written)(struct drive_slot *x); /* in the committer, as the answer comes; NULL: nothing */
    bool locked;                    /* lock and wake are made */
    bool quiet;                     /* no INBOX is made by looking */
    char why[400];                  /* of the last difference */
    size_t n;        /* of this round */
    bool put, valued; /* it has an upload, a value already: their order could not be told */
    uint64_t doomed; /* a mailbox that it may remove, 0: none */
    struct arena mem;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t done, submitted;
};

uint64_t drive_below(struct drive *d, uint64_t n); /* 0..n-1, from the run's seed */
void drive_start(struct drive *d, uint64_t seed); /* all but worlds and memory anew */
/* drive_random.c: fills d->slots[0..n-1].q with operations that may well make sense. */
void drive_random(struct drive *d);

/* drive_store.c */
void drive_round(struct drive *d);  /* submits the round, waits, fills got */

void drive_ask(struct drive_slot *x);     /* makes x->w of x->q */
void drive_answer(struct drive_slot *x);  /* makes x->got of what x->w gave */
/* Hours pass on the clock of all, and the store drops what is too old. */
void drive_age(struct drive *d, int64_t hours);
void drive_pass(int64_t hours);     /* they pass on the clock, no more */
void drive_setup(void);             /* once, before the store is opened: a clock that can be set, the limits of the model */
void drive_threads(struct drive *d); /* the store and the model find out the threads of all that came */
/* The bytes of a body: the same for the same seed. lives in mem */
struct span drive_body(uint64_t seed, uint32_t length, struct arena *mem);

/* drive_explain.c */
bool drive_touches(const struct model_request *q, uint32_t account);
bool drive_same(const struct model_answer *a, const struct model_answer *b);
/* Applies the round to d->world in an order that explains its answers; order[i]: the slot that came i-th. 0, or -1: there
 * is none, and the first of slots[order[i]] not explained is at *found. */
int drive_explain(struct drive *d, size_t order[DRIVE_ROUND], size_t *found);

/* After each round: what was made has ids that nobody had. 0, or -1 and d->why. */
int drive_new(struct drive *d);

/* Comparing: 0, or -1 and d->why. */
int drive_differs(struct drive *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* drive_compare.c: what of the account can be seen, against the model; some of it, or all. */
int drive_compare(struct drive *d, uint32_t account);
int drive_compare_all(struct drive *d, uint32_t account);
int drive_compare_boxes(struct drive *d, uint32_t account); /* its mailboxes with their counters only */
int drive_compare_store(struct drive *d); /* what belongs to no account */
/* drive_client.c: clients that were away ask what has changed; or one that knows nothing asks for all. */
int drive_client(struct drive *d, uint32_t account);
int drive_client_new(struct drive *d, uint32_t account);
void drive_client_forget(struct drive *d, uint32_t account);
int drive_keywords(struct drive *d, struct span text, uint32_t *bits);

#endif
