/* Transfer encodings and line ends: the same whole and cut anywhere. */
#include "imap/imap_crlf.h"
#include "imap/imap_decode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    enum mime_encoding encoding;
    struct span in, want;
} cases[] = {
    {MIME_BASE64, SPAN("aGVsbG8gd29y\r\nbGQ="), SPAN("hello world")},
    {MIME_BASE64, SPAN("aGVsbG8=\r\nZm9v"), SPAN("hello")}, /* ends at the padding */
    {MIME_BASE64, SPAN("a*G V\r\ns"), SPAN("hel")},
    {MIME_BASE64, SPAN("AAAA"), SPAN("\0\0\0")},
    {MIME_QP, SPAN("a=3Db =\r\nc  \r\nd\r\n"), SPAN("a=b c\r\nd\r\n")},
    {MIME_QP, SPAN("=C3=A9=\r\n=00"), SPAN("\xc3\xa9\0")},
    {MIME_QP, SPAN("=zz = 4"), SPAN("=zz = 4")},
    {MIME_8BIT, SPAN("a=3D"), SPAN("a=3D")},
};

static void test_decode(void **state)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t step = 1; step <= cases[i].in.n; step++) {
            struct arena mem;
            struct str out;
            struct imap_decode d;
            arena_init(&mem);
            str_init(&out, &mem);
            imap_decode_init(&d, cases[i].encoding);
            for (size_t at = 0; at < cases[i].in.n; at += step)
                imap_decode_add(&d, &out, span_sub(cases[i].in, at, step));
            imap_decode_end(&d, &out);
            if (!span_eq(str_span(&out), cases[i].want))
                fail_msg("case %zu step %zu: %.*s", i, step, SPAN_ARGS(str_span(&out)));
            arena_done(&mem);
        }
}

/* A line far longer than what is held back: escapes are never cut. */
static void test_long_line(void **state)
{
    struct arena mem;
    struct str in, out;
    struct imap_decode d;
    arena_init(&mem);
    str_init(&in, &mem);
    str_init(&out, &mem);
    for (size_t i = 0; i < 3000; i++)
        str_addz(&in, i % 7 == 0 ? "=41x" : "=41");
    imap_decode_init(&d, MIME_QP);
    imap_decode_add(&d, &out, str_span(&in));
    imap_decode_end(&d, &out);
    assert_int_equal(out.n, 3000 + (3000 + 6) / 7);
    assert_int_equal(span_find_char(str_span(&out), '='), -1);
    arena_done(&mem);
}

static void test_crlf(void **state)
{
    static const struct { struct span in; const char *want; } lines[] = {
        {SPAN("a\r\nb\r\n"), "a\r\nb\r\n"}, {SPAN("a\nb\n"), "a\r\nb\r\n"}, {SPAN("\n\n\r\n\n"), "\r\n\r\n\r\n\r\n"},
        {SPAN("a\rb"), NULL},               {SPAN("a\0b"), NULL},           {SPAN("a\r"), NULL},
        {SPAN("\r\r\n"), NULL},             {SPAN(""), ""},                 {SPAN("x"), "x"},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        for (size_t step = 1; step <= lines[i].in.n + 1; step++) {
            struct imap_crlf c = {0};
            struct span run;
            char got[64];
            size_t n = 0;
            for (size_t at = 0; at < lines[i].in.n; at += step) {
                struct span piece = span_sub(lines[i].in, at, step);
                while (imap_crlf_next(&c, &piece, &run)) {
                    memcpy(got + n, run.p, run.n);
                    n += run.n;
                }
            }
            bool ok = imap_crlf_end(&c) == 0;
            assert_int_equal(ok, lines[i].want != NULL);
            if (ok)
                assert_true(span_eq(span_of(got, n), span_z(lines[i].want)));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_crlf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
