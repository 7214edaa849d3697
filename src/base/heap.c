/* heap: binary heap of nodes that know their place; v[at - 1] is the node whose place is `at`. */
#include "base/heap.h"

static void set(struct heap *h, size_t at, struct heap_node *node)
{
    h->v[at - 1] = node;
    node->at = at;
}

static void rise(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    while (at > 1 && h->v[at / 2 - 1]->key > node->key) {
        set(h, at, h->v[at / 2 - 1]);
        at /= 2;
    }
    set(h, at, node);
}

static void sink(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    for (size_t child; (child = at * 2) <= h->n; at = child) {
        if (child < h->n && h->v[child]->key < h->v[child - 1]->key)
            child++;
        if (h->v[child - 1]->key >= node->key)
            break;
        set(h, at, h->v[child - 1]);
    }
    set(h, at, node);
}

void heap_init(struct heap *h) { *h = (struct heap){0}; }

void heap_done(struct heap *h)
{
    free(h->v);
    heap_init(h);
}

void heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(node->at == 0);
    if (h->n == h->cap) {
        h->cap = MAX_OF(h->cap * 2, (size_t)16);
        h->v = base_realloc(h->v, h->cap * sizeof *h->v);
    }
    node->key = key;
    set(h, ++h->n, node);
    rise(h, node);
}

void heap_move(struct heap *h, struct heap_node *node, int64_t key)
{
    if (node->at == 0) {
        heap_add(h, node, key);
        return;
    }
    bool down = key > node->key;
    node->key = key;
    if (down)
        sink(h, node);
    else
        rise(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->at == 0)
        return;
    assert(node->at <= h->n && h->v[node->at - 1] == node);
    struct heap_node *last = h->v[--h->n];
    if (last != node) {
        set(h, node->at, last);
        rise(h, last);
        sink(h, last);
    }
    node->at = 0;
}

struct heap_node *heap_first(const struct heap *h) { return h->n ? h->v[0] : NULL; }
