/* qp: quoted-printable decoding that never fails: what is no escape stays. */
#include "base/qp.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') /* RFC 2045 6.7 (note): lower case is forbidden, and robust readers take it */
        return c - 'a' + 10;
    return -1;
}

/* The byte that "=XX" at the start of s means, or -1. */
static int escaped(struct span s)
{
    if (s.n < 3)
        return -1;
    int high = hex_digit(s.p[1]), low = hex_digit(s.p[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* How many blanks s starts with. */
static size_t blanks(struct span s)
{
    size_t n = 0;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
        n++;
    return n;
}

/* Length of the line end at the start of s: 2 for CRLF, 1 for a lone LF, 0 for none. */
static size_t line_end(struct span s)
{
    if (s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n')
        return 2;
    return s.n >= 1 && s.p[0] == '\n';
}

void qp_decode(struct str *out, struct span in)
{
    str_reserve(out, in.n);
    while (in.n > 0) {
        size_t run = 0;
        while (run < in.n && in.p[run] != '=' && in.p[run] != ' ' && in.p[run] != '\t')
            run++;
        str_add(out, span_sub(in, 0, run));
        in = span_from(in, run);
        if (in.n == 0)
            return;
        if (in.p[0] != '=') { /* RFC 2045 6.7 (3): blanks at the end of a line were added on the way: drop them */
            size_t n = blanks(in);
            struct span rest = span_from(in, n);
            if (rest.n > 0 && line_end(rest) == 0)
                str_add(out, span_sub(in, 0, n));
            in = rest;
            continue;
        }
        int byte = escaped(in);
        if (byte >= 0) {
            str_addc(out, (char)byte);
            in = span_from(in, 3);
            continue;
        }
        /* RFC 2045 6.7 (5): "=" before a line end, blanks between allowed, joins two lines */
        size_t n = 1 + blanks(span_from(in, 1));
        struct span rest = span_from(in, n);
        if (rest.n == 0)
            return;
        if (line_end(rest) > 0) {
            in = span_from(rest, line_end(rest));
            continue;
        }
        str_addc(out, '=');
        in = span_from(in, 1);
    }
}

void qp_decode_word(struct str *out, struct span in)
{
    str_reserve(out, in.n);
    for (size_t i = 0; i < in.n; i++) {
        int byte = in.p[i] == '=' ? escaped(span_from(in, i)) : -1;
        if (byte >= 0) {
            str_addc(out, (char)byte);
            i += 2;
        } else {
            str_addc(out, in.p[i] == '_' ? ' ' : in.p[i]); /* RFC 2047 4.2 (2) */
        }
    }
}

/* RFC 2045 6.7: a blank at the end of a line is quoted, and a line longer than 76 is broken by "=" */
void qp_encode(struct str *out, struct span text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool end = i + 1 == text.n || text.p[i + 1] == '\r';
        if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
            str_addz(out, "\r\n");
            column = 0;
            i++;
            continue;
        }
        bool plain = c == ' ' ? !end : c > 32 && c < 127 && c != '=';
        if (column + (plain ? 1 : 3) > 75) {
            str_addz(out, "=\r\n");
            column = 0;
        }
        if (plain)
            str_addc(out, (char)c);
        else
            str_addf(out, "=%02X", c);
        column += plain ? 1 : 3;
    }
}
