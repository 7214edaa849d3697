/* store_read: what the reads of the store share. */
#ifndef POSTEL_STORE_READ_H
#define POSTEL_STORE_READ_H

#include "store/store_impl.h"

/* A copy of n items that lives in mem; never NULL. */
static inline void *store_read_take(struct arena *mem, const void *v, size_t n, size_t size)
{
    void *p = arena_alloc(mem, n * size + 1);
    if (n > 0)
        memcpy(p, v, n * size);
    return p;
}

#endif
