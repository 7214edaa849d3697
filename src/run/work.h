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
size_t work_waiting(void);                          /* items not yet begun */

#endif
