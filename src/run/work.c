/* The pool: a queue under one lock, threads that take from its head, results that go back to the loop as posts. */
#include "run/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "run/coro.h"

enum { THREADS_MAX = 64 };
enum { THREAD_STACK = 1024 * 1024 }; /* counts against RLIMIT_DATA in scan */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct work_item *first, **last = &first;
static size_t waiting;
static bool ending;
static pthread_t threads[THREADS_MAX];
static unsigned n_threads;

static void finish(struct loop_post *p)
{
    struct work_item *w = CONTAINER_OF(p, struct work_item, post);
    w->done(w);
}

static struct work_item *take(void)
{
    pthread_mutex_lock(&lock);
    while (first == NULL && !ending)
        pthread_cond_wait(&more, &lock);
    struct work_item *w = first;
    if (w != NULL) {
        first = w->next;
        if (first == NULL)
            last = &first;
        waiting--;
    }
    pthread_mutex_unlock(&lock);
    return w;
}

static void *worker(void *arg)
{
    for (struct work_item *w; (w = take()) != NULL;) {
        w->run(w);
        loop_post(&w->post);
    }
    return NULL;
}

static int start_one(void)
{
    pthread_attr_t attr;
    int e = pthread_attr_init(&attr);
    if (e != 0)
        return e;
    e = pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (e == 0)
        e = pthread_create(&threads[n_threads], &attr, worker, NULL);
    pthread_attr_destroy(&attr);
    if (e == 0)
        n_threads++;
    return e;
}

int work_start(unsigned n)
{
    assert(n_threads == 0);
    ending = false;
    sigset_t all, before; /* signals are the loop thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = n > THREADS_MAX ? EINVAL : 0;
    while (e == 0 && n_threads < n)
        e = start_one();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e == 0)
        return 0;
    work_stop();
    errno = e;
    return -1;
}

void work_stop(void)
{
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    while (n_threads > 0)
        pthread_join(threads[--n_threads], NULL);
}

void work_submit(struct work_item *w)
{
    w->post.run = finish;
    w->next = NULL;
    if (n_threads == 0) { /* a role without a pool has nothing that blocks for long */
        w->run(w);
        loop_post(&w->post);
        return;
    }
    pthread_mutex_lock(&lock);
    *last = w;
    last = &w->next;
    waiting++;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
}

size_t work_waiting(void)
{
    pthread_mutex_lock(&lock);
    size_t n = waiting;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- one after another ---- */

static void line_run(struct work_item *w)
{
    struct work_line *l = CONTAINER_OF(w, struct work_line, item);
    for (struct work_job *j = l->running; j != NULL; j = j->next)
        l->run(j);
}

static void line_go(struct work_line *l);

static void line_done(struct work_item *w)
{
    struct work_line *l = CONTAINER_OF(w, struct work_line, item);
    struct work_job *j = l->running;
    l->running = NULL;
    for (struct work_job *next; j != NULL; j = next) {
        next = j->next;
        l->done(j);
    }
    line_go(l);
}

static void line_go(struct work_line *l)
{
    if (l->running != NULL || l->first == NULL)
        return;
    l->running = l->first;
    l->first = l->last = NULL;
    l->item.run = line_run;
    l->item.done = line_done;
    work_submit(&l->item);
}

void work_line_add(struct work_line *l, struct work_job *j)
{
    j->next = NULL;
    if (l->last != NULL)
        l->last->next = j;
    else
        l->first = j;
    l->last = j;
    line_go(l);
}

/* ---- from a coroutine ---- */

struct call {
    struct work_item item;
    void (*fn)(void *arg);
    void *arg;
    struct coro *caller;
    bool over;
};

static void call_run(struct work_item *w)
{
    struct call *c = CONTAINER_OF(w, struct call, item);
    c->fn(c->arg);
}

static void call_done(struct work_item *w)
{
    struct call *c = CONTAINER_OF(w, struct call, item);
    c->over = true;
    coro_wake(c->caller);
}

WAITS void work_run(void (*fn)(void *arg), void *arg)
{
    struct call c = {.item = {.run = call_run, .done = call_done}, .fn = fn, .arg = arg, .caller = coro_self()};
    if (c.caller == NULL || n_threads == 0) { /* before the loop runs there is nobody to let go on meanwhile */
        fn(arg);
        return;
    }
    work_submit(&c.item);
    while (!c.over) /* c lies on this stack: whoever else wakes us, we stay */
        coro_wait_sure();
}
