/* drive: what the files that drive the store beside its model share. */
#ifndef POSTEL_DRIVE_H
#define POSTEL_DRIVE_H

#include "model.h"
#include "store/store.h"

#include <pthread.h>

enum { DRIVE_ROUND = 6 }; /* operations of a round, at most */

/* An operation on its way. */
struct drive_slot {
    struct store_write w;
    struct model_request q;
    struct model_answer got;
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
    } out;
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
    struct drive_client clients[MODEL_ACCOUNTS][2];
    struct drive_slot slots[DRIVE_ROUND];
    size_t n;        /* of this round */
    uint64_t doomed; /* a mailbox that it may remove, 0: none */
    struct arena mem;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t done, submitted;
};

uint64_t drive_below(struct drive *d, uint64_t n); /* 0..n-1, from the run's seed */
/* Prints the seed, what was done last and why; ends the program. */
_Noreturn void drive_fail(struct drive *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void drive_note(struct drive *d, const char *fmt, ...) PRINTF_LIKE(2, 3); /* a line for drive_fail */

/* drive_random.c: fills d->slots[0..n-1].q with operations that may well make sense. */
void drive_random(struct drive *d);

/* drive_store.c */
void drive_open(struct drive *d);
void drive_round(struct drive *d);  /* submits the round, waits, fills got */

/* drive_compare.c: everything of the account that can be seen, against the model. */
void drive_compare(struct drive *d, uint32_t account);
/* drive_client.c: clients that were away ask what has changed. */
void drive_client(struct drive *d, uint32_t account);
void drive_client_forget(struct drive *d, uint32_t account);
/* The bytes of a body: the same for the same seed. lives in mem */
struct span drive_body(uint64_t seed, uint32_t length, struct arena *mem);
uint32_t drive_keywords(struct drive *d, struct span text); /* as bits */

#endif
