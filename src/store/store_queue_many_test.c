/* Tests of a queue that holds much: opening it, leases, a domain's resume in steps. */
#include "store/store_queue_testing.h"

#include <sqlite3.h>

static bool heavy(void)
{
    const char *all = getenv("POSTEL_CHECK_ALL");
    return all != NULL && strcmp(all, "yes") == 0;
}

/* What only the file itself can be made to hold; the store is closed meanwhile. */
static void change(const char *statements)
{
    char path[200];
    sqlite3 *db;
    store_close(s);
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, statements, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* n recipients beside the one that is there, a tenth of them of dead.test, the rest of a thousand domains. Leaves the store closed. */
static void fill(unsigned n)
{
    char text[1500];
    snprintf(text, sizeof text,
             "PRAGMA synchronous=OFF; BEGIN; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %u)"
             " INSERT INTO queue_rcpt SELECT m.qid + 10 + i, m.qid, 0, i %% 3, i %% 3, 0, 0, 0, 0, r.due_ms - i, r.expires_ms, 0,"
             " CAST(CASE WHEN i %% 10 = 0 THEN 'dead.test' ELSE 'd' || (i %% 1000) || '.test' END AS BLOB), r.address, x'', x'', 0, x'', x'', x''"
             " FROM c, queue_message m, queue_rcpt r; UPDATE queue_message SET rcpts = 10 + %u; UPDATE segment SET next_eid = next_eid + 20 + %u;"
             " COMMIT; PRAGMA wal_checkpoint(TRUNCATE);", n, n, n);
    change(text);
}

/* T17: so many recipients wait, a tenth of them for one dead domain: opening is quick, and a lease costs the same wherever. */
static void growth(void **state)
{
    unsigned n = heavy() ? 1000000 : 20000;
    send("first@live.test");
    fill(n);
    int64_t t0 = clock_mono_us();
    s = store_testing_open();
    store_on_ready(s, on_ready, NULL);
    struct msg_queue_domains_r d;
    uint64_t waiting = 0;
    struct span after = SPAN_NONE;
    do {
        OK(DO(queue_domains, RELAY, &d, .after = after));
        for (uint32_t i = 0; i < d.domains.n; i++)
            waiting += d.domains.v[i].waiting;
        after = d.domains.n > 0 ? d.domains.v[d.domains.n - 1].domain : after;
    } while (d.more != 0);
    int64_t t1 = clock_mono_us();
    assert_int_equal(waiting, n + 1);
    assert_true(t1 - t0 < 5000000);
    int64_t cost[2];
    for (int k = 0; k < 2; k++) { /* the dead domain's first, a live one's after it */
        int64_t from = clock_mono_us();
        struct msg_queue_lease_r l;
        for (int i = 0; i < 20; i++) {
            l = lease(k == 0 ? "dead.test" : "d7.test", 1, 1, RELAY);
            assert_int_equal(l.rcpts.n, 1);
        }
        cost[k] = (clock_mono_us() - from) / 20;
    }
    send("new@live.test");
    assert_int_equal(lease("live.test", 9, 9, RELAY).rcpts.n, 2);
    print_message("%u waiting: open and list %lld ms, a lease %lld us of the dead domain, %lld us of a live one\n", n,
                  (long long)(t1 - t0) / 1000, (long long)cost[0], (long long)cost[1]);
    assert_true(cost[0] < 20000 && cost[1] < 20000);
}

#define OF_DEAD " FROM queue_rcpt WHERE domain = CAST('dead.test' AS BLOB)"

static void older_by(int64_t ms, const int64_t before[2], unsigned n)
{
    assert_in_range(sql("SELECT min(expires_ms)" OF_DEAD) - before[0], ms, ms + 20000);
    assert_in_range(sql("SELECT max(expires_ms)" OF_DEAD) - before[0], ms, ms + 20000);
    assert_int_equal(sql("SELECT count(*)" OF_DEAD), n / 10);
    assert_int_equal(sql("SELECT max(expires_ms) FROM queue_rcpt WHERE domain <> CAST('dead.test' AS BLOB)"), before[1]);
    assert_int_equal(sql("SELECT count(*) FROM queue_suspended"), 0);
    assert_true(lease("dead.test", 1, 1, RELAY).rcpts.n == 1);
}

/* The time of its rest is given back to each recipient of the domain once, in several commits, whatever ends them in between. */
static void resumed_in_steps(void **state)
{
    struct msg_queue_suspend_r u;
    const unsigned n = 50000;
    send("first@live.test");
    fill(n);
    s = store_testing_open();
    int64_t before[2] = {sql("SELECT max(expires_ms)" OF_DEAD), sql("SELECT max(expires_ms) FROM queue_rcpt")};
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("dead.test"), .on = 1));
    pass(1000);
    uint64_t commits = atomic_load(&s->commits);
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("dead.test"), .on = 0));
    assert_in_range(atomic_load(&s->commits) - commits, 3, 10);
    assert_int_equal(u.waiting, n / 10);
    older_by(1000000, before, n);

    OK(DO(queue_suspend, 0, &u, .domain = SPAN("dead.test"), .on = 1));
    change("BEGIN; UPDATE queue_suspended SET until_ms = since_ms + 500000, done = (SELECT rid FROM queue_rcpt LIMIT 1 OFFSET 20000);"
           "UPDATE queue_rcpt SET expires_ms = expires_ms + 500000 WHERE domain = CAST('dead.test' AS BLOB)"
           " AND rid <= (SELECT done FROM queue_suspended); COMMIT");
    s = store_testing_open();
    pass(2000); /* it was broken off, and only now gone on with */
    assert_int_equal(lease("dead.test", 1, 1, RELAY).rcpts.n, 0);
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("dead.test"), .on = 0));
    older_by(3000000, before, n);
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("dead.test"), .on = 0)); /* goes on already: nothing changes */
    older_by(3000000, before, n);
}

int main(void)
{
#define Q(fn) cmocka_unit_test_setup_teardown(fn, queue_setup, teardown)
    const struct CMUnitTest tests[] = {Q(growth), Q(resumed_in_steps)};
    return cmocka_run_group_tests_name("store_queue_many", tests, NULL, NULL);
}
