/* map: bytes to pointer, hashed with a key of this process (SipHash), so that strangers cannot pick collisions. */
#ifndef POSTEL_MAP_H
#define POSTEL_MAP_H

#include "base/span.h"

struct map {
    struct map_slot *slots;
    size_t n, cap, dead;
};

void map_init(struct map *m);
void map_done(struct map *m);                                   /* values are the caller's */
void *map_get(const struct map *m, struct span key);            /* NULL when absent */
void *map_put(struct map *m, struct span key, void *value);     /* key is copied; returns the value it replaced, or NULL */
void *map_take(struct map *m, struct span key);                 /* removes; returns the value, or NULL */
static inline size_t map_count(const struct map *m) { return m->n; }
/* Walks all entries: start with *at = 0; false at the end. Only the entry just returned may be removed meanwhile. */
bool map_next(const struct map *m, size_t *at, struct span *key, void **value);
/* The same keyed by a number. */
void *map_get_u64(const struct map *m, uint64_t key);
void *map_put_u64(struct map *m, uint64_t key, void *value);
void *map_take_u64(struct map *m, uint64_t key);

#endif
