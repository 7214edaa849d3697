/* loop: the event loop of a role: descriptors, timers, calls from other threads. One per process. */
#ifndef POSTEL_LOOP_H
#define POSTEL_LOOP_H

#include "base/heap.h"
#include "base/list.h"

#define LOOP_READ 1u
#define LOOP_WRITE 2u
#define LOOP_HUP 4u /* the peer closed or broke the connection; remembered with LOOP_READ (RDHUP and edge-triggering) */

/* A descriptor under watch, edge-triggered for reading and writing at once. `ready` runs in the loop thread, outside
 * coroutines, and must not block. Owned by the caller; remove before close(fd). */
struct loop_io {
    int fd;
    void (*ready)(struct loop_io *io, unsigned events);
    bool quiet; /* for writing only while loop_wait_write says so: a Unix socket wakes its writer at each read of the peer */
    bool dead; /* the loop's own: removed during this turn */
};

struct loop_timer {
    struct heap_node node;
    void (*fire)(struct loop_timer *t); /* in the loop thread; may set the timer again */
};

struct loop_hook {
    struct list node;
    void (*run)(struct loop_hook *h);
};

struct loop_post {
    struct loop_post *next;
    void (*run)(struct loop_post *p);
};

int loop_init(void);                      /* 0, or -1 with errno; once per process, before anything else here */
void loop_run(void);                      /* until loop_stop */
void loop_stop(void);                     /* ends loop_run after this turn */
void loop_done(void);                     /* for tests: frees what loop_init made */
int loop_watch(struct loop_io *io);       /* 0, or -1 with errno */
void loop_unwatch(struct loop_io *io);
void loop_wait_write(struct loop_io *io, bool on); /* of a quiet one; LOOP_WRITE comes at once when it can be written already */
void loop_timer_init(struct loop_timer *t, void (*fire)(struct loop_timer *));
void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms); /* replaces an earlier time */
void loop_timer_clear(struct loop_timer *t);
/* Runs h once at the end of the present turn, after all ready events (IPC flushes there). Again = nothing. */
void loop_turn_end(struct loop_hook *h);
/* From any thread: p->run(p) runs in the loop thread, in order. p belongs to the loop until then. */
void loop_post(struct loop_post *p);

#endif
