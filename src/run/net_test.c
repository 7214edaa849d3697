/* Networks: what is one, and what is in it. */
#include "run/net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row { const char *net, *inside, *outside; } rows[] = {
    {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
    {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
    {"0.0.0.0/0", "198.51.100.1", "2001:db8::1"},
    {"::/0", "198.51.100.1", NULL},
    {"2001:db8::/32", "2001:db8:1::1", "2001:db9::1"},
    {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
    {"2001:db8:8000::/33", "2001:db8:ffff::", "2001:db8:7fff::"},
    {"::1", "::1", "127.0.0.1"},
};

static const char *const bad[] = {"", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2/24", "x", "2001:db8::/129",
                                  "2001:db8::1/64", "192.0.2.0/-1", "192.0.2.0 /24"};

static void test_net(void **state)
{
    struct net n;
    unsigned char ip[16];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(net_parse(span_z(rows[i].net), &n), 0);
        assert_int_equal(net_address(span_z(rows[i].inside), ip), 0);
        assert_true(net_has(&n, ip));
        if (rows[i].outside == NULL)
            continue;
        assert_int_equal(net_address(span_z(rows[i].outside), ip), 0);
        assert_false(net_has(&n, ip));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(net_parse(span_z(bad[i]), &n), -1);
    assert_int_equal(net_address(span_of("192.0.2.1\0x", 11), ip), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_net)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
