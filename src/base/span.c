/* span: comparing, searching and cutting views of bytes. */
#include "base/span.h"

static unsigned char lower(char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : (unsigned char)c; }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* memcmp and friends must not see NULL, not even with length 0. */
static bool same(const char *a, const char *b, size_t n) { return n == 0 || memcmp(a, b, n) == 0; }

static bool same_nocase(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool span_eq(struct span a, struct span b) { return a.n == b.n && same(a.p, b.p, a.n); }

bool span_eq_nocase(struct span a, struct span b) { return a.n == b.n && same_nocase(a.p, b.p, a.n); }

int span_cmp(struct span a, struct span b)
{
    size_t n = MIN_OF(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool span_starts(struct span s, struct span prefix) { return s.n >= prefix.n && same(s.p, prefix.p, prefix.n); }

bool span_starts_nocase(struct span s, struct span prefix)
{
    return s.n >= prefix.n && same_nocase(s.p, prefix.p, prefix.n);
}

bool span_ends_nocase(struct span s, struct span suffix)
{
    return suffix.n == 0 || (s.n >= suffix.n && same_nocase(s.p + s.n - suffix.n, suffix.p, suffix.n));
}

ptrdiff_t span_find(struct span s, struct span what)
{
    if (what.n == 0)
        return 0;
    if (s.n < what.n)
        return -1;
    const char *at = memmem(s.p, s.n, what.p, what.n);
    return at ? at - s.p : -1;
}

ptrdiff_t span_find_char(struct span s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

ptrdiff_t span_rfind_char(struct span s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

struct span span_sub(struct span s, size_t off, size_t n)
{
    s = span_from(s, off);
    s.n = MIN_OF(s.n, n);
    return s;
}

struct span span_from(struct span s, size_t off)
{
    off = MIN_OF(off, s.n);
    if (off == 0)
        return s;
    return (struct span){s.p + off, s.n - off};
}

struct span span_trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct span span_split(struct span *rest, char c)
{
    struct span head = *rest;
    ptrdiff_t at = span_find_char(head, c);
    if (at < 0) {
        *rest = SPAN_NONE;
        return head;
    }
    *rest = span_of(head.p + at + 1, head.n - (size_t)at - 1);
    head.n = (size_t)at;
    return head;
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
uint64_t span_hash(struct span s)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
    return h;
}

uint64_t span_hash_nocase(struct span s)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ lower(s.p[i])) * 0x100000001b3;
    return h;
}
