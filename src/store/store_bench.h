/* store_bench: what the files of the store's benchmark share. Exports store_bench_* and store_ops_bench_*. */
#ifndef POSTEL_STORE_BENCH_H
#define POSTEL_STORE_BENCH_H

#include "store/store_impl.h"

enum { STORE_BENCH_WAITING = 256, STORE_BENCH_ABOUT = 500 }; /* ABOUT: messages that an operation is about, whatever the mailbox holds */

struct store_bench {
    struct store *s;
    uint64_t inbox, copy, other;    /* mailboxes of account 1 */
    uint64_t first, n;              /* an operation is about these uids of the inbox, or uids 1 to n of copy and other */
    uint64_t since;
    uint64_t eids[STORE_BENCH_ABOUT];
    struct arena mem;
};

/* n messages of `body` bytes with so many waiting; account 0: spread over a thousand others. */
void store_bench_arrivals(struct store *s, size_t n, size_t waiting, uint64_t account, size_t body);

/* Each row is one operation about b->n messages; they follow each other, each finds what those before have left. */
struct store_ops_bench_row {
    const char *name;
    void (*run)(struct store_bench *b);
    bool reads;                     /* changes nothing: may be run again */
};
extern const struct store_ops_bench_row store_ops_bench_many[], store_ops_bench_one[];
extern const size_t store_ops_bench_n_many, store_ops_bench_n_one;
/* Makes what they need: the inbox has b->first to b->first + b->n - 1. */
void store_ops_bench_start(struct store_bench *b);

#endif
