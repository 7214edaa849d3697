/* charset: own tables for what nearly all mail uses, iconv for the rest. */
#include "format/charset.h"

#include "base/utf8.h"

#include <errno.h>
#include <iconv.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* 0x80-0x9F. The five that windows-1252 leaves free stay C1 controls, as browsers do it. */
static const uint16_t cp1252[32] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0x8D,   0x17D, 0x8F,
    0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0x9D,   0x17E, 0x178,
};

/* name: how mail calls it; as: how iconv does. Several names may share one descriptor (the first row of that `as`).
 * ISO-2022-CN-EXT is left out for good: glibc's has been a way in (CVE-2024-2961). */
static struct row {
    const char *name, *as;
    iconv_t cd;
} table[] = {
    {"iso-8859-2", "ISO-8859-2"},     {"iso-8859-3", "ISO-8859-3"},   {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},     {"iso-8859-6", "ISO-8859-6"},   {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},     {"iso-8859-8-i", "ISO-8859-8"}, {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-10", "ISO-8859-10"},   {"iso-8859-11", "TIS-620"},     {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},   {"iso-8859-16", "ISO-8859-16"}, {"windows-1250", "WINDOWS-1250"},
    {"windows-1251", "WINDOWS-1251"}, {"cp1251", "WINDOWS-1251"},     {"windows-1253", "WINDOWS-1253"},
    {"windows-1254", "WINDOWS-1254"}, {"windows-1255", "WINDOWS-1255"}, {"windows-1256", "WINDOWS-1256"},
    {"windows-1257", "WINDOWS-1257"}, {"windows-1258", "WINDOWS-1258"}, {"windows-874", "TIS-620"},
    {"tis-620", "TIS-620"},           {"koi8-r", "KOI8-R"},           {"koi8-u", "KOI8-U"},
    {"macintosh", "MACINTOSH"},       {"ibm850", "IBM850"},           {"cp850", "IBM850"},
    {"gb2312", "GB18030"},            {"gbk", "GB18030"},             {"cp936", "GB18030"},
    {"gb18030", "GB18030"},           {"big5", "BIG5-HKSCS"},         {"big5-hkscs", "BIG5-HKSCS"},
    {"shift_jis", "CP932"},           {"shift-jis", "CP932"},         {"windows-31j", "CP932"},
    {"cp932", "CP932"},               {"euc-jp", "EUC-JP"},           {"iso-2022-jp", "ISO-2022-JP-2"},
    {"euc-kr", "CP949"},              {"ks_c_5601-1987", "CP949"},    {"cp949", "CP949"},
    {"iso-2022-kr", "ISO-2022-KR"},   {"utf-16", "UTF-16"},           {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},         {"utf-7", "UTF-7"},
};
static bool opened;

size_t charset_open_all(void)
{
    size_t missing = 0;
    for (size_t i = 0; i < COUNT_OF(table) && !opened; i++) {
        size_t same = 0;
        while (strcmp(table[same].as, table[i].as) != 0)
            same++;
        table[i].cd = same < i ? table[same].cd : iconv_open("UTF-8", table[i].as);
        missing += table[i].cd == (iconv_t)-1;
    }
    opened = true;
    return missing;
}

void charset_close_all(void)
{
    for (size_t i = 0; i < COUNT_OF(table) && opened; i++) {
        bool shared = false;
        for (size_t k = 0; k < i; k++)
            shared = shared || strcmp(table[k].as, table[i].as) == 0;
        if (!shared && table[i].cd != (iconv_t)-1)
            iconv_close(table[i].cd);
    }
    opened = false;
}

static void add_utf8(struct str *out, struct span in)
{
    size_t from = 0, at = 0;
    uint32_t cp;
    if (utf8_valid(in)) { /* nearly always, and much faster */
        str_add(out, in);
        return;
    }
    while (at < in.n) {
        size_t n = utf8_decode(span_from(in, at), &cp);
        if (n > 0) {
            at += n;
            continue;
        }
        str_add(out, span_of(in.p + from, at - from));
        str_add(out, SPAN(REPLACEMENT));
        from = ++at;
    }
    str_add(out, span_of(in.p + from, in.n - from));
}

static void add_single(struct str *out, struct span in, bool latin9)
{
    char c[4];
    for (size_t i = 0; i < in.n; i++) {
        unsigned char b = (unsigned char)in.p[i];
        uint32_t cp = b;
        if (b >= 0x80 && b < 0xA0)
            cp = cp1252[b - 0x80];
        else if (latin9)
            cp = b == 0xA4 ? 0x20AC : b == 0xA6 ? 0x160 : b == 0xA8 ? 0x161 : b == 0xB4 ? 0x17D : b == 0xB8 ? 0x17E :
                 b == 0xBC ? 0x152 : b == 0xBD ? 0x153 : b == 0xBE ? 0x178 : b;
        str_add(out, span_of(c, utf8_encode(cp, c)));
    }
}

/* As much of `in` as is whole characters; all of it when `last`. Returns how much that was. */
static size_t add_iconv(struct str *out, iconv_t cd, struct span in, bool last)
{
    char *from = (char *)(uintptr_t)in.p;
    size_t n = in.n;
    while (n > 0) {
        str_reserve(out, n + 16);
        char *to = out->p + out->n;
        size_t space = out->cap - out->n;
        size_t r = iconv(cd, &from, &n, &to, &space);
        out->n = (size_t)(to - out->p);
        if (r != (size_t)-1)
            break;
        if (errno == E2BIG)
            continue;
        if (errno == EINVAL && !last)
            break;
        str_add(out, SPAN(REPLACEMENT));
        if (errno == EINVAL || n == 0)
            return in.n; /* the last character is cut off */
        from++;
        n--;
    }
    return in.n - n;
}

/* How many bytes at the end of s begin a UTF-8 character that is not all there. */
static size_t cut_tail(struct span s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];
        if (c >= 0xC0)
            return (c >= 0xF0 ? 4u : c >= 0xE0 ? 3u : 2u) > back ? back : 0;
        if (c < 0x80)
            break;
    }
    return 0;
}

void charset_begin(struct charset *c, struct span charset)
{
    static const struct span utf8[] = {SPAN("utf-8"), SPAN("utf8"), SPAN("us-ascii"), SPAN("ascii")};
    static const struct span latin[] = {SPAN("iso-8859-1"), SPAN("windows-1252"), SPAN("latin1"), SPAN("cp1252"),
                                        SPAN("iso8859-1"), SPAN("iso-8859-15"), SPAN("latin9")};
    *c = (struct charset){.kind = CHARSET_UNKNOWN};
    for (size_t i = 0; i < COUNT_OF(utf8); i++)
        if (span_eq_nocase(charset, utf8[i]))
            c->kind = CHARSET_UTF8;
    for (size_t i = 0; i < COUNT_OF(latin); i++)
        if (span_eq_nocase(charset, latin[i]))
            c->kind = i >= 5 ? CHARSET_LATIN9 : CHARSET_LATIN1;
    for (size_t i = 0; i < COUNT_OF(table) && opened && c->kind == CHARSET_UNKNOWN; i++) {
        if (table[i].cd == (iconv_t)-1 || !span_eq_nocase(charset, span_z(table[i].name)))
            continue;
        c->kind = CHARSET_ICONV;
        c->cd = table[i].cd;
        iconv(c->cd, NULL, NULL, NULL, NULL);
    }
}

size_t charset_add(const struct charset *c, struct str *out, struct span in, bool last)
{
    switch (c->kind) {
    case CHARSET_ICONV:
        return add_iconv(out, c->cd, in, last);
    case CHARSET_LATIN1:
    case CHARSET_LATIN9:
        add_single(out, in, c->kind == CHARSET_LATIN9);
        return in.n;
    case CHARSET_UTF8:
    case CHARSET_UNKNOWN:
        break;
    }
    in.n -= last ? 0 : cut_tail(in);
    if (c->kind == CHARSET_UTF8 || utf8_valid(in))
        add_utf8(out, in);
    else
        add_single(out, in, false);
    return in.n;
}

bool charset_to_utf8(struct str *out, struct span charset, struct span in)
{
    struct charset c;
    charset_begin(&c, charset);
    size_t used = charset_add(&c, out, in, true);
    assert(used == in.n);
    return c.kind != CHARSET_UNKNOWN;
}
