/* throttle_test: SEC-14: of 10^5 guesses under 200 are computed, and the owner still gets in. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "login/throttle.h"

enum { GUESSES = 100000, DAY_MS = 24 * 3600 * 1000 };

static struct clock_page page;
static struct throttle *t;

static int setup(void **state)
{
    clock_use_page(&page);
    t = throttle_new(1000);
    return 0;
}

static int teardown(void **state)
{
    throttle_free(t);
    clock_use_page(NULL);
    return 0;
}

static const unsigned char *v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    static unsigned char ip[16] = {[10] = 0xff, [11] = 0xff};

    ip[12] = (unsigned char)a;
    ip[13] = (unsigned char)b;
    ip[14] = (unsigned char)c;
    ip[15] = (unsigned char)d;
    return ip;
}

/* One try; whether it was computed. */
static bool attempt(struct span name, const unsigned char *ip, bool right)
{
    struct throttle_check c;
    uint32_t wait_ms = 0;

    if (!throttle_begin(t, name, ip, &c, &wait_ms)) {
        assert_in_range(wait_ms, 1, 10000);
        return false;
    }
    wait_ms = throttle_end(t, &c, right);
    assert_true(right ? wait_ms == 0 : wait_ms >= 1000);
    return true;
}

#define ALICE SPAN("alice@demo.test")

/* 10^5 guesses over `span_ms`; the owner tries now and then from a network of hers that nobody knows, and must get in. */
static void attack(const unsigned char *(*from)(int i), int64_t span_ms, int most)
{
    int computed = 0, owner = 0, owner_in = 0;

    for (int i = 0; i < GUESSES; i++) {
        computed += attempt(ALICE, from(i), false);
        page.mono_offset_ms += span_ms / GUESSES;
        if (i % 10000 == 9999) {
            owner++;
            owner_in += attempt(ALICE, v4(203, 0, 113, (unsigned)owner), true);
        }
    }
    print_message("%d of %d computed, the owner came in %d of %d times\n", computed, GUESSES, owner_in, owner);
    assert_true(computed < most);
    assert_true(computed >= 5); /* a few are always free: a wrong password is no crime */
    assert_int_equal(owner_in, owner);
}

static const unsigned char *one_address(int i) { return v4(198, 51, 100, 7); }
static const unsigned char *whole_24(int i) { return v4(198, 51, 100, (unsigned)i % 256); }
static const unsigned char *botnet(int i) { return v4(10, (unsigned)i >> 8 & 255, (unsigned)i & 255, (unsigned)i >> 16); }
static const unsigned char *one_v6(int i)
{
    static unsigned char ip[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};
    memcpy(ip + 8, &i, sizeof i); /* all over its /64 */
    return ip;
}
static const unsigned char *whole_48(int i)
{
    static unsigned char ip[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 2};
    ip[6] = (unsigned char)(i >> 8);
    ip[7] = (unsigned char)i; /* 65,536 networks of it */
    return ip;
}

static void from_one_address_in_a_day(void **state) { attack(one_address, DAY_MS, 200); }
static void from_one_address_in_an_hour(void **state) { attack(one_address, DAY_MS / 24, 30); }
static void from_one_address_at_once(void **state) { attack(one_address, GUESSES, 30); }
static void from_a_24_in_a_day(void **state) { attack(whole_24, DAY_MS, 200); }
static void from_a_64_in_a_day(void **state) { attack(one_v6, DAY_MS, 200); }
static void from_a_48_in_a_day(void **state) { attack(whole_48, DAY_MS, 200); }

/* From everywhere at once only the account's own bucket is left; who came in lately still comes in. */
static void from_everywhere_in_a_day(void **state)
{
    int computed = 0;

    assert_true(attempt(ALICE, v4(203, 0, 113, 1), true));
    for (int i = 0; i < GUESSES; i++) {
        computed += attempt(ALICE, botnet(i), false);
        page.mono_offset_ms += DAY_MS / GUESSES;
        if (i % 10000 == 9999)
            assert_true(attempt(ALICE, v4(203, 0, 113, 99), true)); /* the same network */
    }
    print_message("%d of %d computed\n", computed, GUESSES);
    assert_true(computed < 200);
}

/* A guesser next door, or a colleague's old mail client, does not keep others of that network out. */
static void same_network_other_account(void **state)
{
    const unsigned char *ip = v4(192, 0, 2, 1);

    assert_true(attempt(SPAN("bob@demo.test"), ip, true));
    for (int i = 0; i < 1000; i++)
        attempt(ALICE, ip, false);
    assert_false(attempt(SPAN("carol@demo.test"), ip, true)); /* never seen here */
    assert_true(attempt(SPAN("bob@demo.test"), ip, true));
    page.mono_offset_ms += 16 * 60 * 1000;
    assert_true(attempt(SPAN("carol@demo.test"), ip, true)); /* no lock: the longest distance is 15 minutes */
}

/* An attacker's own account must not buy him guesses. */
static void own_account_buys_nothing(void **state)
{
    int computed = 0;

    for (int i = 0; i < GUESSES; i++) {
        attempt(SPAN("mallory@demo.test"), v4(198, 51, 100, 7), true);
        computed += attempt(ALICE, v4(198, 51, 100, 7), false);
        page.mono_offset_ms += DAY_MS / GUESSES;
    }
    assert_true(computed < 200);
}

/* Nor does a right password that is slow to be computed give back what others were charged meanwhile. */
static void slow_right_password(void **state)
{
    struct throttle_check own;
    uint32_t wait_ms;

    assert_true(throttle_begin(t, SPAN("mallory@demo.test"), v4(198, 51, 100, 7), &own, &wait_ms));
    for (int i = 0; i < 20; i++)
        attempt(ALICE, v4(198, 51, 100, 7), false);
    throttle_end(t, &own, true);
    assert_false(attempt(ALICE, v4(198, 51, 100, 7), false));
}

/* A network that knows the account is slowed down too. */
static void guesser_in_a_known_network(void **state)
{
    int computed = 0;

    assert_true(attempt(ALICE, v4(192, 0, 2, 1), true));
    for (int i = 0; i < GUESSES; i++) {
        computed += attempt(ALICE, v4(192, 0, 2, 1), false);
        page.mono_offset_ms += DAY_MS / GUESSES;
    }
    assert_true(computed < 200);
}

/* Many at the same time are charged before they are computed. */
static void at_the_same_time(void **state)
{
    struct throttle_check c[100];
    uint32_t wait_ms;
    int n = 0;

    for (int i = 0; i < 100; i++)
        n += throttle_begin(t, ALICE, v4(198, 51, 100, 7), &c[n], &wait_ms);
    assert_in_range(n, 5, 6);
    assert_int_equal(throttle_running(t), n);
    for (int i = 0; i < n; i++)
        throttle_end(t, &c[i], false);
    assert_int_equal(throttle_running(t), 0);
}

static void the_queue_is_bounded(void **state)
{
    struct throttle_check c[100];
    uint32_t wait_ms = 0;
    int n = 0, more = 0;

    assert_true(attempt(ALICE, v4(192, 0, 2, 1), true));
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "u%d@demo.test", i);
        n += throttle_begin(t, span_z(name), v4(10, (unsigned)i, 0, 1), &c[n], &wait_ms);
    }
    assert_int_equal(n, LIMIT(PASSWORD_QUEUE) * 3 / 4); /* strangers do not get all of it */
    assert_true(wait_ms > 0);
    while (n + more < 100 && throttle_begin(t, ALICE, v4(192, 0, 2, 1), &c[n + more], &wait_ms))
        more++;
    assert_int_equal(n + more, LIMIT(PASSWORD_QUEUE));
    for (int i = 0; i < n + more; i++)
        throttle_end(t, &c[i], true);
    assert_int_equal(throttle_running(t), 0);
}

/* What is remembered is bounded, whoever comes. */
static void memory_is_bounded(void **state)
{
    throttle_free(t);
    t = throttle_new(10);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "u%d@demo.test", i);
        assert_true(attempt(span_z(name), v4(10, (unsigned)i >> 8, (unsigned)i, 1), i % 2));
    }
    for (int i = 0; i < 100; i++)
        attempt(ALICE, v4(192, 0, 2, 1), false);
    assert_false(attempt(ALICE, v4(192, 0, 2, 1), false));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(from_one_address_in_a_day), TEST(from_one_address_in_an_hour), TEST(from_one_address_at_once),
        TEST(from_a_24_in_a_day), TEST(from_a_64_in_a_day), TEST(from_a_48_in_a_day), TEST(from_everywhere_in_a_day),
        TEST(same_network_other_account), TEST(own_account_buys_nothing), TEST(slow_right_password),
        TEST(guesser_in_a_known_network),
        TEST(at_the_same_time), TEST(the_queue_is_bounded), TEST(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
