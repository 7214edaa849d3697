/* fold: ASCII by itself, as nearly all text is that; libunistring's tables for the rest. */
#include "format/fold.h"

#include "base/utf8.h"

#include <unicase.h>

static uint32_t fold(uint32_t cp)
{
    uint32_t low = uc_tolower(uc_toupper(cp));
    return low < 0x80 && cp >= 0x80 && low != 'k' && low != 's' ? cp : low; /* dotted and dotless i are no i */
}

void fold_text(struct str *out, struct span in)
{
    str_reserve(out, in.n);
    for (size_t at = 0; at < in.n;) {
        unsigned char c = (unsigned char)in.p[at];
        if (c < 0x80) {
            str_addc(out, (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
            at++;
            continue;
        }
        uint32_t cp;
        char text[4];
        size_t n = utf8_decode(span_from(in, at), &cp);
        if (n == 0)
            str_addc(out, in.p[at]);
        else
            str_add(out, span_of(text, utf8_encode(fold(cp), text)));
        at += MAX_OF(n, (size_t)1);
    }
}
