/* coro: stackful coroutines of one loop thread, and the ways to wait in one
 * (doc/architecture.md). Exports waitq_* too. */
#ifndef POSTEL_CORO_H
#define POSTEL_CORO_H

#include "base/base.h"
#include "base/list.h"

struct coro;
typedef void coro_fn(void *arg);

/* What a wait came to. Every WAITS function that returns int gives 0 or one of these, unless it says otherwise. */
enum wait_result {
    WAIT_OK = 0,
    WAIT_TIMEOUT = -1,   /* the deadline came first */
    WAIT_CANCELLED = -2, /* coro_cancel: clean up and return; later waits fail at once too */
    WAIT_CLOSED = -3,    /* the other end is gone (end of file, reset, TLS error) */
};

#define CORO_FOREVER INT64_MAX /* as deadline: only for the loop's own housekeeping, never for a peer */

/* Starts fn(arg) on a stack of its own (64 KiB, guard page below), first run at the loop's next step. fn's return ends
 * it; the coroutine is freed by the loop. Returns NULL when no stack can be had (limit `sessions` plus 1,000). */
struct coro *coro_start(coro_fn *fn, void *arg);
struct coro *coro_self(void);                   /* NULL outside of coroutines */
void coro_wake(struct coro *c);                 /* makes its coro_wait return 0; nothing if it does not wait. Loop thread only */
void coro_cancel(struct coro *c);               /* its present and all later waits give WAIT_CANCELLED */
bool coro_cancelled(void);                      /* of the running coroutine */
size_t coro_count(void);                        /* alive now */

/* Sleeps until coro_wake, the deadline (clock_mono_ms) or cancel. Wakeups are not counted: check your condition again. */
WAITS int coro_wait(int64_t deadline_ms);
WAITS int coro_sleep(int64_t ms);               /* WAIT_TIMEOUT when the time has passed, else WAIT_CANCELLED */
WAITS int coro_yield(void);                     /* lets everybody else run once */
/* The same as coro_wait but not ended by cancel: for what must not be left half done (work_run uses it). */
WAITS int coro_wait_sure(void);

/* Several coroutines waiting for one condition, in order of arrival. */
struct waitq { struct list waiters; };
void waitq_init(struct waitq *q);
WAITS int waitq_wait(struct waitq *q, int64_t deadline_ms);
void waitq_wake_one(struct waitq *q);
void waitq_wake_all(struct waitq *q);

#endif
