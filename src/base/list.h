/* list: intrusive doubly linked ring; the head is a node too. */
#ifndef POSTEL_LIST_H
#define POSTEL_LIST_H

#include "base/base.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline bool list_linked(const struct list *l) { return l->next != NULL && l->next != l; }
static inline void list_add_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}
static inline void list_push(struct list *head, struct list *node) { list_add_before(head, node); } /* at the end */
static inline void list_remove(struct list *node) /* a removed node is linked to itself; removing it again is nothing */
{
    if (node->next == NULL)
        return;
    node->next->prev = node->prev;
    node->prev->next = node->next;
    node->next = node->prev = node;
}
static inline struct list *list_shift(struct list *head) /* takes the first, NULL when empty */
{
    struct list *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}
#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)

#endif
