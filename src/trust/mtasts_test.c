/* Tests of MTA-STS without the net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/str.h"
#include "trust/mtasts.h"

static void test_record(void **state)
{
    static const struct { const char *texts[3]; const char *id; } table[] = {
        {{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"}, /* RFC 8461 3.1 */
        {{"v=STSv1;id=a"}, "a"},
        {{"v=STSv1 ; id=a ; x=y"}, "a"},
        {{"v=STSv1; x=y; id=a; id=b"}, "a"},
        {{"v=STSv1; id=a", "v=spf1 -all", "v=STSv10; id=b"}, "a"},
        {{"v=STSv1; id=a", "v=STSv1; id=a"}, NULL},
        {{"v=STSv1; id=a;;"}, NULL},
        {{"v=STSv1; id="}, NULL},
        {{"v=STSv1; id=a-b"}, NULL},
        {{"v=STSv1; id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {{"v=STSv1; id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, NULL},
        {{"v=STSv1; ID=a"}, NULL},
        {{"v=stsv1; id=a"}, NULL},
        {{" v=STSv1; id=a"}, NULL},
        {{"id=a; v=STSv1"}, NULL},
        {{"v=STSv1"}, NULL},
        {{"v=STSv1;"}, NULL},
        {{"v=STSv1; id=a; x"}, NULL},
        {{"v=STSv1; id=a; x=a=b"}, NULL},
        {{""}, NULL},
        {{NULL}, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct span texts[3], id = SPAN_NONE;
        size_t n = 0;
        while (n < 3 && table[i].texts[n] != NULL) {
            texts[n] = span_z(table[i].texts[n]);
            n++;
        }
        int r = mtasts_record(texts, n, &id);
        if ((r == 0) != (table[i].id != NULL) || (r == 0 && !span_eq(id, span_z(table[i].id))))
            fail_msg("row %zu: %d %.*s", i, r, SPAN_ARGS(id));
    }
}

#define HEAD "version: STSv1\n"
static void test_parse(void **state)
{
    static const struct { const char *text; int mode; uint32_t age; size_t mx; } table[] = {
        /* RFC 8461 3.2 */
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n",
         MTASTS_MODE_ENFORCE, 604800, 3},
        {HEAD "mode:testing\nmx:a.test\nmax_age:1", MTASTS_MODE_TESTING, 1, 1},
        {HEAD "mode: none\nmax_age: 0\n", MTASTS_MODE_NONE, 0, 0},
        {"max_age: 9999999999\nmx: A.Test  \t\nx-y.z_: \xc3\xa4 b\nmode: enforce \n\n\n" HEAD, MTASTS_MODE_ENFORCE, 31557600, 1},
        {HEAD "mode: testing\nmode: enforce\nmax_age: 5\nmax_age: x\nmx: a.test\n", MTASTS_MODE_TESTING, 5, 1},
        {HEAD "mode: enforce\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: Enforce\nmx: a.test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\n", -1, 0, 0},
        {HEAD "mx: a.test\nmax_age: 5\n", -1, 0, 0},
        {"mode: enforce\nmx: a.test\nmax_age: 5\n", -1, 0, 0},
        {"version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a_b.test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: *.*.test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: mail.*.test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: *\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: \nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a..test\nmax_age: 5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\nmax_age: 12345678901\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\nmax_age: -5\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\nmax_age: 5\nrubbish\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\nmax_age: 5\nx: \x01\n", -1, 0, 0},
        {HEAD "mode: enforce\nmx: a.test\nmax_age: 5\nx: \xff\n", -1, 0, 0},
        {"<html>\n", -1, 0, 0},
        {"", -1, 0, 0},
    };
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct mtasts_policy p;
        int r = mtasts_parse(span_z(table[i].text), &p, &mem);
        if ((r == 0) != (table[i].mode >= 0))
            fail_msg("row %zu: %d", i, r);
        if (r == 0 && ((int)p.mode != table[i].mode || p.max_age_s != table[i].age || p.n_mx != table[i].mx))
            fail_msg("row %zu: mode %d, %u s, %zu", i, p.mode, p.max_age_s, p.n_mx);
    }
    struct str large;
    str_init(&large, &mem);
    str_addz(&large, HEAD "mode: enforce\nmax_age: 5\nmx: a.test\n");
    while (large.n + 5 <= MTASTS_POLICY_BYTES)
        str_addz(&large, "x: y\n");
    while (large.n < MTASTS_POLICY_BYTES)
        str_addc(&large, '\n');
    struct mtasts_policy p;
    assert_int_equal(mtasts_parse(str_span(&large), &p, &mem), 0);
    str_addc(&large, '\n');
    assert_int_equal(mtasts_parse(str_span(&large), &p, &mem), -1);
    arena_done(&mem);
}

static void test_match(void **state)
{
    static const struct { const char *host; bool fits; } table[] = {
        {"mail.example.com", true}, {"MAIL.Example.com", true}, {"mail.example.com.", true}, {"a.example.net", true},
        {"example.net", false}, {"a.b.example.net", false}, {"xmail.example.com", false}, {"example.com", false},
        {"mail.example.com.evil.test", false}, {"", false}, {".example.net", false},
    };
    struct arena mem;
    struct mtasts_policy p;
    arena_init(&mem);
    assert_int_equal(mtasts_parse(SPAN(HEAD "mode: enforce\nmax_age: 5\nmx: mail.example.com\nmx: *.Example.net\n"), &p, &mem), 0);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (mtasts_match(&p, span_z(table[i].host)) != table[i].fits)
            fail_msg("%s", table[i].host);
        assert_int_equal(mtasts_decide(&p, span_z(table[i].host)), table[i].fits ? MTASTS_VERIFY : MTASTS_REFUSE);
    }
    p.mode = MTASTS_MODE_TESTING;
    assert_int_equal(mtasts_decide(&p, SPAN("x.test")), MTASTS_WATCH);
    p.mode = MTASTS_MODE_NONE;
    assert_int_equal(mtasts_decide(&p, SPAN("x.test")), MTASTS_FREE);
    assert_int_equal(mtasts_decide(NULL, SPAN("x.test")), MTASTS_FREE);
    arena_done(&mem);
}

#define POLICY(mode, age) SPAN(HEAD "mode: " mode "\nmax_age: " age "\nmx: a.test\n")

static void test_cache(void **state)
{
    const struct span d = SPAN("example.test"), one = SPAN("one"), two = SPAN("two");
    struct mtasts_cache *c = mtasts_cache_new(2);
    int64_t now = 1000000;
    assert_null(mtasts_cache_get(c, d, now));
    assert_true(mtasts_cache_stale(c, d, one, now));
    assert_int_equal(mtasts_cache_put(c, d, one, POLICY("enforce", "200000"), now), 0);
    assert_int_equal(mtasts_cache_get(c, d, now)->mode, MTASTS_MODE_ENFORCE);
    assert_false(mtasts_cache_stale(c, d, one, now + 86399));
    assert_true(mtasts_cache_stale(c, d, one, now + 86400)); /* a day old */
    assert_true(mtasts_cache_stale(c, d, two, now + 1));
    /* a fetch that fails leaves what there was, and is not tried at once again */
    assert_int_equal(mtasts_cache_put(c, d, two, SPAN_NONE, now + 1), -1);
    assert_false(mtasts_cache_stale(c, d, two, now + 300));
    assert_true(mtasts_cache_stale(c, d, SPAN("three"), now + 300));
    assert_true(mtasts_cache_stale(c, d, two, now + 301));
    assert_int_equal(mtasts_cache_put(c, d, two, SPAN("<html>"), now + 301), -1);
    assert_int_equal(mtasts_cache_get(c, d, now + 199999)->mode, MTASTS_MODE_ENFORCE);
    assert_null(mtasts_cache_get(c, d, now + 200000)); /* run out */
    assert_true(mtasts_cache_stale(c, d, one, now + 200000));
    assert_int_equal(mtasts_cache_put(c, d, two, POLICY("none", "1000"), now + 400), 0);
    assert_int_equal(mtasts_cache_get(c, d, now + 401)->mode, MTASTS_MODE_NONE);
    /* a domain that never had one: failures alone */
    assert_int_equal(mtasts_cache_put(c, SPAN("b.test"), one, SPAN_NONE, now), -1);
    assert_null(mtasts_cache_get(c, SPAN("b.test"), now));
    assert_false(mtasts_cache_stale(c, SPAN("b.test"), one, now + 299));
    /* the third one drives out the one asked for longest ago */
    assert_non_null(mtasts_cache_get(c, d, now + 401));
    assert_int_equal(mtasts_cache_put(c, SPAN("c.test"), one, POLICY("testing", "1000"), now), 0);
    assert_non_null(mtasts_cache_get(c, d, now + 401));
    assert_true(mtasts_cache_stale(c, SPAN("b.test"), one, now + 299));
    mtasts_cache_free(c);
    mtasts_cache_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record), cmocka_unit_test(test_parse), cmocka_unit_test(test_match), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
