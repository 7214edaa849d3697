/* Coroutines. One thread, one list of those that could go on; the loop runs them one after the other, each until it
 * waits. A wait is a note in the coroutine (state, deadline) and a switch back to the loop; whoever ends it (coro_wake,
 * the timer, coro_cancel) only notes the result and puts it on the list, so nobody ever runs inside somebody else. */
#include "run/coro.h"

#include "base/clock.h"
#include "base/limits.h"
#include "run/coro_loop.h"
#include "run/coro_stack.h"
#include "run/coro_switch.h"
#include "run/loop.h"

#if CORO_STACK_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* What one coroutine wakes is run in the same turn, so that all of it shares one flush at the turn's end; but after
 * so many rounds descriptors and timers have their turn. */
enum { ROUNDS_PER_TURN = 4 };
enum { HOUSEKEEPING = 1000 }; /* coroutines beside the sessions */

enum state {
    READY,
    RUNNING,
    WAITING,
    WAITING_SURE, /* cancel does not end it */
    ENDED,
};

struct coro {
    struct coro_switch at;
    struct list node;        /* in `ready` or `yielded` */
    struct list queue;       /* in a waitq */
    struct loop_timer timer; /* may be set earlier than the deadline, see sleep_until */
    int64_t deadline;
    coro_fn *fn;
    void *arg;
    char *stack;
    void *fake; /* ASan's */
    enum state state;
    int result;
    bool cancelled;
};

static struct coro_switch loop_at;
static struct coro *self;
static size_t count;
static struct list ready = {&ready, &ready}, yielded = {&yielded, &yielded};

/* ---- switching ---- */

#if CORO_STACK_ASAN
static const void *loop_stack;
static size_t loop_stack_size;
static void *loop_fake;
#endif

static void leave(struct coro *c)
{
#if CORO_STACK_ASAN
    __sanitizer_start_switch_fiber(c->state == ENDED ? NULL : &c->fake, loop_stack, loop_stack_size);
#endif
    coro_switch_jump(&c->at, &loop_at);
#if CORO_STACK_ASAN
    __sanitizer_finish_switch_fiber(c->fake, &loop_stack, &loop_stack_size);
#endif
}

static void first(void)
{
#if CORO_STACK_ASAN
    __sanitizer_finish_switch_fiber(NULL, &loop_stack, &loop_stack_size);
#endif
    struct coro *c = self;
    c->fn(c->arg);
    c->state = ENDED;
    leave(c);
    base_die("an ended coroutine was run");
}

static void enter(struct coro *c)
{
    self = c;
    c->state = RUNNING;
#if CORO_STACK_ASAN
    __sanitizer_start_switch_fiber(&loop_fake, c->stack, CORO_STACK_BYTES);
#endif
    coro_switch_jump(&loop_at, &c->at);
#if CORO_STACK_ASAN
    __sanitizer_finish_switch_fiber(loop_fake, NULL, NULL);
#endif
    self = NULL;
    if (c->state != ENDED)
        return;
    loop_timer_clear(&c->timer);
    coro_stack_give(c->stack);
    free(c);
    count--;
}

static void move_all(struct list *from, struct list *to)
{
    for (struct list *n; (n = list_shift(from)) != NULL;)
        list_push(to, n);
}

bool coro_ready(void)
{
    return !list_empty(&ready) || !list_empty(&yielded);
}

void coro_run_ready(void)
{
    move_all(&yielded, &ready);
    for (int round = 0; round < ROUNDS_PER_TURN && !list_empty(&ready); round++) {
        struct list now;
        list_init(&now);
        move_all(&ready, &now);
        for (struct list *n; (n = list_shift(&now)) != NULL;)
            enter(LIST_ITEM(n, struct coro, node));
    }
}

/* ---- life ---- */

static void end_wait(struct coro *c, int result)
{
    c->state = READY;
    c->result = result;
    list_remove(&c->queue); /* at once: a wake of the queue must not be spent on one that timed out */
    list_push(&ready, &c->node);
}

static void timer_fired(struct loop_timer *t)
{
    struct coro *c = CONTAINER_OF(t, struct coro, timer);
    if (c->state != WAITING || c->deadline == CORO_FOREVER)
        return;
    if (c->deadline <= clock_mono_ms())
        end_wait(c, WAIT_TIMEOUT);
    else
        loop_timer_set(t, c->deadline);
}

struct coro *coro_start(coro_fn *fn, void *arg)
{
    if (count >= (size_t)LIMIT(SESSIONS) + HOUSEKEEPING)
        return NULL;
    char *stack = coro_stack_take();
    if (stack == NULL)
        return NULL;
    struct coro *c = base_alloc(sizeof *c);
    c->fn = fn;
    c->arg = arg;
    c->stack = stack;
    c->state = READY;
    loop_timer_init(&c->timer, timer_fired);
    coro_switch_make(&c->at, stack, CORO_STACK_BYTES, first);
    list_push(&ready, &c->node);
    count++;
    return c;
}

struct coro *coro_self(void)
{
    return self;
}

size_t coro_count(void)
{
    return count;
}

void coro_wake(struct coro *c)
{
    if (c->state == WAITING || c->state == WAITING_SURE)
        end_wait(c, WAIT_OK);
}

void coro_cancel(struct coro *c)
{
    c->cancelled = true;
    if (c->state == WAITING)
        end_wait(c, WAIT_CANCELLED);
}

bool coro_cancelled(void)
{
    return self->cancelled;
}

void coro_trim(void)
{
    if (self != NULL)
        coro_stack_trim(self->stack, __builtin_frame_address(0));
}

void coro_drop_stacks(void)
{
    coro_stack_drop_all();
}

/* ---- waiting ---- */

/* The timer stays set when a wait ends early, and is moved only to fire sooner: the next wait of a session usually has
 * a later deadline, and a timer that fires too soon sets itself again. So most waits do not touch the heap at all. */
static WAITS int sleep_until(enum state state, int64_t deadline_ms)
{
    struct coro *c = self;
    assert(c != NULL && "waits only inside a coroutine");
    c->deadline = deadline_ms;
    if (deadline_ms != CORO_FOREVER && (c->timer.node.at == 0 || c->timer.node.key > deadline_ms))
        loop_timer_set(&c->timer, deadline_ms);
    c->state = state;
    leave(c);
    return c->result;
}

WAITS int coro_wait(int64_t deadline_ms)
{
    if (self->cancelled)
        return WAIT_CANCELLED;
    return sleep_until(WAITING, deadline_ms);
}

WAITS int coro_wait_sure(void)
{
    return sleep_until(WAITING_SURE, CORO_FOREVER);
}

WAITS int coro_sleep(int64_t ms)
{
    int64_t deadline = clock_mono_ms() + ms;
    int r;
    do
        r = coro_wait(deadline);
    while (r == WAIT_OK); /* woken for something else */
    return r;
}

WAITS int coro_yield(void)
{
    struct coro *c = self;
    if (c->cancelled)
        return WAIT_CANCELLED;
    c->state = READY;
    c->result = WAIT_OK;
    list_push(&yielded, &c->node); /* behind the next look at descriptors: a loop of yields starves nobody */
    leave(c);
    return c->cancelled ? WAIT_CANCELLED : WAIT_OK;
}

void waitq_init(struct waitq *q)
{
    list_init(&q->waiters);
}

WAITS int waitq_wait(struct waitq *q, int64_t deadline_ms)
{
    if (self->cancelled)
        return WAIT_CANCELLED;
    list_push(&q->waiters, &self->queue);
    return coro_wait(deadline_ms); /* q is not looked at again: it may be gone */
}

void waitq_wake_one(struct waitq *q)
{
    if (!list_empty(&q->waiters))
        coro_wake(LIST_ITEM(q->waiters.next, struct coro, queue));
}

void waitq_wake_all(struct waitq *q)
{
    while (!list_empty(&q->waiters))
        waitq_wake_one(q);
}
