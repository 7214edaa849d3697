/* Rows of cells. Everything printed came from people or from mail, so all of it is escaped the way the log escapes. */
#include "admin/columns.h"

#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <uniwidth.h>

enum { WIDTH_MOST = 60 }; /* a longer cell pushes the rest of its row aside, not of all rows */

/* The escaped form of what s starts with, in out; *used: bytes of s that this is. */
static size_t escape_one(struct span s, char out[32], size_t *used)
{
    uint32_t cp;
    *used = MAX_OF((size_t)1, utf8_decode(s, &cp));
    if (s.p[0] >= ' ' && s.p[0] <= '~') {
        out[0] = s.p[0];
        return 1;
    }
    /* log_escape quotes what it escapes; here the quotes would only be in the way. */
    size_t n = log_escape(span_of(s.p, *used), out, 32);
    bool quoted = n >= 2 && out[0] == '"';
    if (quoted)
        memmove(out, out + 1, n - 2);
    return quoted ? n - 2 : n;
}

void columns_escaped(FILE *to, struct span s)
{
    while (s.n > 0) {
        char one[32];
        size_t used, n = escape_one(s, one, &used);
        fwrite(one, 1, n, to);
        s = span_from(s, used);
    }
}

void columns_init(struct columns *c, size_t width, const char *const *heads, bool plain)
{
    *c = (struct columns){.width = width};
    arena_init(&c->mem);
    for (size_t i = 0; i < width && heads && !plain; i++)
        columns_add(c, span_z(heads[i]));
}

void columns_add(struct columns *c, struct span cell)
{
    struct str s;
    str_init(&s, &c->mem);
    while (cell.n > 0) {
        char one[32];
        size_t used, n = escape_one(cell, one, &used);
        str_add(&s, span_of(one, n));
        cell = span_from(cell, used);
    }
    *VEC_PUSH(&c->cells) = str_span(&s);
}

void columns_addf(struct columns *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    columns_add(c, span_z(text));
}

static int shown_width(struct span s)
{
    return s.n ? u8_width((const uint8_t *)s.p, s.n, "UTF-8") : 0;
}

static void print_cell(const struct columns *c, size_t i, const int *width, bool plain, FILE *to)
{
    struct span s = c->cells.v[i];
    bool last = i % c->width == c->width - 1;
    fwrite(s.n ? s.p : "", 1, s.n, to);
    if (last)
        fputc('\n', to);
    else if (plain)
        fputc('\t', to);
    else
        fprintf(to, "%*s", MAX_OF(0, width[i % c->width] - shown_width(s)) + 2, "");
}

void columns_print(struct columns *c, bool plain, FILE *to)
{
    int *width = base_alloc(c->width * sizeof *width);
    assert(c->cells.n % c->width == 0);
    for (size_t i = 0; i < c->cells.n && !plain; i++)
        width[i % c->width] = MIN_OF(WIDTH_MOST, MAX_OF(width[i % c->width], shown_width(c->cells.v[i])));
    for (size_t i = 0; i < c->cells.n; i++)
        print_cell(c, i, width, plain, to);
    free(width);
    VEC_FREE(&c->cells);
    arena_done(&c->mem);
}

void columns_said(const char *before, const char *name, const char *after)
{
    printf("%s", before);
    columns_escaped(stdout, span_z(name));
    printf("%s\n", after);
}
