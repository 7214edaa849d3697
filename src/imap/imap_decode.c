/* Cuts encoded text where a decoder of whole texts may be fed: base64 behind four characters, quoted-printable behind a
 * line. */
#include "imap/imap_decode.h"

#include "base/base64.h"
#include "base/qp.h"

void imap_decode_init(struct imap_decode *d, enum mime_encoding encoding)
{
    d->encoding = encoding;
    d->n = 0;
    d->ended = false;
}

static bool in_alphabet(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static void add_base64(struct imap_decode *d, struct str *out, struct span in)
{
    for (size_t i = 0; i < in.n && !d->ended; i++) {
        if (in.p[i] == '=')
            d->ended = true;
        else if (in_alphabet(in.p[i]))
            d->carry[d->n++] = in.p[i];
        if (d->n == IMAP_DECODE_LINE) { /* a multiple of four */
            base64_decode_mime(out, span_of(d->carry, d->n));
            d->n = 0;
        }
    }
}

/* Where a line that is too long may be cut: not inside "=XX", not inside blanks, which count only if something follows. */
static size_t cut_at(const char *p, size_t n)
{
    size_t to = n;
    while (to > 0 && (p[to - 1] == ' ' || p[to - 1] == '\t' || p[to - 1] == '\r'))
        to--;
    for (size_t back = 1; back <= 2 && back <= to; back++)
        if (p[to - back] == '=')
            return to - back > 0 ? to - back : n;
    return to > 0 ? to : n;
}

static void add_qp(struct imap_decode *d, struct str *out, struct span in)
{
    while (in.n > 0) {
        const char *nl = memchr(in.p, '\n', in.n);
        size_t n = MIN_OF(nl != NULL ? (size_t)(nl - in.p) + 1 : in.n, IMAP_DECODE_LINE - d->n);
        memcpy(d->carry + d->n, in.p, n);
        d->n += n;
        in = span_from(in, n);
        size_t ready = d->carry[d->n - 1] == '\n' ? d->n : d->n == IMAP_DECODE_LINE ? cut_at(d->carry, d->n) : 0;
        qp_decode(out, span_of(d->carry, ready));
        memmove(d->carry, d->carry + ready, d->n - ready);
        d->n -= ready;
    }
}

void imap_decode_add(struct imap_decode *d, struct str *out, struct span in)
{
    if (d->encoding == MIME_BASE64)
        add_base64(d, out, in);
    else if (d->encoding == MIME_QP)
        add_qp(d, out, in);
    else
        str_add(out, in);
}

void imap_decode_end(struct imap_decode *d, struct str *out)
{
    if (d->encoding == MIME_BASE64)
        base64_decode_mime(out, span_of(d->carry, d->n));
    else if (d->encoding == MIME_QP)
        qp_decode(out, span_of(d->carry, d->n));
    d->n = 0;
}
