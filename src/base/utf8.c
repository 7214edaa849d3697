/* utf8: strict decoding by the table of well-formed sequences (Unicode, table 3-7; RFC 3629 4). */
#include "base/utf8.h"

/* Length of the run at the start of s that is ASCII with bytes >= least; eight bytes at a time. */
static size_t ascii_run(struct span s)
{
    size_t i = 0;
    uint64_t word;
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        if (word & 0x8080808080808080)
            break;
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_decode(struct span s, uint32_t *cp)
{
    if (s.n == 0)
        return 0;
    const unsigned char *b = (const unsigned char *)s.p;
    if (b[0] < 0x80) {
        *cp = b[0];
        return 1;
    }
    size_t len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || s.n < len)
        return 0;
    /* RFC 3629 4: the second byte's range keeps out overlong forms, surrogates and what is above U+10FFFF */
    unsigned low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[1] < low || b[1] > high)
        return 0;
    uint32_t v = b[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (b[i] & 0x3f);
    }
    *cp = v;
    return len;
}

bool utf8_valid(struct span s)
{
    uint32_t cp;
    for (;;) {
        s = span_from(s, ascii_run(s));
        if (s.n == 0)
            return true;
        size_t len = utf8_decode(s, &cp);
        if (len == 0)
            return false;
        s = span_from(s, len);
    }
}

size_t utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00u >> len & 0xf0) | cp);
    return len;
}

bool utf8_ascii(struct span s) { return ascii_run(s) == s.n && span_find_char(s, '\0') < 0; }

struct span utf8_clip(struct span s, size_t n)
{
    if (s.n <= n)
        return s;
    for (size_t back = 0; back <= 3 && back <= n; back++) {
        uint32_t cp;
        struct span rest = span_from(s, n - back);
        if (((unsigned char)rest.p[0] & 0xc0) == 0x80)
            continue;
        if (utf8_decode(rest, &cp) > back) /* a whole character that the cut would break */
            n -= back;
        break;
    }
    return span_sub(s, 0, n);
}
