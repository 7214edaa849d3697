/* span: searching and cutting. */
#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void comparing(void **state)
{
    assert_true(span_eq(SPAN_NONE, SPAN("")));
    assert_true(span_eq(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
    assert_true(span_eq_nocase(SPAN("MaIl FrOm@["), SPAN("mAiL fRoM@[")));
    assert_false(span_eq_nocase(SPAN("@["), SPAN("`{"))); /* next to the letters, 32 apart */
    assert_false(span_eq_nocase(SPAN("\xc3\x9c"), SPAN("\xc3\xbc")));
    assert_true(span_cmp(SPAN("ab"), SPAN("abc")) < 0 && span_cmp(SPAN("b"), SPAN("abc")) > 0);
    assert_true(span_cmp(SPAN("\xff"), SPAN("a")) > 0 && span_cmp(SPAN_NONE, SPAN_NONE) == 0);
    assert_true(span_starts(SPAN("abc"), SPAN("ab")) && !span_starts(SPAN("a"), SPAN("ab")));
    assert_true(span_starts(SPAN_NONE, SPAN_NONE) && span_starts_nocase(SPAN("EHLO x"), SPAN("ehlo")));
    assert_true(span_ends_nocase(SPAN("a.B"), SPAN(".b")) && !span_ends_nocase(SPAN("b"), SPAN(".b")));
    assert_true(span_ends_nocase(SPAN_NONE, SPAN("")));
}

static void finding(void **state)
{
    assert_int_equal(span_find(SPAN("abcabd"), SPAN("abd")), 3);
    assert_int_equal(span_find(SPAN("ab"), SPAN("abc")), -1);
    assert_int_equal(span_find(SPAN_NONE, SPAN("")), 0);
    assert_int_equal(span_find_char(SPAN("a\0b\0"), '\0'), 1);
    assert_int_equal(span_rfind_char(SPAN("a\0b\0"), '\0'), 3);
    assert_int_equal(span_find_char(SPAN_NONE, 'x'), -1);
    assert_int_equal(span_rfind_char(SPAN("abc"), 'x'), -1);
}

static void cutting(void **state)
{
    assert_true(span_eq(span_sub(SPAN("abcdef"), 2, 3), SPAN("cde")));
    assert_true(span_eq(span_sub(SPAN("abc"), 2, SIZE_MAX), SPAN("c")));
    assert_true(span_eq(span_sub(SPAN("abc"), SIZE_MAX, 1), SPAN("")));
    assert_true(span_eq(span_from(SPAN("abc"), 1), SPAN("bc")) && span_from(SPAN_NONE, 3).n == 0);
    assert_true(span_eq(span_trim(SPAN(" \t\r\na b\r\n")), SPAN("a b")) && span_trim(SPAN(" \t ")).n == 0);
    struct span rest = SPAN("a,,b");
    assert_true(span_eq(span_split(&rest, ','), SPAN("a")) && rest.p);
    assert_true(span_eq(span_split(&rest, ','), SPAN("")) && rest.p);
    assert_true(span_eq(span_split(&rest, ','), SPAN("b")) && !rest.p);
    assert_true(span_eq(span_split(&rest, ','), SPAN("")) && !rest.p);
    rest = SPAN("a,");
    assert_true(span_eq(span_split(&rest, ','), SPAN("a")) && rest.p && rest.n == 0); /* an empty last part, not none */
}

static void hashing(void **state)
{
    assert_true(span_hash(SPAN("")) == 0xcbf29ce484222325); /* FNV-1a's own vectors */
    assert_true(span_hash(SPAN("a")) == 0xaf63dc4c8601ec8c);
    assert_true(span_hash(SPAN("foobar")) == 0x85944171f73967e8);
    assert_true(span_hash_nocase(SPAN("FooBar")) == span_hash(SPAN("foobar")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing), cmocka_unit_test(finding), cmocka_unit_test(cutting), cmocka_unit_test(hashing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
