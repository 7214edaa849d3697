/* ops: the operations of a load: what each is, does, and was answered. Flat, so that they can be saved. */
#ifndef POSTEL_POWERCUT_OPS_H
#define POSTEL_POWERCUT_OPS_H

#include "base/rand.h"
#include "disk.h"
#include "store/store.h"

enum { OPS_ACCOUNTS = 5, OPS_TARGETS = 4, OPS_MOST = 4096, OPS_SEGMENT = 128 * 1024, OPS_BIG = 16 * 1024 };

enum ops_kind { OPS_INGEST, OPS_SPOOLED, OPS_FLAGS, OPS_EXPUNGE };

struct op {
    enum ops_kind kind;
    struct op_id id;
    /* a message */
    uint32_t n, len;
    uint64_t text;                  /* seed of its body */
    uint64_t account[OPS_TARGETS];  /* the first also for flags and expunge */
    uint32_t target_flags[OPS_TARGETS];
    /* flags and expunge */
    uint64_t mailbox, first, last, since;
    uint32_t mode, flags;
    /* the answer */
    int result;
    char code[10];
    bool repeated;
    uint64_t out_mailbox[OPS_TARGETS], uid[OPS_TARGETS], eid[OPS_TARGETS], target_modseq[OPS_TARGETS];
    uint64_t modseq, changed, modified;
};

/* What the load knows of an account while it runs. */
struct ops_account { _Atomic uint64_t mailbox, uid; };

struct ops {
    struct op *v;                   /* OPS_MOST */
    _Atomic uint32_t n;
    char *body[OPS_MOST];           /* made when first wanted, by one thread at a time */
    struct ops_account account[OPS_ACCOUNTS];
};

struct ops *ops_new(void);
void ops_free(struct ops *o);
void ops_make(struct ops *o, uint32_t i, struct disk_rand *r);  /* fills in what operation i is to be */
struct span ops_body(struct ops *o, uint32_t i);
/* Submits and waits; the answer is in *op. note: the moments are recorded under number i. Spools first where it is one. */
void ops_do(struct ops *o, uint32_t i, struct op *op, struct store *s, bool note);
/* Operations [o->n, o->n + count) by several threads. */
void ops_load(struct ops *o, struct store *s, uint32_t count, unsigned threads, uint64_t seed);
struct store *ops_open(const char *dir, struct fail *f);        /* small segments, frequent checkpoints */

#endif
