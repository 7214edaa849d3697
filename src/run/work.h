/* work: a small pool of threads for what blocks: SQLite, files, PBKDF2. */
#ifndef POSTEL_WORK_H
#define POSTEL_WORK_H

#include "run/loop.h"

int work_start(unsigned threads);                   /* before the sandbox closes; 0 or -1 with errno */
void work_stop(void);                               /* waits for what runs */
/* fn(arg) on the pool; the coroutine sleeps until it is done, cancelled or not. fn touches only arg. */
WAITS void work_run(void (*fn)(void *arg), void *arg);

/* The same without a coroutine: run on the pool, then done in the loop thread. Owned by the caller until done. */
struct work_item {
    struct loop_post post;
    void (*run)(struct work_item *w);
    void (*done)(struct work_item *w);
    struct work_item *next;
};
void work_submit(struct work_item *w);

/* Jobs that go one after another, in their order: what comes while some run is the next round, one item of the pool. */
struct work_job { struct work_job *next; };
struct work_line {
    void (*run)(struct work_job *j);                /* on the pool */
    void (*done)(struct work_job *j);               /* then, in the loop thread; the job may go with it */
    struct work_item item;
    struct work_job *running, *first, *last;
};
void work_line_add(struct work_line *l, struct work_job *j);    /* owned by the caller until done */
size_t work_waiting(void);                          /* items not yet begun */

#endif
