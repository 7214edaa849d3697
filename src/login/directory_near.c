/* directory_near: makes each local part that one slip could have turned into the one that was written, and looks whether
 * somebody has it. */
#include "login/directory_near.h"

#include "login/directory_find.h"

enum { LEAST = 3 }; /* of two letters one slip makes anything */

struct guess {
    const struct directory_cache *c;
    struct span local, domain;
    char key[LOGIN_NAME_BYTES + 2]; /* a local part that might be meant, with the domain */
    size_t n;
};

/* key: the first `keep` letters, `more`, and those from `from` on. Whether that is somebody's. */
static bool is_account(struct guess *g, size_t keep, struct span more, size_t from)
{
    const struct span parts[] = {span_sub(g->local, 0, keep), more, span_from(g->local, from), SPAN("@"), g->domain};
    const struct directory_name *name;

    g->n = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i].n > 0)
            memcpy(g->key + g->n, parts[i].p, parts[i].n);
        g->n += parts[i].n;
    }
    name = directory_cache_name(g->c, span_of(g->key, g->n));
    return name != NULL && name->account != NULL && !name->account->disabled;
}

static bool two_changed_places(struct guess *g, size_t at)
{
    const char *p = g->local.p + at;
    char swapped[2];

    if (at + 2 > g->local.n || p[0] == p[1])
        return false;
    swapped[0] = p[1];
    swapped[1] = p[0];
    return is_account(g, at, span_of(swapped, 2), at + 2);
}

static bool one_too_many(struct guess *g, size_t at)
{
    return at < g->local.n && is_account(g, at, SPAN(""), at + 1);
}

static bool some_letter(struct guess *g, size_t at, size_t instead_of)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";

    for (size_t i = 0; i + 1 < sizeof letters; i++)
        if (is_account(g, at, span_of(&letters[i], 1), at + instead_of))
            return true;
    return false;
}

static bool one_missing(struct guess *g, size_t at)
{
    return some_letter(g, at, 0);
}

static bool another_one(struct guess *g, size_t at)
{
    return at < g->local.n && some_letter(g, at, 1);
}

struct span directory_near(struct directory_cache *c, const struct directory_account *asks, struct span address,
                           struct arena *mem)
{
    static bool (*const slips[])(struct guess *g, size_t at) = {two_changed_places, one_too_many, one_missing, another_one};
    struct span home = span_z(asks->address);
    struct directory_found f;
    struct guess g = {.c = c};
    ptrdiff_t sign;

    home = span_from(home, (size_t)span_rfind_char(home, '@') + 1);
    if (!directory_find(c, address, &f) || f.n == 0 || f.name != NULL || f.account != NULL)
        return SPAN("");
    g.domain = span_of(f.folded + f.at + 1, f.n - f.at - 1);
    sign = c->sign != 0 ? span_find_char(span_of(f.folded, f.at), c->sign) : -1;
    g.local = span_of(f.folded, sign >= 0 ? (size_t)sign : f.at);
    if (!span_eq(g.domain, home) || g.local.n < LEAST)
        return SPAN("");
    for (size_t i = 0; i < COUNT_OF(slips); i++)
        for (size_t at = 0; at <= g.local.n; at++)
            if (slips[i](&g, at)) {
                struct span detail = span_of(f.folded + g.local.n, f.at - g.local.n), meant = span_of(g.key, g.n);
                ptrdiff_t cut = span_rfind_char(meant, '@');
                return arena_printf(mem, "%.*s%.*s%.*s", (int)cut, meant.p, SPAN_ARGS(detail),
                                    SPAN_ARGS(span_from(meant, (size_t)cut)));
            }
    return SPAN("");
}
