/* heap: intrusive binary heap, smallest key first; O(log n) for all but heap_first. */
#ifndef POSTEL_HEAP_H
#define POSTEL_HEAP_H

#include "base/base.h"

struct heap_node {
    int64_t key;
    size_t at; /* place in the heap, 1..n; 0 = in no heap */
};

struct heap {
    struct heap_node **v;
    size_t n, cap;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h);                                      /* the nodes are the caller's */
void heap_add(struct heap *h, struct heap_node *node, int64_t key);  /* node must be in no heap */
void heap_move(struct heap *h, struct heap_node *node, int64_t key); /* changes the key, or adds */
void heap_remove(struct heap *h, struct heap_node *node);            /* nothing when it is in no heap */
struct heap_node *heap_first(const struct heap *h);                  /* NULL when empty */

#endif
