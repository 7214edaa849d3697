/* arena: chunks in a chain, handed out from front to back. Under ASan what is not handed out is poisoned, so that use
 * after a reset is found. */
#include "base/arena.h"

#include <stdarg.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HIDE(p, n) ((void)0)
#define SHOW(p, n) ((void)0)
#endif

struct arena_chunk {
    struct arena_chunk *before;
    size_t size; /* of the whole chunk */
};

enum {
    ALIGN = 16,
    CHUNK_FIRST = 4080, /* with malloc's own word this is 4 KiB */
    CHUNK_MOST = 65520,
};

_Static_assert(sizeof(struct arena_chunk) % ALIGN == 0, "the first block behind the head must be aligned");

static size_t rounded(size_t n)
{
    if (n > SIZE_MAX / 2)
        base_die("arena: absurd size");
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void use_chunk(struct arena *a, struct arena_chunk *c)
{
    a->last = c;
    a->next = (char *)(c + 1);
    a->end = (char *)c + c->size;
    HIDE(a->next, (size_t)(a->end - a->next));
}

static void add_chunk(struct arena *a, size_t need)
{
    size_t size = a->last ? MIN_OF(a->last->size * 2, (size_t)CHUNK_MOST) : CHUNK_FIRST;
    size = MAX_OF(size, need + sizeof(struct arena_chunk));
    struct arena_chunk *c = base_realloc(NULL, size);
    c->before = a->last;
    c->size = size;
    use_chunk(a, c);
}

void arena_init(struct arena *a) { *a = (struct arena){0}; }

void arena_done(struct arena *a)
{
    while (a->last) {
        struct arena_chunk *c = a->last;
        a->last = c->before;
        free(c);
    }
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = NULL;
    while (a->last) {
        struct arena_chunk *c = a->last;
        a->last = c->before;
        if (c->before == NULL && c->size <= CHUNK_FIRST)
            keep = c;
        else
            free(c);
    }
    arena_init(a);
    if (keep)
        use_chunk(a, keep);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t room = rounded(MAX_OF(n, (size_t)1));
    if (room > (size_t)(a->end - a->next))
        add_chunk(a, room);
    void *p = a->next;
    a->next += room;
    a->used += n;
    SHOW(p, n);
    return p;
}

bool arena_extend(struct arena *a, const void *p, size_t old, size_t n)
{
    if (p == NULL || a->last == NULL || (const char *)p < (char *)(a->last + 1) ||
        (const char *)p + rounded(MAX_OF(old, (size_t)1)) != a->next || n < old)
        return false;
    if (rounded(n) > (size_t)(a->end - (const char *)p))
        return false;
    a->next = a->next - rounded(MAX_OF(old, (size_t)1)) + rounded(MAX_OF(n, (size_t)1));
    a->used += n - old;
    SHOW(p, n);
    return true;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return span_of(p, s.n);
}

char *arena_z(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    char small[256]; /* most texts are short: formatted once */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n < sizeof small)
        return arena_copy(a, span_of(small, (size_t)n));
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return span_of(p, (size_t)n);
}
