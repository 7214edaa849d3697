/* arena: memory of one lifetime, given back all at once. Never fails: out of memory aborts the role. */
#ifndef POSTEL_ARENA_H
#define POSTEL_ARENA_H

#include "base/span.h"

struct arena {
    struct arena_chunk *last; /* newest chunk; NULL while nothing was asked for */
    char *next, *end;
    size_t used;              /* bytes handed out since the last reset, without slack */
};

void arena_init(struct arena *a);                 /* holds no memory until first used */
void arena_done(struct arena *a);                 /* gives everything back; may be used again */
void arena_reset(struct arena *a);                /* forgets all, keeps one chunk of at most 4 KiB */
void *arena_alloc(struct arena *a, size_t n);     /* 16-byte aligned, not zeroed; lives in a */
void *arena_zalloc(struct arena *a, size_t n);    /* zeroed */
struct span arena_copy(struct arena *a, struct span s);  /* a copy with a NUL behind its end; lives in a */
char *arena_z(struct arena *a, struct span s);    /* the same as a C string; bytes after an inner NUL are lost */
/* Makes the block p of old bytes n bytes long where it stands; false when it was not the last one or room is short. */
bool arena_extend(struct arena *a, const void *p, size_t old, size_t n);
struct span arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
