/* The PROXY header: what is one, whole and as it comes, and whom it names. */
#include "run/proxy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MAGIC "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\x0f\xa0\x00\x19"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x0f\xa0\x00\x19"

static const struct row {
    struct span in;
    bool good, known, v4;
} rows[] = {
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n"), true, true, true},
    {SPAN("PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\n"), true, true, false},
    {SPAN("PROXY UNKNOWN\r\n"), true, false, false},
    {SPAN("PROXY UNKNOWN what ever\r\n"), true, false, false},
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\n"), false, false, false},
    {SPAN("PROXY TCP4 2001:db8::1 192.0.2.2 4000 25\r\n"), false, false, false},
    {SPAN("PROXY TCP6 192.0.2.1 192.0.2.2 4000 25\r\n"), false, false, false},
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 4000\r\n"), false, false, false},
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 4000 25 7\r\n"), false, false, false},
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 4000 65536\r\n"), false, false, false},
    {SPAN("PROXY TCP4  192.0.2.1 192.0.2.2 4000 25\r\n"), false, false, false},
    {SPAN("PROXY UDP4 192.0.2.1 192.0.2.2 4000 25\r\n"), false, false, false},
    {SPAN("PROXY UNKNOWN ..........................................................................................................\r\n"),
     false, false, false},
    {SPAN("EHLO x.example.org\r\n"), false, false, false},
    {SPAN(MAGIC "\x21\x11\x00\x0c" V4), true, true, true},
    {SPAN(MAGIC "\x21\x21\x00\x24" V6), true, true, false},
    {SPAN(MAGIC "\x21\x11\x00\x0f" V4 "\x04\x00\x00"), true, true, true}, /* something follows the addresses */
    {SPAN(MAGIC "\x20\x11\x00\x0c" V4), true, false, false}, /* LOCAL */
    {SPAN(MAGIC "\x20\x00\x00\x00"), true, false, false},
    {SPAN(MAGIC "\x21\x00\x00\x00"), true, false, false},
    {SPAN(MAGIC "\x21\x11\x00\x0b" V4), false, false, false}, /* too short for its family */
    {SPAN(MAGIC "\x21\x11\x08\x01" V4), false, false, false}, /* too long */
    {SPAN(MAGIC "\x22\x11\x00\x0c" V4), false, false, false},
    {SPAN(MAGIC "\x11\x11\x00\x0c" V4), false, false, false},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct proxy p;
        size_t need;
        ptrdiff_t n = proxy_parse(r->in, &p, &need);
        if (n != (r->good ? (ptrdiff_t)r->in.n : -1))
            fail_msg("row %zu: %td", i, n);
        assert_int_equal(r->good && p.known, r->known);
        if (!r->known)
            continue;
        assert_int_equal(p.peer_port, 4000);
        assert_int_equal(p.local_port, 25);
        assert_int_equal(p.peer[15], 1);
        assert_int_equal(p.local[15], 2);
        assert_int_equal(p.peer[11], r->v4 ? 0xff : 0);
    }
}

/* Read as it asks for, it never asks for a byte behind the header. */
static void test_need(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy p;
        size_t have = 0, need;
        ptrdiff_t n;
        while ((n = proxy_parse(span_sub(rows[i].in, 0, have), &p, &need)) == 0 && have < rows[i].in.n)
            have += need;
        if (!rows[i].good)
            continue;
        assert_int_equal(n, rows[i].in.n);
        assert_int_equal(have, rows[i].in.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_need)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
