/* encword_write: UTF-8 as RFC 2047 words, by Q where much of it is ASCII, as that can be read without a program, else by B. */
#include "base/base64.h"
#include "base/utf8.h"
#include "format/encword.h"

enum {
    WORD_MOST = 75,                         /* RFC 2047 2 */
    Q_MOST = WORD_MOST - 12,                /* without =?UTF-8?Q? and ?= */
    B_BYTES = (WORD_MOST - 12) / 4 * 3,
};

/* RFC 2047 5 (3): what may stand for itself in a phrase, which is the strictest place. */
static bool q_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' ||
           (c != 0 && strchr("!*+-/", c) != NULL);
}

static size_t q_length(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += q_plain((unsigned char)s.p[i]) ? 1 : 3;
    return n;
}

static void add_q(struct str *out, struct span s)
{
    static const char hex[] = "0123456789ABCDEF";
    str_addz(out, "=?UTF-8?Q?");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (q_plain(c)) {
            str_addc(out, c == ' ' ? '_' : (char)c);
        } else {
            str_addc(out, '=');
            str_addc(out, hex[c >> 4]);
            str_addc(out, hex[c & 15]);
        }
    }
    str_addz(out, "?=");
}

static void add_b(struct str *out, struct span s)
{
    str_addz(out, "=?UTF-8?B?");
    base64_encode(out, s);
    str_addz(out, "?=");
}

/* How much of s one word takes: whole characters (RFC 2047 5), and at least one. */
static size_t fitting(struct span s, bool q)
{
    size_t n = 0, used = 0;
    while (n < s.n) {
        uint32_t cp;
        size_t len = MAX_OF(utf8_decode(span_from(s, n), &cp), (size_t)1);
        size_t cost = q ? q_length(span_sub(s, n, len)) : len;
        if (n > 0 && used + cost > (q ? (size_t)Q_MOST : (size_t)B_BYTES))
            break;
        used += cost;
        n += len;
    }
    return n;
}

void encword_write(struct str *out, struct span text)
{
    bool q = q_length(text) <= 2 * text.n;
    for (bool first = true; text.n > 0; first = false) {
        size_t n = fitting(text, q);
        if (!first)
            str_addc(out, ' ');
        (q ? add_q : add_b)(out, span_sub(text, 0, n));
        text = span_from(text, n);
    }
}
