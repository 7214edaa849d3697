/* encword: decodes RFC 2047 words. Neighbours of the same charset are decoded as one, since many mailers cut characters. */
#include "format/encword.h"

#include "base/base64.h"
#include "base/qp.h"
#include "format/charset.h"

struct word {
    struct span charset, text;
    char encoding;  /* 'B' or 'Q' */
    size_t length;  /* with its delimiters */
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Text up to the next `?`; blanks are allowed in it, as mailers write them. p NULL when there is none. */
static struct span field(struct span s, size_t *at)
{
    const char *q = *at < s.n ? memchr(s.p + *at, '?', s.n - *at) : NULL;
    if (q == NULL)
        return SPAN_NONE;
    struct span out = span_of(s.p + *at, (size_t)(q - s.p) - *at);
    *at = (size_t)(q - s.p) + 1;
    return out;
}

/* RFC 2047 2: s begins with "=?". The search never passes the `?` that makes it fail, so all of it stays linear. */
static bool parse(struct span s, struct word *w)
{
    size_t at = 2;
    w->charset = field(s, &at);
    if (w->charset.n == 0 || w->charset.n > 64)
        return false;
    ptrdiff_t star = span_find_char(w->charset, '*'); /* RFC 2231 5 */
    if (star > 0)
        w->charset.n = (size_t)star;
    struct span e = field(s, &at);
    if (e.n != 1 || strchr("bBqQ", e.p[0]) == NULL)
        return false;
    w->encoding = (char)(e.p[0] & ~0x20);
    w->text = field(s, &at);
    if (w->text.p == NULL || at >= s.n || s.p[at] != '=')
        return false;
    w->length = at + 1;
    return true;
}

/* Bytes outside of encoded words. */
static void add_raw(struct str *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != 0)
            continue;
        charset_to_utf8(out, SPAN(""), span_of(s.p + from, i - from));
        from = i + 1;
    }
}

static void add_bytes(struct str *bytes, const struct word *w)
{
    if (w->encoding == 'B')
        base64_decode_mime(bytes, w->text);
    else
        qp_decode_word(bytes, w->text);
}

/* The word at the start of s and all that follow it with nothing but blanks between; returns their length. */
static size_t run(struct str *out, struct span s, const struct word *first)
{
    struct word w = *first, next;
    struct str bytes;
    size_t used = w.length;
    str_init(&bytes, out->mem);
    add_bytes(&bytes, &w);
    for (;;) {
        size_t at = used;
        while (at < s.n && is_blank(s.p[at]))
            at++;
        if (s.n - at < 8 || s.p[at] != '=' || s.p[at + 1] != '?' || !parse(span_from(s, at), &next))
            break;
        if (!span_eq_nocase(next.charset, w.charset)) {
            charset_to_utf8(out, w.charset, str_span(&bytes));
            str_clear(&bytes);
            w = next;
        }
        add_bytes(&bytes, &next);
        used = at + next.length;
    }
    charset_to_utf8(out, w.charset, str_span(&bytes));
    return used;
}

void encword_decode(struct str *out, struct span value)
{
    struct word w;
    value = span_trim(value);
    size_t from = 0, at = 0;
    while (at < value.n) {
        const char *eq = memchr(value.p + at, '=', value.n - at);
        if (eq == NULL)
            break;
        at = (size_t)(eq - value.p);
        if (at + 1 < value.n && value.p[at + 1] == '?' && parse(span_from(value, at), &w)) {
            add_raw(out, span_of(value.p + from, at - from));
            at += run(out, span_from(value, at), &w);
            from = at;
        } else {
            at++;
        }
    }
    add_raw(out, span_of(value.p + from, value.n - from));
}
