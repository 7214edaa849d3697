/* match_text: see the header. Finding compares the first and last byte of a needle at 16 places at once. */
#include "format/match_text.h"

#include "base/str.h"
#include "format/match_walk.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* ---- making ---- */

struct making {
    struct str own, parts, body;
    size_t most;
};

/* NULs of a value are marked as such. */
static void add_own(struct str *out, struct span hay)
{
    const char *nul;
    while (hay.n > 0 && (nul = memchr(hay.p, 0, hay.n)) != NULL) {
        size_t n = (size_t)(nul - hay.p) + 1;
        str_add(out, span_sub(hay, 0, n));
        str_addc(out, 1);
        hay = span_from(hay, n);
    }
    str_add(out, hay);
}

static void add_field(void *arg, enum match_field kind, struct span name, struct span hay)
{
    struct making *m = arg;
    struct str *out = kind == MATCH_FIELD_OWN ? &m->own : kind == MATCH_FIELD_PART ? &m->parts : &m->body;
    str_addc(out, 0);
    if (kind == MATCH_FIELD_OWN)
        add_own(out, hay);
    else
        str_add(out, hay);
}

static void add_piece(void *arg, bool first, struct span hay)
{
    struct making *m = arg;
    if (first)
        str_addc(&m->body, 0);
    str_add(&m->body, hay);
}

static bool too_much(void *arg)
{
    const struct making *m = arg;
    return m->own.n + m->parts.n + m->body.n > m->most;
}

bool match_text_make(struct span message, size_t most, struct match_text *out, struct arena *mem)
{
    struct making m = {.most = most};
    struct match_visit visit = {.arg = &m, .field = add_field, .piece = add_piece, .enough = too_much};
    str_init(&m.own, mem);
    str_init(&m.parts, mem);
    str_init(&m.body, mem);
    match_walk(message, &visit, mem);
    *out = (struct match_text){.parts_at = (uint32_t)m.own.n, .body_at = (uint32_t)(m.own.n + m.parts.n)};
    if (too_much(&m))
        return false;
    str_add(&m.own, str_span(&m.parts));
    str_add(&m.own, str_span(&m.body));
    out->bytes = m.own.n > 0 ? str_span(&m.own) : SPAN("");
    return true;
}

/* ---- finding ---- */

bool match_text_able(const struct match_needle *folded)
{
    struct span name = folded->name, text = folded->text;
    if (text.n > 0 && (memchr(text.p, 0, text.n) != NULL || memchr(text.p, 1, text.n) != NULL))
        return false;
    for (size_t i = 0; folded->where == MATCH_HEADER && i < name.n; i++)
        if (name.p[i] <= 32 || name.p[i] >= 127 || name.p[i] == ':')
            return false;
    return folded->where != MATCH_HEADER || name.n > 0;
}

/* Where x, which is not empty, first stands in hay; NULL: nowhere. */
static const char *seek(struct span hay, struct span x)
{
    size_t i = 0;
    if (hay.n < x.n)
        return NULL;
#if defined(__SSE2__)
    size_t places = hay.n - x.n + 1;
    const __m128i first = _mm_set1_epi8(x.p[0]), last = _mm_set1_epi8(x.p[x.n - 1]);
    for (; i + 16 <= places; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(hay.p + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(hay.p + i + x.n - 1));
        unsigned both = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last)));
        for (; both != 0; both &= both - 1) {
            const char *at = hay.p + i + __builtin_ctz(both);
            if (memcmp(at, x.p, x.n) == 0)
                return at;
        }
    }
#endif
    return memmem(hay.p + i, hay.n - i, x.p, x.n);
}

/* The value that begins at p: up to the next mark. */
static struct span value_at(const char *p, const char *end)
{
    const char *to = p;
    while ((to = memchr(to, 0, (size_t)(end - to))) != NULL && to + 1 < end && to[1] == 1)
        to++;
    return span_of(p, (size_t)((to != NULL ? to : end) - p));
}

static bool find_named(struct span own, struct span name, struct span text)
{
    const char *end = own.p + own.n, *at = own.p;
    while (at < end && (at = memchr(at, 0, (size_t)(end - at))) != NULL) {
        struct span rest = span_of(at + 1, (size_t)(end - at) - 1);
        at++;
        if (rest.n < name.n + 2 || memcmp(rest.p, name.p, name.n) != 0 || rest.p[name.n] != ':')
            continue;
        struct span value = value_at(rest.p + name.n + 2, end);
        if (text.n == 0 || seek(value, text) != NULL)
            return true;
    }
    return false;
}

static bool find(const struct match_text *t, const struct match_needle *x)
{
    if (x->where == MATCH_HEADER)
        return find_named(span_sub(t->bytes, 0, t->parts_at), x->name, x->text);
    return x->text.n == 0 || seek(x->where == MATCH_BODY ? span_from(t->bytes, t->body_at) : t->bytes, x->text) != NULL;
}

uint64_t match_text_find(const struct match_text *t, const struct match_needle *folded, uint32_t n)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < n && i < MATCH_NEEDLES; i++)
        if (folded[i].text.n <= MATCH_NEEDLE_BYTES && find(t, &folded[i]))
            found |= (uint64_t)1 << i;
    return found;
}
