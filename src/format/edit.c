/* edit: edit lists (see the header). */
#include "format/edit.h"

#include "base/utf8.h"

#include <endian.h>

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return le32toh(v);
}

static void put32(struct str *s, uint32_t v)
{
    v = htole32(v);
    str_add(s, span_of(&v, 4));
}

static void add(struct str *out, uint32_t at, uint32_t cut, uint32_t length)
{
    if (out->n == 0)
        str_addc(out, 1);
    put32(out, at);
    put32(out, cut);
    put32(out, length);
}

void edit_insert(struct str *out, uint32_t at, struct span bytes)
{
    add(out, at, 0, (uint32_t)bytes.n);
    str_add(out, bytes);
}

void edit_cut(struct str *out, uint32_t at, uint32_t n)
{
    add(out, at, n, 0);
}

void edit_replace(struct str *out, uint32_t at, uint32_t n, struct span bytes)
{
    add(out, at, n, (uint32_t)bytes.n);
    str_add(out, bytes);
}

/* SEC-10: the one writer of header lines here: a value that holds a line end would be more than one field. */
static int put_header(struct str *s, const char *name, const char *before, struct span value, const char *after,
                      struct fail *f)
{
    if (span_find_char(value, '\r') >= 0 || span_find_char(value, '\n') >= 0 || span_find_char(value, '\0') >= 0)
        return fail_perm(f, "5.6.0", "an address holds a line end");
    str_addz(s, name);
    str_addz(s, before);
    str_add(s, value);
    str_addz(s, after);
    return 0;
}

int edit_delivery(struct str *out, struct span sender, struct span address, struct fail *f)
{
    size_t start = out->n;
    add(out, 0, 0, 0); /* the length is filled in below */
    size_t text = out->n;
    /* RFC 5321 4.4: the delivering server puts the reverse-path at the beginning of the mail data */
    if (put_header(out, "Return-Path: ", "<", sender, ">\r\n", f) != 0 ||
        put_header(out, "Delivered-To: ", "", address, "\r\n", f) != 0) {
        out->n = start;
        return -1;
    }
    uint32_t n = htole32((uint32_t)(out->n - text));
    memcpy(out->p + text - 4, &n, 4);
    return 0;
}

bool edit_delivery_ascii(struct span sender, struct span address) { return utf8_ascii(sender) && utf8_ascii(address); }

/* The next edit; false when there is none or the list is damaged (*bad). */
static bool take(struct span *rest, uint32_t *at, uint32_t *cut, struct span *bytes, bool *bad)
{
    if (rest->n == 0)
        return false;
    if (rest->n < 12 || get32(rest->p + 8) > rest->n - 12) {
        *bad = true;
        return false;
    }
    *at = get32(rest->p);
    *cut = get32(rest->p + 4);
    *bytes = span_sub(*rest, 12, get32(rest->p + 8));
    *rest = span_from(*rest, 12 + bytes->n);
    return true;
}

uint64_t edit_size(struct span edits, uint64_t stored)
{
    uint64_t size = stored, last = 0;
    uint32_t at, cut;
    struct span bytes;
    bool bad = edits.n > 0 && edits.p[0] != 1;
    struct span rest = span_from(edits, 1);
    while (!bad && take(&rest, &at, &cut, &bytes, &bad)) {
        if (at < last || (uint64_t)at + cut > stored)
            return UINT64_MAX;
        last = (uint64_t)at + cut;
        size = size - cut + bytes.n;
    }
    return bad ? UINT64_MAX : size;
}

void edit_begin(struct edit_walk *w, struct span edits, uint64_t stored)
{
    *w = (struct edit_walk){.rest = span_from(edits, 1), .stored = stored};
}

bool edit_next(struct edit_walk *w, struct edit_piece *out)
{
    uint32_t at, cut;
    struct span bytes, rest = w->rest;
    bool bad = false;
    for (;;) {
        if (!take(&rest, &at, &cut, &bytes, &bad)) {
            *out = (struct edit_piece){.at = w->at, .n = w->stored - w->at};
            w->at = w->stored;
            return out->n > 0;
        }
        if (at > w->at) { /* what is kept before this edit */
            *out = (struct edit_piece){.at = w->at, .n = at - w->at};
            w->at = at;
            return true;
        }
        w->at = (uint64_t)at + cut;
        w->rest = rest;
        if (bytes.n > 0) {
            *out = (struct edit_piece){.literal = bytes, .n = bytes.n};
            return true;
        }
    }
}

struct span edit_apply(struct span stored, struct span edits, struct arena *mem)
{
    struct edit_walk w;
    struct edit_piece piece;
    struct str whole;
    if (edits.n == 0)
        return stored;
    str_init(&whole, mem);
    str_reserve(&whole, (size_t)edit_size(edits, stored.n));
    edit_begin(&w, edits, stored.n);
    while (edit_next(&w, &piece))
        str_add(&whole, piece.literal.p != NULL ? piece.literal : span_sub(stored, (size_t)piece.at, (size_t)piece.n));
    return str_span(&whole);
}
