/* BODY[...] and BINARY[...]: a literal's length stands in front of it, so that is found out first; then its bytes go from
 * store's windows to the client as they come. */
#include "imap/imap_decode.h"
#include "imap/imap_fetch.h"

enum { DIRECT_BYTES = 8192 }; /* pieces above this do not go through `out` */

WAITS int imap_fetch_flush(struct imap_fetch *f)
{
    int r = f->out.n > 0 ? conn_write(f->s->c, str_span(&f->out)) : 0;
    str_clear(&f->out);
    return r;
}

static WAITS int put(struct imap_fetch *f, struct span piece)
{
    if (piece.n < DIRECT_BYTES) {
        str_add(&f->out, piece);
        return 0;
    }
    int r = imap_fetch_flush(f);
    return r != 0 ? r : conn_write(f->s->c, piece);
}

static int none(struct imap_fetch *f, const struct imap_attr *a)
{
    str_add(&f->out, a->name);
    str_addz(&f->out, a->kind == IMAP_ATTR_BINARY_SIZE ? " 0" : " NIL");
    return 0;
}

/* What a partial leaves of n bytes (RFC 9051 6.4.5: beyond the end it is empty). */
static void clip(const struct imap_attr *a, uint64_t *from, uint64_t *to)
{
    if (!a->partial)
        return;
    *from = MIN_OF(*from + a->from, *to);
    *to = MIN_OF(*from + a->count, *to);
}

static void announce(struct imap_fetch *f, const struct imap_attr *a, const char *open, uint64_t n)
{
    str_add(&f->out, a->name);
    str_addz(&f->out, open);
    str_addu(&f->out, n);
    str_addz(&f->out, "}\r\n");
}

static WAITS int send_bytes(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a,
                            struct imap_place at)
{
    struct imap_fetch_source src;
    struct span piece = SPAN_NONE;
    clip(a, &at.from, &at.to);
    int r = 0;
    if (imap_fetch_source_open(&src, f, m, at.from, at.to) < 0 || imap_fetch_source_next(&src, &piece) < 0) {
        f->missing = true;
        imap_fetch_source_close(&src);
        return none(f, a);
    }
    announce(f, a, " {", at.to - at.from);
    while (r == 0 && piece.n > 0) {
        r = put(f, piece);
        if (r == 0 && imap_fetch_source_next(&src, &piece) < 0)
            r = WAIT_CLOSED; /* the length was told: there is no other way to say that it will not come */
    }
    imap_fetch_source_close(&src);
    return r;
}

static WAITS int send_fields(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a,
                             struct imap_place at)
{
    struct imap_fetch_source src;
    struct span piece = SPAN_NONE;
    struct str header, chosen; /* limit header_bytes bounds them */
    str_init(&header, m->mem);
    str_init(&chosen, m->mem);
    bool ok = imap_fetch_source_open(&src, f, m, at.from, at.to) == 0;
    while (ok && (ok = imap_fetch_source_next(&src, &piece) == 0) && piece.n > 0) {
        if (src.from_held)
            break;
        str_add(&header, piece);
    }
    if (ok)
        imap_part_fields(&chosen, src.from_held ? piece : str_span(&header), a);
    imap_fetch_source_close(&src);
    if (!ok) {
        f->missing = true;
        return none(f, a);
    }
    uint64_t from = 0, to = chosen.n;
    clip(a, &from, &to);
    announce(f, a, " {", to - from);
    return put(f, span_sub(str_span(&chosen), (size_t)from, (size_t)(to - from)));
}

/* ---- BINARY ------------------------------------------------------------------------------------------------------------ */

struct binary {
    uint64_t size;      /* decoded, without a partial */
    bool nul;
    uint64_t from, to;  /* what of it shall be sent */
};

/* Decodes it all: counts, and with `send` sends what is wanted. 0, -1, or WAIT_*. */
static WAITS int run_decoder(struct imap_fetch *f, const struct imap_fetch_message *m, struct imap_place at,
                             struct binary *b, bool send)
{
    struct imap_fetch_source src;
    struct imap_decode d;
    struct span piece;
    struct arena mem;
    struct str out;
    arena_init(&mem);
    str_init(&out, &mem);
    imap_decode_init(&d, (enum mime_encoding)at.encoding);
    uint64_t done = 0;
    int r = imap_fetch_source_open(&src, f, m, at.from, at.to);
    for (bool more = true; r == 0 && more && !(send && done >= b->to);) {
        r = imap_fetch_source_next(&src, &piece);
        if (r != 0)
            break;
        more = piece.n > 0;
        str_clear(&out);
        imap_decode_add(&d, &out, piece);
        if (!more)
            imap_decode_end(&d, &out);
        struct span s = str_span(&out);
        if (!send)
            b->nul |= s.n > 0 && memchr(s.p, 0, s.n) != NULL;
        uint64_t from = done < b->from ? MIN_OF(b->from - done, s.n) : 0, to = b->to > done ? MIN_OF(b->to - done, s.n) : 0;
        done += s.n;
        if (send && from < to)
            r = put(f, span_sub(s, (size_t)from, (size_t)(to - from)));
    }
    if (!send)
        b->size = done;
    imap_fetch_source_close(&src);
    arena_done(&mem);
    return r;
}

static WAITS int send_binary(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a,
                             struct imap_place at)
{
    struct binary b = {0};
    if (a->n_part == 0)
        at.encoding = MIME_BINARY; /* the whole message: its own encoding is of its body */
    if (at.encoding == MIME_UNKNOWN) {
        f->unknown_cte = true; /* RFC 9051 6.4.5 */
        return none(f, a);
    }
    if (run_decoder(f, m, at, &b, false) != 0) {
        f->missing = true;
        return none(f, a);
    }
    if (a->kind == IMAP_ATTR_BINARY_SIZE) {
        str_add(&f->out, a->name);
        str_addc(&f->out, ' ');
        str_addu(&f->out, b.size);
        return 0;
    }
    b.to = b.size;
    clip(a, &b.from, &b.to);
    announce(f, a, b.nul ? " ~{" : " {", b.to - b.from); /* RFC 9051 4.3.1: only literal8 may hold NUL */
    int r = b.to > b.from ? run_decoder(f, m, at, &b, true) : 0;
    return r == -1 ? WAIT_CLOSED : r;
}

WAITS int imap_fetch_section(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a)
{
    struct imap_place at = imap_part_find(a, m->structure, m->size);
    if (!at.there)
        return none(f, a);
    if (a->kind != IMAP_ATTR_SECTION)
        return send_binary(f, m, a, at);
    if (a->text == IMAP_ATTR_FIELDS || a->text == IMAP_ATTR_FIELDS_NOT)
        return send_fields(f, m, a, at);
    return send_bytes(f, m, a, at);
}

void imap_fetch_extent(const struct imap_fetch *f, const struct msg_member_row *row, uint64_t *from, uint64_t *to)
{
    *from = UINT64_MAX;
    *to = 0;
    for (uint32_t i = 0; i < f->attrs.n; i++) {
        const struct imap_attr *a = &f->attrs.v[i];
        if (a->kind < IMAP_ATTR_SECTION)
            continue;
        struct imap_place at = imap_part_find(a, row->structure, row->size);
        if (a->kind == IMAP_ATTR_SECTION && a->text != IMAP_ATTR_FIELDS && a->text != IMAP_ATTR_FIELDS_NOT)
            clip(a, &at.from, &at.to);
        if (at.there && at.from < at.to) {
            *from = MIN_OF(*from, at.from);
            *to = MAX_OF(*to, at.to);
        }
    }
    if (*from > *to)
        *from = *to;
}
