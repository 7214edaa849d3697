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

/* A message's bytes through its edit list; size: of what comes out. */
struct store_read_place {
    struct msglog_place log;
    uint64_t account, size;
    uint32_t summary_flags;
    struct span edits;
};
/* At most n bytes from `from` on; empty behind the end. 0, or -1 and *f: FAIL_TEMP. The place must be pinned. */
int store_read_window(struct store *s, const struct store_read_place *p, uint64_t from, size_t n, struct span *out,
                      struct arena *mem, struct fail *f);

#endif
