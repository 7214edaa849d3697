/* encword, charset, html_text: what becomes readable text. */
#include "format/encword.h"

#include "format/charset.h"
#include "format/format_testing.h"
#include "format/html_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


struct row {
    struct span in, want;
};

static const struct row words[] = {
    {IN(""), IN("")},
    {IN(" plain \r\n text "), IN("plain  text")},
    {IN("=?iso-8859-1?q?this=20is=20some=20text?="), IN("this is some text")},
    {IN("=?UTF-8?Q?J=C3=B6rg_M?="), IN("J\xc3\xb6rg M")},
    {IN("=?utf-8?b?SsO2cmc=?= <j@x.test>"), IN("J\xc3\xb6rg <j@x.test>")},
    {IN("(=?ISO-8859-1?Q?a?=)"), IN("(a)")},
    {IN("(=?ISO-8859-1?Q?a?= b)"), IN("(a b)")},
    {IN("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)"), IN("(ab)")},
    {IN("(=?ISO-8859-1?Q?a?=\r\n     =?ISO-8859-1?Q?b?=)"), IN("(ab)")},
    {IN("(=?ISO-8859-1?Q?a_b?=)"), IN("(a b)")},
    {IN("=?utf-8?q?=C3?= =?UTF-8?q?=B6?="), IN("\xc3\xb6")},              /* a character in two words */
    {IN("=?utf-8?b?w7Y?= =?iso-8859-1?q?=F6?="), IN("\xc3\xb6\xc3\xb6")},
    {IN("=?US-ASCII*EN?Q?Keith_Moore?="), IN("Keith Moore")},               /* RFC 2231 5 */
    {IN("=?iso-8859-15?q?=A4?= =?windows-1252?q?=80?="), IN("\xe2\x82\xac\xe2\x82\xac")},
    {IN("=?koi8-r?b?8NLJ18XU?="), IN("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82")},
    {IN("=?iso-2022-jp?b?GyRCRnxLXBsoQg==?="), IN("\xe6\x97\xa5\xe6\x9c\xac")},
    {IN("=?utf-8?q?=FF?="), IN("\xef\xbf\xbd")},
    {IN("=?nonsense?q?=E4?="), IN("\xc3\xa4")},
    {IN("=?utf-8?x?abc?="), IN("=?utf-8?x?abc?=")},
    {IN("=?utf-8?q?abc"), IN("=?utf-8?q?abc")},
    {IN("=?utf-8?q?abc?"), IN("=?utf-8?q?abc?")},
    {IN("=?" "?q?abc?="), IN("=?" "?q?abc?=")},
    {IN("=?=?=?=?=?q?"), IN("=?=?=?=?=?q?")},
    {IN("a=?b?c"), IN("a=?b?c")},
    {IN("\xe4 raw"), IN("\xc3\xa4 raw")},
    {IN("\xc3\xa4 raw"), IN("\xc3\xa4 raw")},
    {IN("=?utf-8?q?" "?= x"), IN(" x")},
};

static const struct row pages[] = {
    {IN("plain"), IN("plain")},
    {IN("<p>a</p><p>b</p>"), IN("\na\n\nb\n")},
    {IN("a<br/>b"), IN("a\nb")},
    {IN("<b>a</b>b"), IN("ab")},
    {IN("<style>p { x }</style>a<script>if (a < b) {}</script>b"), IN("ab")},
    {IN("<SCRIPT x='>'>a</sCript >b"), IN("b")},
    {IN("<script>never"), IN("")},
    {IN("<!-- a > b -->c"), IN("c")},
    {IN("<!-- open"), IN("")},
    {IN("<!DOCTYPE html><?xml x?>a"), IN("a")},
    {IN("a < b &amp; c > d"), IN("a < b & c > d")},
    {IN("<a href=\"x>y\" title='&lt;'>z</a>"), IN("z")},
    {IN("<a href=\"open>z"), IN("")},
    {IN("&euro;&#8364;&#x20AC;&#x20ac"), IN("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac")},
    {IN("&auml;&Auml;&unknown;&"), IN("\xc3\xa4\xc3\x84&unknown;&")},
    {IN("&#0;&#xD800;&#99999999;&#;&#x;"), IN("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&#;&#x;")},
    {IN("<title>t</title><body>b"), IN("\nb")},
    {IN("<"), IN("<")},
    {IN("a<b"), IN("a")},
    {IN("</"), IN("")},
};

static void word(struct span in, struct str *out) { encword_decode(out, in); }
static void page(struct span in, struct str *out) { html_text(out, in, 1000); }

static void run(const struct row *rows, size_t n, void (*fn)(struct span in, struct str *out))
{
    struct arena mem;
    struct str out;
    arena_init(&mem);
    for (size_t i = 0; i < n; i++) {
        str_init(&out, &mem);
        fn(rows[i].in, &out);
        if (!span_eq(str_span(&out), rows[i].want))
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(str_span(&out)));
    }
    arena_done(&mem);
}

static void encwords(void **state) { run(words, COUNT_OF(words), word); }
static void html(void **state) { run(pages, COUNT_OF(pages), page); }

static void prefix(struct span in, struct arena *mem)
{
    struct str out;
    str_init(&out, mem);
    encword_decode(&out, in);
    assert_true(utf8_valid(str_span(&out)));
    str_clear(&out);
    html_text(&out, in, 7);
    assert_true(out.n <= 7 + 4);
}

static void truncated(void **state)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        format_testing_prefixes(words[i].in, prefix);
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        format_testing_prefixes(pages[i].in, prefix);
}

static void charsets(void **state)
{
    struct arena mem;
    struct str out;
    char all[256];
    arena_init(&mem);
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    static const char *const names[] = {"utf-8", "iso-8859-1", "ISO-8859-15", "windows-1252", "gb2312", "iso-2022-jp", "utf-16",
                                        "utf-7", "big5", "euc-kr", "shift_jis", "iso-2022-kr", "koi8-r", "windows-1251"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        str_init(&out, &mem);
        if (!charset_to_utf8(&out, span_z(names[i]), span_of(all, 256)) || !utf8_valid(str_span(&out)) || out.n == 0)
            fail_msg("%s", names[i]);
    }
    assert_false(charset_to_utf8(&out, SPAN("klingon"), SPAN("x")));
    arena_done(&mem);
}

/* What is written is read again as it was; no word is longer than 75 or cuts a character. */
static void written(void **state)
{
    static const char *const texts[] = {"", "a", "\xc3\xbc", ("Gr\xc3\xbc\xc3\x9f" "e, =?_ \"(x)\" <a@b.test>"), "\xe6\x97\xa5 \xf0\x9f\x98\x80 ."};
    struct arena mem;
    struct str in, out, back;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (int times = 1; times < 60; times++) {
            str_init(&in, &mem);
            str_init(&out, &mem);
            str_init(&back, &mem);
            for (int k = 0; k < times; k++)
                str_addz(&in, texts[i]);
            encword_write(&out, str_span(&in));
            encword_decode(&back, str_span(&out));
            assert_true(span_eq(str_span(&back), str_span(&in)));
            for (struct span rest = str_span(&out), word; rest.p != NULL && rest.n > 0;) {
                word = span_split(&rest, ' ');
                struct str one;
                str_init(&one, &mem);
                encword_decode(&one, word);
                assert_true(word.n <= 75 && utf8_ascii(word) && utf8_valid(str_span(&one)));
                assert_int_equal(span_find(str_span(&one), SPAN("\xef\xbf\xbd")), -1);
            }
            arena_reset(&mem);
        }
    arena_done(&mem);
}

static int setup(void **state) { return (int)charset_open_all(); }

static int teardown(void **state)
{
    charset_close_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encwords), cmocka_unit_test(html), cmocka_unit_test(charsets),
                                       cmocka_unit_test(truncated), cmocka_unit_test(written)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
