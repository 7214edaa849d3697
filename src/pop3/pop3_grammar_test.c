/* POP3's grammar whole and cut anywhere; stuffing and TOP whole and in pieces. */
#include "pop3/pop3_grammar.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_command(void **state)
{
    static const struct {
        struct span line;
        const char *verb, *rest; /* NULL: bad */
    } cases[] = {
        {SPAN("STAT"), "STAT", ""},        {SPAN("PASS a b "), "PASS", "a b "}, {SPAN("PASS  x"), "PASS", " x"},
        {SPAN("top 1 2"), "top", "1 2"},   {SPAN(""), NULL, NULL},              {SPAN(" STAT"), NULL, NULL},
        {SPAN("1"), NULL, NULL},           {SPAN("USER a\0b"), NULL, NULL},     {SPAN("STAT\r"), NULL, NULL},
        {SPAN("ST\tAT"), NULL, NULL},      {SPAN("PASS \xc3\xa9"), "PASS", "\xc3\xa9"}, {SPAN("\x80\xff"), NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span verb, rest;
        ptrdiff_t r = pop3_grammar_command(cases[i].line, &verb, &rest);
        assert_int_equal(r >= 0, cases[i].verb != NULL);
        if (r >= 0) {
            assert_true(span_eq(verb, span_z(cases[i].verb)));
            assert_true(span_eq(rest, span_z(cases[i].rest)));
        }
        for (size_t n = 0; n < cases[i].line.n; n++)
            assert_true(pop3_grammar_command(span_of(cases[i].line.p, n), &verb, &rest) <= (ptrdiff_t)n);
    }
}

static void test_number(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: none */
        size_t left;
    } cases[] = {
        {"1", 1, 0},   {"1 2", 1, 1},    {"0", 0, 0},    {"9223372036854775807", INT64_MAX, 0},
        {"", -1, 0},   {" 1", -1, 0},    {"-1", -1, 0},  {"9223372036854775808", -1, 0},
        {"+1", -1, 0}, {"1x", -1, 0},    {"x", -1, 0},   {"18446744073709551617", -1, 0},
        {"1\t", -1, 0}, {"99999999999999999999999999999999999999999", -1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct span s = span_z(cases[i].text);
        uint64_t n = 0;
        ptrdiff_t r = pop3_grammar_number(&s, &n);
        assert_int_equal(r < 0, cases[i].want < 0);
        if (r >= 0) {
            assert_int_equal(n, cases[i].want);
            assert_int_equal(s.n, cases[i].left);
        }
    }
}

static void stuff(struct span in, size_t step, char *to, size_t *n)
{
    struct pop3_stuff s = {0};
    *n = 0;
    for (size_t at = 0; at < in.n;) {
        struct span out;
        at += pop3_grammar_stuff(&s, span_sub(in, at, step), &out);
        memcpy(to + *n, out.p, out.n);
        *n += out.n;
    }
}

static void test_stuff(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"", ""},
        {"a\r\nb\r\n", "a\r\nb\r\n"},
        {".", ".."},
        {".\r\n", "..\r\n"},
        {"..\r\n.a\r\nb.\r\n", "...\r\n..a\r\nb.\r\n"},
        {"a.b\r\n\r\n.\r\n", "a.b\r\n\r\n..\r\n"},
    };
    char got[128];
    size_t n;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t step = 1; step < 8; step++) {
            stuff(span_z(cases[i].in), step, got, &n);
            assert_true(span_eq(span_of(got, n), span_z(cases[i].want)));
        }
}

static void test_top(void **state)
{
    static const struct {
        const char *in;
        uint64_t lines;
        const char *want;
    } cases[] = {
        {"A: b\r\n\r\none\r\ntwo\r\n", 0, "A: b\r\n\r\n"},
        {"A: b\r\n\r\none\r\ntwo\r\n", 1, "A: b\r\n\r\none\r\n"},
        {"A: b\r\n\r\none\r\ntwo\r\n", 2, "A: b\r\n\r\none\r\ntwo\r\n"},
        {"A: b\r\n\r\none\r\ntwo\r\n", 9, "A: b\r\n\r\none\r\ntwo\r\n"},
        {"A: b\r\n\r\n\r\n\r\ntwo\r\n", 1, "A: b\r\n\r\n\r\n"},
        {"\r\nbody\r\n", 0, "\r\n"},
        {"\r\r\n.\n.", 0, "\r\r\n.\n."}, /* no empty line: found by the fuzzer */
        {"A: b\r\n", 3, "A: b\r\n"},
        {"A: b", 3, "A: b"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t step = 1; step < 30; step++) {
            struct span in = span_z(cases[i].in);
            struct pop3_top t = {.left = cases[i].lines};
            size_t used = 0;
            for (size_t at = 0; at < in.n; at += step)
                used += pop3_grammar_top(&t, span_sub(in, at, step));
            assert_int_equal(used, strlen(cases[i].want));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_stuff),
        cmocka_unit_test(test_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
