/* srs_test: rewriting there and back, over two forwarders, after changes of case, time and letters. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "login/srs.h"

enum { DAY = 24 * 3600 };

static const int64_t now = 1764000000;
static struct arena mem;
static unsigned char ours[SRS_KEY], theirs[SRS_KEY];

static int setup(void **state)
{
    arena_init(&mem);
    srs_key(SPAN("a secret of ours"), ours);
    srs_key(SPAN("one of theirs"), theirs);
    return 0;
}

static int teardown(void **state)
{
    arena_done(&mem);
    return 0;
}

static const char *forward(const unsigned char *key, const char *sender, const char *domain)
{
    struct span s = srs_forward(key, span_z(sender), span_z(domain), now, &mem);

    return s.p != NULL ? arena_z(&mem, s) : "";
}

static const char *reverse_at(const unsigned char *key, const char *address, int64_t at_s)
{
    struct span local = span_z(address), s;

    s = srs_reverse(key, span_sub(local, 0, (size_t)span_rfind_char(local, '@')), at_s, &mem);
    return s.p != NULL ? arena_z(&mem, s) : "";
}

static const char *reverse(const unsigned char *key, const char *address)
{
    return reverse_at(key, address, now);
}

static void one_forwarder(void **state)
{
    const char *made = forward(ours, "jon.postel+x@example.org", "b.test");
    char other[128];

    assert_int_equal(strncmp(made, "SRS0=", 5), 0);
    assert_string_equal(made + 5 + 6 + 1 + 2, "=example.org=jon.postel+x@b.test");
    assert_string_equal(reverse(ours, made), "jon.postel+x@example.org");
    assert_string_equal(reverse(theirs, made), "");
    for (size_t i = 0; i <= strlen(made); i++) /* a server that changes case */
        other[i] = made[i] >= 'a' && made[i] <= 'z' ? (char)(made[i] & ~0x20) : made[i];
    assert_string_equal(reverse(ours, other), "JON.POSTEL+X@EXAMPLE.ORG");
    assert_string_equal(forward(ours, "a=b=c@example.org", "b.test") + 14, "=example.org=a=b=c@b.test");
    assert_string_equal(reverse(ours, forward(ours, "a=b=c@example.org", "b.test")), "a=b=c@example.org");
    assert_string_equal(forward(ours, "no-at-sign", "b.test"), "");
}

static void it_ends(void **state)
{
    const char *made = forward(ours, "jon@example.org", "b.test");

    assert_string_equal(reverse_at(ours, made, now + SRS_DAYS * DAY), "jon@example.org");
    assert_string_equal(reverse_at(ours, made, now + (SRS_DAYS + 1) * DAY), "");
    assert_string_equal(reverse_at(ours, made, now - DAY), "");
    assert_string_equal(reverse_at(ours, made, now + (int64_t)1024 * DAY), "jon@example.org"); /* the cycle */
}

static void two_forwarders(void **state)
{
    const char *first = forward(theirs, "jon@example.org", "b.test"), *second = forward(ours, first, "c.test"),
               *third = forward(theirs, second, "d.test");

    assert_int_equal(strncmp(second, "SRS1=", 5), 0);
    assert_string_equal(reverse(ours, second), first);
    assert_int_equal(strncmp(third, "SRS1=", 5), 0); /* straight back to the first, past the one between */
    assert_string_equal(reverse(theirs, third), first);
    assert_int_equal(strlen(second), strlen(third));
    assert_string_equal(reverse(ours, forward(ours, "SRS0+abcd+xy+example.org+jon@b.test", "c.test")),
                        "SRS0+abcd+xy+example.org+jon@b.test");
    assert_string_equal(reverse(ours, forward(ours, "srs0-abcd=xy=example.org=jon@b.test", "c.test")),
                        "SRS0-abcd=xy=example.org=jon@b.test");
}

static void what_is_not_ours(void **state)
{
    static const char *const bad[] = {
        "SRS0@b.test", "SRS0=@b.test", "SRS0=aaaaaa@b.test", "SRS0=aaaaaa=@b.test", "SRS0=aaaaaa=ab=example.org=jon@b.test",
        "SRS1=aaaaaa==@b.test", "SRS2=aaaaaa=ab=example.org=jon@b.test", "SRS0=a=b=c=d@b.test", "jon@b.test", "=@b.test",
    };
    const char *made = forward(ours, "jon@example.org", "b.test");
    char changed[128];

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (reverse(ours, bad[i])[0] != 0)
            fail_msg("taken for ours: %s", bad[i]);
    for (size_t i = 5; made[i] != '@'; i++) {
        snprintf(changed, sizeof changed, "%s", made);
        changed[i] = changed[i] == 'z' ? 'y' : 'z';
        assert_string_equal(reverse(ours, changed), "");
        snprintf(changed, sizeof changed, "%s", made); /* cut */
        memmove(changed + i, changed + i + 1, strlen(changed + i));
        assert_string_equal(reverse(ours, changed), "");
    }
    assert_true(srs_is(SPAN("srs0+x")) && srs_is(SPAN("SRS1=x")));
    assert_false(srs_is(SPAN("SRS0")) || srs_is(SPAN("SRS0=")) || srs_is(SPAN("SRS2=x")) || srs_is(SPAN("srs0x=")));
}

static void lengths(void **state)
{
    char sender[200];

    for (size_t n = 1; n < 100; n++) { /* never above 64 octets, and never cut */
        const char *made;
        memset(sender, 'x', n);
        snprintf(sender + n, sizeof sender - n, "@example.org");
        made = forward(ours, sender, "b.test");
        assert_true(n + 11 <= 48 ? strlen(made) == n + 11 + 16 + 7 && strcmp(reverse(ours, made), sender) == 0 : made[0] == 0);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(one_forwarder), TEST(it_ends), TEST(two_forwarders), TEST(what_is_not_ours),
                                       TEST(lengths)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
