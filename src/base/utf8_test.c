/* SEC-23: strict UTF-8. Vectors follow RFC 3629 4 and 10. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}

static void valid(void **state)
{
    static const struct {
        struct span in;
        bool want;
    } rows[] = {
        {IN(""), true},
        {IN("plain, longer than eight bytes"), true},
        {IN("\0"), true},
        {IN("\x7f"), true},
        {IN("\xc2\x80"), true},
        {IN("\xdf\xbf"), true},
        {IN("\xe0\xa0\x80"), true},
        {IN("\xed\x9f\xbf"), true}, /* U+D7FF */
        {IN("\xee\x80\x80"), true}, /* U+E000 */
        {IN("\xef\xbf\xbf"), true},
        {IN("\xf0\x90\x80\x80"), true},
        {IN("\xf4\x8f\xbf\xbf"), true}, /* U+10FFFF */
        {IN("1234567\xc3\xbc" "89"), true},
        {IN("\x80"), false},
        {IN("\xbf"), false},
        {IN("\xc0\x80"), false}, /* RFC 3629 10: NUL in two bytes */
        {IN("\xc0\xaf"), false},
        {IN("\xc1\xbf"), false},
        {IN("\xe0\x80\xaf"), false},
        {IN("\xe0\x9f\xbf"), false},
        {IN("\xf0\x80\x80\xaf"), false},
        {IN("\xf0\x8f\xbf\xbf"), false},
        {IN("\xed\xa0\x80"), false}, /* U+D800 */
        {IN("\xed\xbf\xbf"), false}, /* U+DFFF */
        {IN("\xed\xa0\x80\xed\xb0\x80"), false}, /* a pair of surrogates */
        {IN("\xf4\x90\x80\x80"), false}, /* U+110000 */
        {IN("\xf5\x80\x80\x80"), false},
        {IN("\xf8\x88\x80\x80\x80"), false},
        {IN("\xfe"), false},
        {IN("\xff"), false},
        {IN("\xc3"), false},
        {IN("\xe2\x82"), false},
        {IN("\xf0\x9f\x93"), false},
        {IN("\xc3("), false},
        {IN("\xe2(\xa1"), false},
        {IN("\xe2\x82("), false},
        {IN("\xf0\x9f\x93("), false},
        {IN("good until the end \xff"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (utf8_valid(rows[i].in) != rows[i].want)
            fail_msg("row %zu", i);
    assert_true(utf8_valid(SPAN_NONE));
}

/* Each scalar value survives, each other number is refused, and a cut character is never taken. */
static void all_code_points(void **state)
{
    for (uint32_t cp = 0; cp < 0x110100; cp++) {
        char b[4];
        uint32_t back = 0;
        size_t n = utf8_encode(cp, b);
        bool scalar = cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
        assert_int_equal(n > 0, scalar);
        if (!scalar)
            continue;
        assert_int_equal(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_decode(span_of(b, n), &back), n);
        assert_int_equal(back, cp);
        assert_int_equal(utf8_decode(span_of(b, n - 1), &back), 0);
    }
}

static void ascii(void **state)
{
    assert_true(utf8_ascii(SPAN("")));
    assert_true(utf8_ascii(SPAN("\x01" "abcdefghijkl\x7f")));
    assert_false(utf8_ascii(SPAN("abc\0def")));
    assert_false(utf8_ascii(SPAN("abcdefgh\x80")));
    assert_false(utf8_ascii(SPAN("\xc3\xbc")));
}

static void clip(void **state)
{
    static const struct {
        struct span in;
        size_t n, want;
    } rows[] = {
        {IN("abc"), 5, 3},          {IN("abc"), 3, 3},          {IN("abc"), 2, 2},
        {IN("abc"), 0, 0},          {IN("\xc3\xbc"), 1, 0},     {IN("a\xc3\xbc" "b"), 2, 1},
        {IN("a\xc3\xbc" "b"), 3, 3}, {IN("\xf0\x9f\x93\xac" "x"), 3, 0}, {IN("\xf0\x9f\x93\xac" "x"), 4, 4},
        {IN("x\xf0\x9f\x93\xac"), 2, 1}, {IN("x\xf0\x9f\x93\xac"), 4, 1},
        {IN("\x80\x80\x80\x80\x80\x80"), 5, 5}, /* no characters: cut where asked */
        {IN("\xc3\xc3\xc3"), 2, 2},             {IN("\xff\xff"), 1, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (utf8_clip(rows[i].in, rows[i].n).n != rows[i].want)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid), cmocka_unit_test(all_code_points), cmocka_unit_test(ascii), cmocka_unit_test(clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
