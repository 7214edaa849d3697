/* str: appending to bytes in an arena; grows where it stands when it was the arena's last block. */
#include "base/str.h"

#include <stdarg.h>

void str_init(struct str *s, struct arena *mem) { *s = (struct str){.mem = mem}; }

void str_reserve(struct str *s, size_t more)
{
    if (s->cap - s->n >= more)
        return;
    if (more > SIZE_MAX / 4 || s->n > SIZE_MAX / 4)
        base_die("str: absurd size");
    size_t cap = MAX_OF(MAX_OF(s->cap * 2, s->n + more), (size_t)64);
    if (!arena_extend(s->mem, s->p, s->cap, cap)) {
        char *p = arena_alloc(s->mem, cap);
        if (s->n)
            memcpy(p, s->p, s->n);
        s->p = p;
    }
    s->cap = cap;
}

void str_add(struct str *s, struct span what)
{
    if (what.n == 0)
        return;
    str_reserve(s, what.n);
    memcpy(s->p + s->n, what.p, what.n);
    s->n += what.n;
}

void str_addz(struct str *s, const char *z) { str_add(s, span_z(z)); }

void str_addc(struct str *s, char c)
{
    str_reserve(s, 1);
    s->p[s->n++] = c;
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    size_t room = s->cap - s->n;
    va_start(ap, fmt);
    int n = vsnprintf(room ? s->p + s->n : NULL, room, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n >= room) { /* vsnprintf wants room for a NUL as well */
        str_reserve(s, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(s->p + s->n, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    s->n += (size_t)n;
}

void str_addu(struct str *s, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    str_add(s, span_of(digits + at, sizeof digits - at));
}

void str_clear(struct str *s) { s->n = 0; }

const char *str_z(struct str *s)
{
    str_reserve(s, 1);
    s->p[s->n] = '\0';
    return s->p;
}
