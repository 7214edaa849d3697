/* Tests of the loop: descriptors, timers, hooks, calls from other threads, the work pool. */
#include "run/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/coro.h"
#include "run/work.h"

static int set_up(void **state)
{
    return loop_init();
}

static int tear_down(void **state)
{
    loop_done();
    return 0;
}

/* ---- timers ---- */

struct tick {
    struct loop_timer timer;
    int64_t due, fired;
    int again;
};

static int order[8], n_fired;

static void tick_fired(struct loop_timer *t)
{
    struct tick *k = CONTAINER_OF(t, struct tick, timer);
    k->fired = clock_mono_ms();
    assert_true(k->fired >= k->due);
    order[n_fired++] = (int)k->due;
    if (k->again-- > 0)
        loop_timer_set(t, clock_mono_ms()); /* due at once: must not keep the turn for itself */
    else if (n_fired == 4)
        loop_stop();
}

static void test_timers(void **state)
{
    struct tick a = {.due = 30}, b = {.due = 10, .again = 1}, c = {.due = 20}, never = {.due = 0};
    struct tick *all[] = {&a, &b, &c, &never};
    int64_t now = clock_mono_ms();
    n_fired = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        loop_timer_init(&all[i]->timer, tick_fired);
        all[i]->due += now;
        loop_timer_set(&all[i]->timer, now + 5);
        loop_timer_set(&all[i]->timer, all[i]->due); /* replaces */
    }
    loop_timer_clear(&never.timer);
    loop_timer_clear(&never.timer);
    loop_run();
    assert_int_equal(n_fired, 4);
    const int want[] = {(int)b.due, (int)b.due, (int)c.due, (int)a.due};
    assert_memory_equal(order, want, sizeof want);
    assert_int_equal(never.fired, 0);
}

/* ---- descriptors ---- */

struct end {
    struct loop_io io;
    unsigned seen;
    struct end *other; /* freed from within ready */
    int calls;
};

static void end_ready(struct loop_io *io, unsigned events)
{
    struct end *e = CONTAINER_OF(io, struct end, io);
    e->seen |= events;
    e->calls++;
    if (e->other != NULL) {
        loop_unwatch(&e->other->io);
        close(e->other->io.fd);
        free(e->other); /* if its event of this turn were still delivered, ASan would tell */
        e->other = NULL;
    }
}

static void stop_fired(struct loop_timer *t)
{
    loop_stop();
}

static void run_for(int64_t ms)
{
    struct loop_timer t;
    loop_timer_init(&t, stop_fired);
    loop_timer_set(&t, clock_mono_ms() + ms);
    loop_run();
}

static void test_events(void **state)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct end e = {.io = {.fd = fd[0], .ready = end_ready}};
    assert_int_equal(loop_watch(&e.io), 0);
    run_for(5);
    assert_int_equal(e.seen, LOOP_WRITE);
    assert_int_equal(write(fd[1], "x", 1), 1);
    e.seen = 0;
    run_for(5);
    assert_true(e.seen & LOOP_READ);
    assert_false(e.seen & LOOP_HUP);
    e.seen = 0;
    run_for(5);
    assert_int_equal(e.seen, 0); /* edges, not levels */
    assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
    run_for(5);
    assert_int_equal(e.seen & (LOOP_READ | LOOP_HUP), LOOP_READ | LOOP_HUP);
    loop_unwatch(&e.io);
    loop_unwatch(&e.io);
    e.seen = 0;
    close(fd[1]);
    run_for(5);
    assert_int_equal(e.seen, 0);
    close(fd[0]);
}

/* Of a quiet one nothing is told when its peer reads, but when somebody waits for room. */
static void test_quiet(void **state)
{
    int fd[2];
    char room[4096] = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct end a = {.io = {.fd = fd[0], .ready = end_ready, .quiet = true}};
    assert_int_equal(loop_watch(&a.io), 0);
    assert_int_equal(send(fd[0], room, sizeof room, 0), sizeof room);
    assert_int_equal(read(fd[1], room, sizeof room), sizeof room);
    run_for(5);
    assert_int_equal(a.seen & LOOP_WRITE, 0);
    while (send(fd[0], room, sizeof room, 0) > 0)
        continue;
    loop_wait_write(&a.io, true);
    run_for(5);
    assert_int_equal(a.seen & LOOP_WRITE, 0);
    while (read(fd[1], room, sizeof room) > 0)
        continue;
    run_for(5);
    assert_int_equal(a.seen & LOOP_WRITE, LOOP_WRITE);
    a.seen = 0;
    loop_wait_write(&a.io, false);
    run_for(5);
    assert_int_equal(a.seen & LOOP_WRITE, 0);
    loop_wait_write(&a.io, true); /* there is room already */
    run_for(5);
    assert_int_equal(a.seen & LOOP_WRITE, LOOP_WRITE);
    loop_unwatch(&a.io);
    close(fd[0]);
    close(fd[1]);
}

static void test_unwatch_in_turn(void **state)
{
    int a[2], b[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    struct end *x = base_alloc(sizeof *x), *y = base_alloc(sizeof *y);
    x->io = (struct loop_io){.fd = a[0], .ready = end_ready};
    y->io = (struct loop_io){.fd = b[0], .ready = end_ready};
    x->other = y;
    assert_int_equal(loop_watch(&x->io), 0); /* both have an event in the first turn, x first */
    assert_int_equal(loop_watch(&y->io), 0);
    run_for(5);
    assert_null(x->other);
    assert_int_equal(x->calls, 1);
    loop_unwatch(&x->io);
    close(a[0]);
    close(a[1]);
    close(b[1]);
    free(x);
}

/* ---- hooks ---- */

struct count_hook {
    struct loop_hook hook;
    int runs;
};

static void hook_run(struct loop_hook *h)
{
    struct count_hook *c = CONTAINER_OF(h, struct count_hook, hook);
    if (++c->runs == 1)
        loop_turn_end(h); /* from a hook: at the end of the next turn */
    else
        loop_stop();
}

static void test_hooks(void **state)
{
    struct count_hook h = {.hook.run = hook_run};
    loop_turn_end(&h.hook);
    loop_turn_end(&h.hook); /* again = nothing */
    loop_run();
    assert_int_equal(h.runs, 2);
}

/* ---- posts ---- */

enum { POSTERS = 4, POSTS = 20000 };

struct numbered {
    struct loop_post post;
    int thread, number;
};

static struct numbered *numbers[POSTERS];
static int next_number[POSTERS], total;

static void number_run(struct loop_post *p)
{
    struct numbered *n = CONTAINER_OF(p, struct numbered, post);
    assert_int_equal(n->number, next_number[n->thread]++);
    if (++total == POSTERS * POSTS)
        loop_stop();
}

static void *poster(void *arg)
{
    int t = *(int *)arg;
    for (int i = 0; i < POSTS; i++) {
        numbers[t][i] = (struct numbered){.post.run = number_run, .thread = t, .number = i};
        loop_post(&numbers[t][i].post);
        if (i % 1000 == 0)
            usleep(500); /* so that the loop sleeps now and then */
    }
    return NULL;
}

static void test_posts(void **state)
{
    pthread_t thread[POSTERS];
    int t[POSTERS];
    total = 0;
    for (int i = 0; i < POSTERS; i++) {
        t[i] = i;
        next_number[i] = 0;
        numbers[i] = base_alloc(POSTS * sizeof *numbers[i]);
        assert_int_equal(pthread_create(&thread[i], NULL, poster, &t[i]), 0);
    }
    loop_run();
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(thread[i], NULL);
        free(numbers[i]);
    }
    assert_int_equal(total, POSTERS * POSTS);
}

/* ---- work ---- */

static int running, ended;
static pthread_t loop_thread;

static void square(void *arg)
{
    int *n = arg;
    if (pthread_equal(pthread_self(), loop_thread))
        abort();
    usleep(1000);
    *n *= *n;
}

static void use_work(void *arg)
{
    int n = *(int *)arg, want = n * n;
    work_run(square, &n);
    if (n != want)
        abort();
    ended++;
    if (--running == 0)
        loop_stop();
}

static void nudge(void *arg)
{
    struct coro **c = arg;
    for (int i = 0; i < 20; i++)
        coro_wake(c[i]);
    coro_cancel(c[3]); /* the work must not outlive the stack it writes to */
}

static void test_work_run(void **state)
{
    int n[20];
    struct coro *c[20];
    loop_thread = pthread_self();
    ended = 0;
    running = COUNT_OF(n);
    assert_int_equal(work_start(3), 0);
    for (size_t i = 0; i < COUNT_OF(n); i++) {
        n[i] = (int)i;
        c[i] = coro_start(use_work, &n[i]);
    }
    coro_start(nudge, c);
    loop_run();
    assert_int_equal(ended, 20);
    assert_int_equal(work_waiting(), 0);
    work_stop();
}

struct item {
    struct work_item w;
    int stage;
};

static void item_run(struct work_item *w)
{
    CONTAINER_OF(w, struct item, w)->stage = 1;
}

static void item_done(struct work_item *w)
{
    struct item *i = CONTAINER_OF(w, struct item, w);
    assert_int_equal(i->stage, 1);
    i->stage = 2;
    if (--running == 0)
        loop_stop();
}

static void test_work_submit(void **state)
{
    for (unsigned threads = 0; threads < 3; threads++) {
        struct item items[50];
        assert_int_equal(work_start(threads), 0);
        running = COUNT_OF(items);
        for (size_t i = 0; i < COUNT_OF(items); i++) {
            items[i] = (struct item){.w = {.run = item_run, .done = item_done}};
            work_submit(&items[i].w);
        }
        loop_run();
        for (size_t i = 0; i < COUNT_OF(items); i++)
            assert_int_equal(items[i].stage, 2);
        work_stop();
    }
}

/* Rounds: the order stands, and nothing runs beside another of its line. */
struct in_line {
    struct work_job j;
    unsigned number;
};

static unsigned line_ran, line_done;
static _Atomic int line_busy;

static void line_job_run(struct work_job *j)
{
    assert_int_equal(atomic_fetch_add(&line_busy, 1), 0);
    assert_int_equal(CONTAINER_OF(j, struct in_line, j)->number, line_ran++);
    atomic_fetch_sub(&line_busy, 1);
}

static struct in_line in_line[60];
static void line_job_done(struct work_job *j);
static struct work_line a_line = {.run = line_job_run, .done = line_job_done};

static void line_job_done(struct work_job *j)
{
    assert_int_equal(CONTAINER_OF(j, struct in_line, j)->number, line_done++);
    if (line_done % 2 == 0 && line_done / 2 + 29 < COUNT_OF(in_line)) /* more come while others run */
        work_line_add(&a_line, &in_line[line_done / 2 + 29].j);
    if (line_done == COUNT_OF(in_line) - 1)
        loop_stop();
}

static void test_work_line(void **state)
{
    for (unsigned threads = 0; threads < 3; threads++) {
        line_ran = line_done = 0;
        assert_int_equal(work_start(threads), 0);
        for (unsigned i = 0; i < COUNT_OF(in_line); i++)
            in_line[i] = (struct in_line){.number = i};
        for (unsigned i = 0; i < 30; i++)
            work_line_add(&a_line, &in_line[i].j);
        loop_run();
        assert_int_equal(line_done, COUNT_OF(in_line) - 1);
        work_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quiet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwatch_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hooks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_posts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_work_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_work_submit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_work_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
