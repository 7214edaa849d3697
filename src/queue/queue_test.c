/* queue: routes, addresses, retries, and the life of a destination. */
#include "base/limits.h"
#include "queue/queue_address.h"
#include "queue/queue_destination.h"
#include "queue/queue_retry.h"
#include "queue/queue_route.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- retry ------------------------------------------------------------------------------------------------------- */

static void retries_grow_to_a_limit_and_scatter(void **state)
{
    int64_t before = 0;
    for (unsigned i = 1; i < 40; i++) {
        int64_t least = queue_retry_ms(i, 0), most = 0;
        for (uint64_t r = 0; r < 2000; r++) {
            int64_t ms = queue_retry_ms(i, r * 7919);
            most = MAX_OF(most, ms);
            assert_true(ms >= least);
        }
        assert_true(least >= before);
        assert_true(most > least && most <= LIMIT(RETRY_MOST_S) * 1200);
        before = least;
    }
    assert_true(queue_retry_ms(1, 0) == LIMIT(RETRY_FIRST_S) * 800);
    assert_true(before == LIMIT(RETRY_MOST_S) * 800);
    assert_true(queue_retry_ms(UINT32_MAX, UINT64_MAX) > 0);
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

static void hops(void **state)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: no hop */
    } rows[] = {
        {"mx.example.org", "mx.example.org", 25}, {"mx.example.org:587", "mx.example.org", 587},
        {"[192.0.2.1]", "[192.0.2.1]", 25},       {"[192.0.2.1]:2525", "[192.0.2.1]", 2525},
        {"[IPv6:2001:db8::1]:26", "[IPv6:2001:db8::1]", 26}, {"[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", 25},
        {"", "", -1}, {":25", "", -1}, {"host:0", "", -1}, {"host:65536", "", -1}, {"host:-1", "", -1}, {"host:", "", -1},
        {"[192.0.2.1", "", -1}, {"[a]b:25", "", -1}, {"ho st", "", -1}, {"host\r\n", "", -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct queue_hop hop;
        int r = queue_route_hop(span_z(rows[i].text), 25, &hop);
        assert_int_equal(r, rows[i].port < 0 ? -1 : 0);
        if (r == 0) {
            assert_true(span_eq(hop.host, span_z(rows[i].host)));
            assert_int_equal(hop.port, rows[i].port);
            assert_false(hop.mx);
        }
    }
}

static void way(const struct queue_routes *r, const char *forced, const char *sender, const char *domain, const char *host)
{
    struct queue_hop hop;
    queue_route_find(r, span_z(forced), span_z(sender), span_z(domain), &hop);
    if (!span_eq(hop.host, span_z(host)))
        fail_msg("%s to %s goes to %.*s, not %s", sender, domain, SPAN_ARGS(hop.host), host);
    assert_int_equal(hop.mx, strcmp(host, domain) == 0);
    assert_int_equal(hop.login, strcmp(host, "smart.example") == 0);
}

static void the_closest_route_wins(void **state)
{
    struct queue_routes r;
    struct arena mem;
    struct fail f;
    arena_init(&mem);
    assert_int_equal(queue_route_parse(&r, SPAN("Example.ORG=a.test  .example.org=b.test .deep.example.org=c.test "
                                                "from:ann@x.test=d.test from:x.test=e.test open.test=mx"),
                                       SPAN("smart.example:587"), 25, &mem, &f), 0);
    way(&r, "", "bob@y.test", "example.org", "a.test");
    way(&r, "", "bob@y.test", "one.example.org", "b.test");
    way(&r, "", "bob@y.test", "one.deep.example.org", "c.test");
    way(&r, "", "bob@y.test", "myexample.org", "smart.example");
    way(&r, "", "ann@x.test", "example.org", "d.test");
    way(&r, "", "Eve@X.test", "example.org", "e.test");
    way(&r, "", "", "elsewhere.test", "smart.example");
    way(&r, "", "", "open.test", "open.test");                       /* mx: past the smart host */
    way(&r, "mx", "ann@x.test", "elsewhere.test", "elsewhere.test"); /* a person's word counts for more than any row */
    way(&r, "z.test:26", "ann@x.test", "example.org", "z.test");
    assert_true(queue_route_by_sender(&r));
    queue_route_done(&r);
    assert_int_equal(queue_route_parse(&r, SPAN(""), SPAN(""), 25, &mem, &f), 0);
    way(&r, "", "", "example.org", "example.org");
    way(&r, "", "", "[192.0.2.7]", "[192.0.2.7]");
    queue_route_done(&r);
    assert_int_equal(queue_route_parse(&r, SPAN("example.org"), SPAN(""), 25, &mem, &f), -1);
    assert_non_null(strstr(f.text, "example.org"));
    queue_route_done(&r);
    assert_int_equal(queue_route_parse(&r, SPAN(""), SPAN("mx"), 25, &mem, &f), -1);
    queue_route_done(&r);
    arena_done(&mem);
}

/* ---- addresses ----------------------------------------------------------------------------------------------------- */

static const unsigned char *ip(const char *text)
{
    static unsigned char out[16];
    memset(out, 0, sizeof out);
    if (inet_pton(AF_INET, text, out + 12) == 1)
        out[10] = out[11] = 0xff;
    else
        assert_int_equal(inet_pton(AF_INET6, text, out), 1);
    return out;
}

static void special_addresses(void **state)
{
    static const char *const special[] = {
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.9",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.0.1", "198.18.0.1",
        "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1", "2002:a00:1::", "fc00::1", "fd12::1",
        "fe80::1", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "3fff::1", "100::1", "::ffff:127.0.0.1", "64:ff9b:1::1",
    };
    static const char *const open_[] = {"9.9.9.9", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
        "172.15.255.255", "172.32.0.1", "192.0.1.1", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255",
        "2001:4860::1", "2a00::1", "2600::1", "64:ff9b::808:808", "2002:808:808::1", "2001:200::1", "2c0f::1"};
    for (size_t i = 0; i < COUNT_OF(special); i++)
        if (!queue_address_special(ip(special[i])))
            fail_msg("%s counts as open", special[i]);
    for (size_t i = 0; i < COUNT_OF(open_); i++)
        if (queue_address_special(ip(open_[i])))
            fail_msg("%s counts as special", open_[i]);
}

/* ---- destinations ---------------------------------------------------------------------------------------------------- */

static struct queue_destinations t;
static int64_t next;

static int start_over(void **state)
{
    queue_destination_init(&t);
    return 0;
}

static int end(void **state)
{
    queue_destination_done(&t);
    return 0;
}

static struct queue_destination *begin(int64_t now)
{
    return queue_destination_begin(&t, now, &next);
}

static void nothing_starts_before_its_time(void **state)
{
    assert_null(begin(0));
    assert_int_equal(next, INT64_MAX);
    queue_destination_waits(&t, SPAN("a.test"), 100);
    queue_destination_waits(&t, SPAN("a.test"), 200);
    assert_null(begin(99));
    assert_int_equal(next, 100);
    struct queue_destination *d = begin(100);
    assert_non_null(d);
    assert_string_equal(d->domain, "a.test");
    assert_null(begin(1000)); /* its lease has not told yet whether there is more */
    queue_destination_leased(&t, d, INT64_MAX);
    queue_destination_end(&t, d);
    assert_int_equal(map_count(&t.by_domain), 0);
}

static void more_sessions_start_while_more_is_due_up_to_the_window(void **state)
{
    struct queue_destination *d[100];
    unsigned n = 0;
    queue_destination_waits(&t, SPAN("a.test"), 0);
    while (n < 100 && (d[n] = begin(10)) != NULL)
        queue_destination_leased(&t, d[n++], 5);
    assert_int_equal(n, LIMIT(RELAY_CONCURRENCY_FIRST));
    for (int i = 0; i < 1000; i++)
        queue_destination_good(&t, d[0]);
    while (n < 100 && (d[n] = begin(10)) != NULL)
        queue_destination_leased(&t, d[n++], 5);
    assert_int_equal(n, LIMIT(RELAY_CONCURRENCY));
    while (n > 0)
        queue_destination_end(&t, d[--n]);
    assert_int_equal(t.sessions, 0);
    assert_non_null(begin(10)); /* 5 ms: still due */
}

static void a_dead_one_is_left_alone_and_then_asked_by_one_session(void **state)
{
    struct queue_destination *d, *e;
    int64_t again = 0;
    queue_destination_waits(&t, SPAN("dead.test"), 0);
    for (int64_t now = 0; now < 1000; now++) {
        if ((d = begin(now)) == NULL)
            break;
        queue_destination_leased(&t, d, 0);
        again = queue_destination_bad(&t, d, now, 0);
        queue_destination_end(&t, d);
    }
    assert_true(again >= LIMIT(RETRY_FIRST_S) * 800);
    assert_null(begin(again - 1));
    assert_int_equal(next, again);
    d = begin(again);
    assert_non_null(d);
    queue_destination_leased(&t, d, 0);
    assert_null(begin(again)); /* one at a time */
    int64_t later = queue_destination_bad(&t, d, again, 0);
    assert_true(later - again > LIMIT(RETRY_FIRST_S) * 800); /* longer each time */
    queue_destination_end(&t, d);
    d = begin(later);
    queue_destination_leased(&t, d, 0);
    queue_destination_good(&t, d); /* alive again: others may join */
    e = begin(later);
    assert_non_null(e);
    assert_null(begin(later)); /* two for now: it has taken one message */
}

static void a_dead_one_does_not_hold_up_a_live_one(void **state)
{
    struct queue_destination *d;
    queue_destination_waits(&t, SPAN("dead.test"), 0);
    for (int i = 0; i < 10 && (d = begin(i)) != NULL; i++) {
        queue_destination_leased(&t, d, 0);
        queue_destination_bad(&t, d, i, 0);
        queue_destination_end(&t, d);
    }
    queue_destination_waits(&t, SPAN("live.test"), 50);
    d = begin(50);
    assert_non_null(d);
    assert_string_equal(d->domain, "live.test");
}

static void there_is_a_most_of_all_sessions(void **state)
{
    unsigned n = 0;
    char name[20];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d%d.test", i);
        queue_destination_waits(&t, span_z(name), 0);
    }
    struct queue_destination *d, *last = NULL;
    while ((d = begin(0)) != NULL)
        n++, last = d;
    assert_int_equal(n, LIMIT(RELAY_SESSIONS));
    assert_int_equal(next, INT64_MAX); /* no timer: the end of one asks */
    queue_destination_end(&t, last);
    assert_non_null(begin(0));
}

/* Long queues for more destinations than there may be sessions: each has its turn. */
static void when_all_are_taken_destinations_have_turns(void **state)
{
    struct queue_destination *d[1000];
    unsigned n = 0;
    char name[20];
    for (int i = 0; i < LIMIT(RELAY_SESSIONS); i++) {
        snprintf(name, sizeof name, "d%d.test", i);
        queue_destination_waits(&t, span_z(name), 0);
    }
    while ((d[n] = begin(10)) != NULL)
        n++;
    assert_int_equal(n, LIMIT(RELAY_SESSIONS));
    for (unsigned i = 0; i < n; i++) {
        queue_destination_leased(&t, d[i], 20);
        queue_destination_good(&t, d[i]);
    }
    assert_false(queue_destination_turn_over(&t, d[0], 10000, 19));     /* nothing else is due */
    assert_false(queue_destination_turn_over(&t, d[n - 1], 100, 30));   /* it has only begun */
    queue_destination_waits(&t, SPAN("new.test"), 25);
    for (unsigned i = 0; i < 2 * n; i++) { /* sessions end one by one */
        unsigned k = i % n;
        bool over = queue_destination_turn_over(&t, d[k], 1000, 30);
        if (!over) /* its own destination is the first that waits */
            continue;
        queue_destination_end(&t, d[k]);
        d[k] = begin(30);
        assert_non_null(d[k]);
        if (strcmp(d[k]->domain, "new.test") == 0)
            return;
        queue_destination_leased(&t, d[k], 40);
    }
    fail_msg("new.test never had a session");
}

/* Those of which nothing was ever heard leave room for others. */
static void many_that_do_not_answer_leave_room(void **state)
{
    struct queue_destination *d;
    char name[20];
    unsigned n = 0, most = (unsigned)LIMIT(RELAY_SESSIONS);
    for (unsigned i = 0; i < most * 6 / 10; i++) {
        snprintf(name, sizeof name, "mute%u.test", i);
        queue_destination_waits(&t, span_z(name), 0);
    }
    while ((d = begin(10)) != NULL) {
        queue_destination_leased(&t, d, 0); /* and much more is due */
        n++;
    }
    assert_true(n < most * 9 / 10);
    assert_true(next > 10); /* it is tried again later whether there is room for a second one */
    queue_destination_waits(&t, SPAN("live.test"), 10);
    d = begin(10);
    assert_non_null(d);
    assert_string_equal(d->domain, "live.test");
    queue_destination_leased(&t, d, 0);
    queue_destination_good(&t, d);
    assert_ptr_equal(begin(10), d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_grow_to_a_limit_and_scatter),
        cmocka_unit_test(hops),
        cmocka_unit_test(the_closest_route_wins),
        cmocka_unit_test(special_addresses),
        cmocka_unit_test_setup_teardown(nothing_starts_before_its_time, start_over, end),
        cmocka_unit_test_setup_teardown(more_sessions_start_while_more_is_due_up_to_the_window, start_over, end),
        cmocka_unit_test_setup_teardown(a_dead_one_is_left_alone_and_then_asked_by_one_session, start_over, end),
        cmocka_unit_test_setup_teardown(a_dead_one_does_not_hold_up_a_live_one, start_over, end),
        cmocka_unit_test_setup_teardown(there_is_a_most_of_all_sessions, start_over, end),
        cmocka_unit_test_setup_teardown(when_all_are_taken_destinations_have_turns, start_over, end),
        cmocka_unit_test_setup_teardown(many_that_do_not_answer_leave_room, start_over, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
