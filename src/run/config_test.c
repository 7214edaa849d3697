/* Every kind of mistake in postel.conf, and that what config_show prints reads back as the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <arpa/inet.h>

#include "base/log.h"
#include "run/config.h"
#include "run/service.h"

struct wrong { const char *text, *want; };

/* want: a piece of the message */
static const struct wrong wrongs[] = {
    {"[server]\nhostnam = a.test\n", "t.conf:2: unknown option \"hostnam\" in [server]; did you mean \"hostname\" in [server]?"},
    {"[server]\n\n# x\nsmtp = none\n", "t.conf:4: unknown option \"smtp\" in [server]; did you mean \"smtp\" in [listen]?"},
    {"[limits]\nsmtp_rcpt = 200\n", "did you mean \"smtp_rcpts\" in [limits]?"},
    {"[server]\nxyzzyplughfoobarbaz = 1\n", "`postel config show` lists all"},
    {"[listn]\nsmtp = none\n", "t.conf:2: unknown section [listn]; did you mean [listen]?"},
    {"hostname = a.test\n", "t.conf:1: \"hostname\" stands before any [section]"},
    {"[server]\nhostname\n", "t.conf:2: wants \"[section]\""},
    {"[server\nhostname = a.test\n", "t.conf:1: wants \"[section]\""},
    {"[server]\nhostname =\n", "hostname = : wants a host name"},
    {"[server]\nhostname = -a.test\n", "wants a host name"},
    {"[server]\nhostname = a..test\n", "wants a host name"},
    {"[server]\nhostname = a.test # no comment here\n", "wants a host name"},
    {"[server]\nfronts = 0\n", "fronts = 0: wants a number from 1 to 64"},
    {"[server]\nfronts = 65\n", "wants a number from 1 to 64"},
    {"[server]\nfronts = +1\n", "wants a number"},
    {"[server]\nfronts = 99999999999999999999999\n", "wants a number"},
    {"[server]\ncleartext_loopback = maybe\n", "wants yes or no"},
    {"[server]\nlog_level = loud\n", "wants debug, info, warn or error"},
    {"[server]\ndata =\n", "wants 1 to 180 characters"},
    {"[listen]\nsmtp =\n", "or none"},
    {"[listen]\nsmtp = 127.0.0.1\n", "smtp = 127.0.0.1: wants addresses"},
    {"[listen]\nsmtp = 127.0.0.1:65536\n", "wants addresses"},
    {"[listen]\nsmtp = 127.0.0.1:\n", "wants addresses"},
    {"[listen]\nsmtp = ::1:25\n", "wants addresses"},
    {"[listen]\nsmtp = [::1:25\n", "wants addresses"},
    {"[listen]\nsmtp = [127.0.0.1]:25\n", "wants addresses"},
    {"[listen]\nsmtp = none 127.0.0.1:25\n", "wants addresses"},
    {"[listen]\nsmtp = localhost:25\n", "wants addresses"},
    {"[limits]\nsmtp_rcpts = none\n", "smtp_rcpts = none: wants 100 to 100000 recipients"},
    {"[limits]\nsmtp_rcpts = 99\n", "wants 100 to 100000 recipients"},
    {"[limits]\nsmtp_rcpts = 1KiB\n", "wants 100 to 100000 recipients"},
    {"[limits]\nmessage_bytes = 2GiB\n", "wants 65536 to 1073741824 bytes"},
    {"[limits]\nsmtp_data_s = 2h\n", "wants 5 to 3600 seconds"},
    {"[limits]\nsmtp_data_s = 5KiB\n", "wants 5 to 3600 seconds"},
    {"[server]\nhostname = a.test\r\nuser = a\x01" "b\n", "t.conf:3: the line holds control characters"},
};

static void test_wrong(void **state)
{
    for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
        struct fail f = {0};
        struct config *c = config_parse(span_z(wrongs[i].text), "t.conf", &f);
        if (c != NULL || f.kind != FAIL_PERM || strstr(f.text, wrongs[i].want) == NULL)
            fail_msg("%s -> %s, wanted %s", wrongs[i].text, c ? "accepted" : f.text, wrongs[i].want);
    }
}

static void test_edges(void **state)
{
    struct fail f = {0};
    char line[260];
    assert_null(config_parse(SPAN("[server]\nuser = a\0b\n"), "t.conf", &f));
    assert_non_null(strstr(f.text, "control characters"));
    snprintf(line, sizeof line, "[server]\ndata = /%0200d\n", 0);
    assert_null(config_parse(span_z(line), "t.conf", &f));
    assert_non_null(strstr(f.text, "t.conf:2: the line is longer"));
}

static void check_values(const struct config *c)
{
    const struct config_addr *a;
    config_use(c);
    assert_true(span_eq(config_text(CONFIG_server_hostname), SPAN("mx.example.org")));
    assert_int_equal(config_count(CONFIG_server_fronts), 3);
    assert_int_equal(config_count(CONFIG_server_log_level), LOG_WARN);
    assert_true(config_bool(CONFIG_server_cleartext_loopback));
    assert_int_equal(LIMIT(MESSAGE_BYTES), 65536);
    assert_int_equal(LIMIT(SMTP_DATA_S), 300);
    assert_int_equal(LIMIT(STOP_FRONT_S), 0);
    assert_int_equal(LIMIT(SMTP_RCPTS), 1000);
    assert_int_equal(config_addrs(c, CONFIG_listen_pop3, &a), 0);
    assert_int_equal(config_addrs(c, CONFIG_listen_pop3s, &a), 2); /* the default */
    assert_int_equal(config_addrs(c, CONFIG_listen_smtp, &a), 2);
    const struct sockaddr_in *in = (const void *)a[0].sockaddr;
    const struct sockaddr_in6 *in6 = (const void *)a[1].sockaddr;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_port, htons(2025));
    assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_int_equal(in6->sin6_port, htons(0)); /* 0 is a number: the kernel chooses */
    assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, 16);
    assert_true(span_eq(a[1].text, SPAN("[::1]:0")));
}

static void test_right(void **state)
{
    static const char text[] = "\xef\xbb\xbf# comment\n; comment\n[server]\r\n  hostname = wrong.test\nhostname = mx.example.org ; ours\n"
                               "fronts=3\nlog_level: WARN\n\tcleartext_loopback = Yes\n[listen]\npop3 = NONE\n"
                               "smtp = 127.0.0.1:2025, [::1]:0\n[limits]\nmessage_bytes = 64KiB\nsmtp_data_s = 5m\nstop_front_s = 0";
    struct fail f = {0};
    struct arena mem;
    struct str shown;
    arena_init(&mem);
    str_init(&shown, &mem);
    struct config *c = config_parse(span_z(text), "t.conf", &f);
    if (c == NULL)
        fail_msg("%s", f.text);
    check_values(c);
    config_show(c, &shown);
    struct config *again = config_parse(str_span(&shown), "shown", &f);
    if (again == NULL)
        fail_msg("%s", f.text);
    check_values(again);
    config_use(c);
    config_free(again);
    config_free(c);
    arena_done(&mem);
}

static void test_services(void **state)
{
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        assert_true(ROLE_BIT(service_table[i].role) & ROLES_FRONT || i == SERVICE_sendmail);
    assert_string_equal(service_table[SERVICE_pop3s].name, "pop3s");
    assert_int_equal(service_table[SERVICE_pop3s].listen, CONFIG_listen_pop3s);
    assert_int_equal(role_kind_of("front-user"), ROLE_FRONT_USER);
    assert_int_equal(role_kind_of("front"), -1);
    assert_string_equal(role_kind_name(ROLE_STORE), "store");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
