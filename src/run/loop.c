/* The loop. A turn: one epoll_wait for many events, their callbacks, timers that are due, calls from other threads,
 * ready coroutines, and then the hooks, which send in one piece what all of these have gathered. */
#include "run/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "run/coro_loop.h"

enum { EVENTS_PER_TURN = 256 };
enum { TEST_CLOCK_MS = 50 }; /* a test clock jumps without waking anybody: look at it this often */

static int epoll_fd = -1, wake_fd = -1;
static struct heap timers;
static struct list hooks = {&hooks, &hooks};
static bool stopping;

/* Events of this turn that are not yet handled: events[next_event .. n_events). */
static struct epoll_event events[EVENTS_PER_TURN];
static int next_event, n_events;

/* Newest first; taken as a whole. `sleeping` tells posters whether the loop must be woken. */
static _Atomic(struct loop_post *) posted;
static atomic_bool sleeping;

int loop_init(void)
{
    heap_init(&timers);
    stopping = false;
    /* A peer that went away is an error of one write, not the end of the role; OpenSSL writes without MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Edge-triggered: each write is an edge of its own, so the counter need never be read. */
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (epoll_fd < 0 || wake_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &ev) != 0) {
        int e = errno;
        loop_done();
        errno = e;
        return -1;
    }
    return 0;
}

void loop_done(void)
{
    if (epoll_fd >= 0)
        close(epoll_fd);
    if (wake_fd >= 0)
        close(wake_fd);
    epoll_fd = wake_fd = -1;
    heap_done(&timers);
    coro_drop_stacks();
}

/* ---- descriptors ---- */

static int watch(struct loop_io *io, int what, bool writing)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (writing ? EPOLLOUT : 0), .data.ptr = io};
    return epoll_ctl(epoll_fd, what, io->fd, &ev);
}

int loop_watch(struct loop_io *io)
{
    io->dead = false;
    return watch(io, EPOLL_CTL_ADD, !io->quiet);
}

void loop_wait_write(struct loop_io *io, bool on)
{
    if (!io->dead)
        watch(io, EPOLL_CTL_MOD, on);
}

void loop_unwatch(struct loop_io *io)
{
    if (io->dead)
        return;
    io->dead = true;
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    for (int i = next_event; i < n_events; i++) /* its owner may free it now, and it may have events in this turn */
        if (events[i].data.ptr == io)
            events[i].data.ptr = NULL;
}

static void handle(const struct epoll_event *ev)
{
    struct loop_io *io = ev->data.ptr;
    if (io == NULL)
        return;
    unsigned what = 0;
    if (ev->events & EPOLLIN)
        what |= LOOP_READ;
    if (ev->events & EPOLLOUT)
        what |= LOOP_WRITE;
    if (ev->events & EPOLLRDHUP)
        what |= LOOP_READ | LOOP_HUP;
    if (ev->events & (EPOLLHUP | EPOLLERR))
        what |= LOOP_READ | LOOP_WRITE | LOOP_HUP; /* whoever waits shall try, and see the error */
    io->ready(io, what);
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *t, void (*fire)(struct loop_timer *))
{
    *t = (struct loop_timer){.fire = fire};
}

void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms)
{
    heap_move(&timers, &t->node, at_mono_ms);
}

void loop_timer_clear(struct loop_timer *t)
{
    heap_remove(&timers, &t->node);
}

static void fire_timers(void)
{
    int64_t now = clock_mono_ms();
    for (size_t most = timers.n; most > 0; most--) { /* one that sets itself to "now" again waits for the next turn */
        struct heap_node *first = heap_first(&timers);
        if (first == NULL || first->key > now)
            return;
        heap_remove(&timers, first);
        struct loop_timer *t = CONTAINER_OF(first, struct loop_timer, node);
        t->fire(t);
    }
}

/* ---- the end of the turn ---- */

void loop_turn_end(struct loop_hook *h)
{
    if (!list_linked(&h->node))
        list_push(&hooks, &h->node);
}

static void run_hooks(void)
{
    struct list now;
    list_init(&now);
    for (struct list *n; (n = list_shift(&hooks)) != NULL;)
        list_push(&now, n);
    for (struct list *n; (n = list_shift(&now)) != NULL;) {
        struct loop_hook *h = LIST_ITEM(n, struct loop_hook, node);
        h->run(h);
    }
}

/* ---- calls from other threads ---- */

void loop_post(struct loop_post *p)
{
    p->next = atomic_load(&posted);
    while (!atomic_compare_exchange_weak(&posted, &p->next, p))
        ;
    /* Either the loop sees p after it has said that it sleeps, or we see that it sleeps: both orders are total. */
    if (atomic_exchange(&sleeping, false)) {
        uint64_t one = 1;
        ssize_t r = write(wake_fd, &one, sizeof one);
        (void)r; /* full would mean 2^64 - 2 wakeups unread */
    }
}

static void run_posts(void)
{
    struct loop_post *newest = atomic_exchange(&posted, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct loop_post *p = newest;
        newest = p->next;
        p->next = oldest;
        oldest = p;
    }
    while (oldest != NULL) {
        struct loop_post *p = oldest;
        oldest = p->next; /* first: run may free p or post it again */
        p->run(p);
    }
}

/* ---- turning ---- */

static int sleep_ms(void)
{
    if (coro_ready() || !list_empty(&hooks))
        return 0;
    int64_t ms = clock_is_test() ? TEST_CLOCK_MS : INT32_MAX;
    struct heap_node *first = heap_first(&timers);
    if (first == NULL)
        return ms == INT32_MAX ? -1 : (int)ms;
    int64_t now = clock_mono_ms();
    return first->key <= now ? 0 : (int)MIN_OF(ms, first->key - now);
}

static void turn(void)
{
    int ms = sleep_ms();
    if (ms != 0) {
        atomic_store(&sleeping, true);
        if (atomic_load(&posted) != NULL)
            ms = 0;
    }
    n_events = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, ms);
    atomic_store(&sleeping, false);
    if (n_events < 0 && errno != EINTR)
        base_die("epoll_wait");
    for (next_event = 0; next_event < n_events;)
        handle(&events[next_event++]);
    n_events = 0;
    fire_timers();
    run_posts();
    coro_run_ready();
    run_hooks();
}

void loop_run(void)
{
    do
        turn();
    while (!stopping);
    stopping = false;
}

void loop_stop(void)
{
    stopping = true;
}
