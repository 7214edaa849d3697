/* Token buckets under a clock that the test sets. */
#include "run/rate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "run/config.h"
#include "run/net.h"

static struct clock_page page;

static struct conn_addr from(const char *text)
{
    unsigned char ip[16];
    struct conn_addr a;
    assert_int_equal(net_address(span_z(text), ip), 0);
    conn_addr_of(&a, ip, 4000);
    return a;
}

static unsigned taken(const char *text, unsigned tries)
{
    struct conn_addr a = from(text);
    unsigned n = 0;
    while (tries-- > 0)
        n += rate_take(RATE_MAIL, &a);
    return n;
}

static void pass(int64_t ms)
{
    page.mono_offset_ms += ms;
}

static void test_rates(void **state)
{
    limit_value[LIMIT_MAILS_PER_IP] = 60;
    limit_value[LIMIT_MAILS_PER_NET] = 100;
    rate_forget();
    assert_int_equal(taken("198.51.100.1", 200), 60);
    assert_int_equal(taken("198.51.100.2", 200), 40); /* the /24 has no more */
    assert_int_equal(taken("198.51.101.2", 200), 60);
    pass(10000); /* a second is a token of an address */
    assert_int_equal(taken("198.51.100.1", 200), 10);
    assert_int_equal(taken("198.51.100.2", 200), 6);
    pass(600000);
    assert_int_equal(taken("198.51.100.1", 200), 60); /* never more than a minute's worth */
    rate_forget();
    assert_int_equal(taken("2001:db8:1:1::1", 200), 60);
    assert_int_equal(taken("2001:db8:1:1:ffff::9", 200), 0); /* the same /64 */
    assert_int_equal(taken("2001:db8:1:2::1", 200), 40);     /* the same /48 */
    assert_int_equal(taken("2001:db8:2:1::1", 200), 60);
    assert_int_equal(taken("127.0.0.9", 200), 200);
    assert_int_equal(taken("::1", 200), 200);
    assert_int_equal(taken("203.0.113.5", 200), 200); /* server.no_limits */
    assert_int_equal(taken("203.0.112.5", 200), 60);
}

/* More sources than are kept: nobody is refused for it, and memory stays bounded. */
static void test_many(void **state)
{
    rate_forget();
    for (unsigned i = 0; i < 150000; i++) {
        unsigned char ip[16] = {0x20, 1, 0x0d, 0xb8, (unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i};
        struct conn_addr a;
        conn_addr_of(&a, ip, 1);
        assert_true(rate_take(RATE_CONNECT, &a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates), cmocka_unit_test(test_many)};
    struct fail f;
    struct config *c = config_parse(SPAN("[server]\nno_limits = 203.0.113.0/24\n"), "test", &f);
    config_use(c);
    clock_use_page(&page);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rate_forget();
    config_free(c);
    return failed;
}
