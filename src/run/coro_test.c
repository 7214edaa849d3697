/* Tests of coroutines, their waits and their order. */
#include "run/coro.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "base/clock.h"
#include "base/limits.h"
#include "run/coro_loop.h"
#include "run/coro_stack.h"
#include "run/coro_testing.h"
#include "run/loop.h"

static char trail[256]; /* what happened, a letter each */

static void mark(char c)
{
    size_t n = strlen(trail);
    CHECK(n + 1 < sizeof trail);
    trail[n] = c;
    trail[n + 1] = 0;
}

static int set_up(void **state)
{
    trail[0] = 0;
    return loop_init();
}

static int tear_down(void **state)
{
    loop_done();
    return coro_count() == 0 ? 0 : -1;
}

/* Ends loop_run once the last coroutine of a test has ended. */
static void stop_if_last(void)
{
    if (coro_count() == 1)
        loop_stop();
}

/* ---- order ---- */

static void walk(void *arg)
{
    char c = *(const char *)arg;
    for (int i = 0; i < 3; i++) {
        mark((char)(c + i));
        CHECK(coro_yield() == WAIT_OK);
    }
    stop_if_last();
}

static void test_fifo(void **state)
{
    assert_null(coro_self());
    assert_non_null(coro_start(walk, (void *)"a"));
    assert_non_null(coro_start(walk, (void *)"k"));
    assert_non_null(coro_start(walk, (void *)"t"));
    assert_int_equal(coro_count(), 3);
    assert_string_equal(trail, ""); /* start runs nothing yet */
    loop_run();
    assert_string_equal(trail, "aktblucmv");
}

/* ---- wake ---- */

static struct coro *sleeper;

static void sleep_for_wake(void *arg)
{
    mark('s');
    CHECK(coro_wait(clock_mono_ms() + 60000) == WAIT_OK);
    mark('w');
    CHECK(coro_wait(clock_mono_ms() + 60000) == WAIT_OK);
    mark('W');
    stop_if_last();
}

static void wake_twice(void *arg)
{
    coro_wake(coro_self()); /* does not wait: nothing */
    coro_wake(sleeper);
    coro_wake(sleeper); /* no longer waits: not counted */
    mark('1');          /* wake only marks */
    CHECK(coro_yield() == WAIT_OK);
    CHECK(coro_yield() == WAIT_OK);
    mark('2');
    coro_wake(sleeper);
    stop_if_last();
}

static void test_wake(void **state)
{
    sleeper = coro_start(sleep_for_wake, NULL);
    coro_start(wake_twice, NULL);
    loop_run();
    assert_string_equal(trail, "s1w2W");
}

/* ---- deadlines ---- */

static void sleep_ms(void *arg)
{
    int64_t ms = *(const int64_t *)arg, began = clock_mono_ms();
    CHECK(coro_sleep(ms) == WAIT_TIMEOUT);
    CHECK(clock_mono_ms() - began >= ms);
    mark((char)('0' + ms / 10));
    stop_if_last();
}

static void test_deadline_order(void **state)
{
    static const int64_t ms[] = {40, 10, 30, 20, 0};
    for (size_t i = 0; i < COUNT_OF(ms); i++)
        coro_start(sleep_ms, (void *)&ms[i]);
    loop_run();
    assert_string_equal(trail, "01234");
}

/* The timer of an earlier wait must neither end a later one nor be needed by it. */
static void wait_again(void *arg)
{
    int64_t now = clock_mono_ms();
    CHECK(coro_wait(now + 20) == WAIT_OK); /* woken by the other one */
    CHECK(coro_wait(now + 60) == WAIT_TIMEOUT);
    CHECK(clock_mono_ms() >= now + 60);
    now = clock_mono_ms();
    CHECK(coro_wait(now + 500) == WAIT_OK);
    CHECK(coro_wait(now + 30) == WAIT_TIMEOUT); /* sooner than the timer that still stands */
    CHECK(clock_mono_ms() < now + 400);
    stop_if_last();
}

static void wake_at_times(void *arg)
{
    coro_wake(sleeper);
    CHECK(coro_sleep(80) == WAIT_TIMEOUT);
    coro_wake(sleeper);
    stop_if_last();
}

static void test_deadline_moves(void **state)
{
    sleeper = coro_start(wait_again, NULL);
    coro_start(wake_at_times, NULL);
    loop_run();
}

static struct clock_page page;

static void sleep_an_hour(void *arg)
{
    int64_t began = clock_mono_us();
    CHECK(coro_sleep(3600000) == WAIT_TIMEOUT);
    CHECK(clock_mono_us() - began < 5000000);
    loop_stop();
}

static void jump(void *arg)
{
    CHECK(coro_sleep(10) == WAIT_TIMEOUT);
    atomic_fetch_add(&page.mono_offset_ms, 3600000);
}

static void test_clock_jump(void **state)
{
    clock_use_page(&page);
    coro_start(sleep_an_hour, NULL);
    coro_start(jump, NULL);
    loop_run();
    clock_use_page(NULL);
}

/* ---- cancel ---- */

static void be_cancelled(void *arg)
{
    CHECK(!coro_cancelled());
    CHECK(coro_wait(CORO_FOREVER) == WAIT_CANCELLED);
    CHECK(coro_cancelled());
    CHECK(coro_wait(CORO_FOREVER) == WAIT_CANCELLED);
    CHECK(coro_sleep(100000) == WAIT_CANCELLED);
    CHECK(coro_yield() == WAIT_CANCELLED);
    struct waitq q;
    waitq_init(&q);
    CHECK(waitq_wait(&q, CORO_FOREVER) == WAIT_CANCELLED);
    CHECK(list_empty(&q.waiters));
    CHECK(coro_wait_sure() == WAIT_OK);
    mark('e');
    stop_if_last();
}

static void cancel_it(void *arg)
{
    coro_cancel(sleeper);
    coro_cancel(sleeper);
    CHECK(coro_yield() == WAIT_OK);
    mark('y');
    coro_cancel(sleeper); /* in coro_wait_sure */
    CHECK(coro_yield() == WAIT_OK);
    mark('z');
    coro_wake(sleeper);
    stop_if_last();
}

static void test_cancel(void **state)
{
    sleeper = coro_start(be_cancelled, NULL);
    coro_start(cancel_it, NULL);
    loop_run();
    assert_string_equal(trail, "yze");
}

static void born_cancelled(void *arg)
{
    CHECK(coro_wait(CORO_FOREVER) == WAIT_CANCELLED);
    loop_stop();
}

static void test_cancel_before_start(void **state)
{
    coro_cancel(coro_start(born_cancelled, NULL));
    loop_run();
}

/* ---- queues ---- */

static struct waitq queue;

struct waiter {
    char name;
    int64_t ms;
    int want;
    struct coro *c;
};

static void stand_in_line(void *arg)
{
    struct waiter *w = arg;
    CHECK(waitq_wait(&queue, w->ms == 0 ? CORO_FOREVER : clock_mono_ms() + w->ms) == w->want);
    mark(w->name);
    stop_if_last();
}

static void serve_line(void *arg)
{
    struct waiter *w = arg;
    waitq_wake_one(&queue);
    CHECK(coro_yield() == WAIT_OK);
    mark('|');
    /* b times out and d is cancelled in the same turn as a wake: the wake must go to c, who still waits. */
    CHECK(coro_sleep(30) == WAIT_TIMEOUT);
    coro_cancel(w[3].c);
    waitq_wake_one(&queue);
    CHECK(coro_yield() == WAIT_OK);
    mark('|');
    waitq_wake_all(&queue);
    waitq_wake_all(&queue);
    waitq_wake_one(&queue);
    CHECK(list_empty(&queue.waiters));
    stop_if_last();
}

static void test_waitq(void **state)
{
    struct waiter w[] = {{'a', 0, WAIT_OK}, {'b', 10, WAIT_TIMEOUT}, {'c', 0, WAIT_OK}, {'d', 0, WAIT_CANCELLED},
                         {'e', 0, WAIT_OK}, {'f', 0, WAIT_OK}};
    waitq_init(&queue);
    for (size_t i = 0; i < COUNT_OF(w); i++)
        w[i].c = coro_start(stand_in_line, &w[i]);
    coro_start(serve_line, w);
    loop_run();
    assert_string_equal(trail, "a|bdc|ef");
}

/* ---- stacks and numbers ---- */

static size_t resident(void)
{
    unsigned long size = 0, rss = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &size, &rss), 2);
    fclose(f);
    return rss * (size_t)sysconf(_SC_PAGESIZE);
}

static void park(void *arg)
{
    CHECK(coro_wait(CORO_FOREVER) == WAIT_CANCELLED);
    stop_if_last();
}

enum { PARKED = 10000 };

static void release_all(void *arg)
{
    struct coro **c = arg;
    for (size_t i = 0; i < PARKED; i++)
        coro_cancel(c[i]);
    stop_if_last();
}

static size_t rss_before;

static void measure(void *arg)
{
    printf("%d parked coroutines: %zu bytes resident each\n", PARKED, (resident() - rss_before) / PARKED);
    release_all(arg);
}

static void test_many(void **state)
{
    struct coro **c = base_alloc(PARKED * sizeof *c);
    rss_before = resident();
    for (size_t i = 0; i < PARKED; i++)
        assert_non_null(c[i] = coro_start(park, NULL));
    coro_start(measure, c);
    loop_run();
    free(c);
    assert_int_equal(coro_count(), 0);
}

static void test_limit(void **state)
{
    int64_t kept = limit_value[LIMIT_SESSIONS];
    limit_value[LIMIT_SESSIONS] = 10;
    struct coro *c[1010];
    for (size_t i = 0; i < COUNT_OF(c); i++)
        assert_non_null(c[i] = coro_start(park, NULL));
    assert_null(coro_start(park, NULL));
    for (size_t i = 0; i < COUNT_OF(c); i++)
        coro_cancel(c[i]);
    loop_run();
    limit_value[LIMIT_SESSIONS] = kept;
}

static size_t touch(size_t deep)
{
    volatile char frame[4096];
    memset((void *)frame, (int)deep, sizeof frame);
    return deep == 0 ? (size_t)frame[7] : touch(deep - 1) + (size_t)frame[9];
}

/* Floating point control, deep frames, trim: a stack is as good as any other. */
static void use_stack(void *arg)
{
    size_t want = touch(10);
    double third = 1.0 / *(double *)arg;
    for (int i = 0; i < 5; i++) {
        CHECK(coro_yield() == WAIT_OK);
        coro_trim();
        CHECK(touch(10) == want);
        CHECK(third == 1.0 / *(double *)arg);
    }
    stop_if_last();
}

static void test_stacks(void **state)
{
    double d[200];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(d); i++) {
            d[i] = (double)(i + 3);
            coro_start(use_stack, &d[i]);
        }
        loop_run();
    }
}

enum { SWITCHES = 1000000 };

static void ping(void *arg)
{
    for (int i = 0; i < SWITCHES / 2; i++) {
        coro_wake(sleeper);
        CHECK(coro_wait(CORO_FOREVER) != WAIT_TIMEOUT);
    }
    *(bool *)arg = true;
    coro_wake(sleeper);
    stop_if_last();
}

static bool ping_over;
static struct coro *pinger;

static void pong(void *arg)
{
    while (!ping_over) {
        CHECK(coro_wait(CORO_FOREVER) == WAIT_OK);
        if (!ping_over) /* else it has ended and is freed */
            coro_wake(pinger);
    }
    stop_if_last();
}

static void test_speed(void **state)
{
    ping_over = false;
    sleeper = coro_start(pong, NULL);
    pinger = coro_start(ping, &ping_over);
    int64_t began = clock_mono_us();
    loop_run();
    printf("%d waits and wakes: %.0f ns each, the loop's turns included\n", SWITCHES,
           (double)(clock_mono_us() - began) * 1000 / SWITCHES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadline_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock_jump, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_before_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waitq, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_speed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
