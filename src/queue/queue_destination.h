/* queue_destination: what relay knows of each recipient domain: when it has something to send, how many sessions it may
 * take, how long it is left alone. Memory only: the queue itself is in the store, and tells it all again after a restart.
 *
 * Concurrency adapts as Postfix's SCHEDULER_README explains: it begins at relay_concurrency_first, grows by one when as
 * many messages as there are sessions went well in a row, shrinks by one with each session that could not be had. With
 * none left the destination is dead for a while, and one session at a time tries whether it is alive again.
 * When all sessions that there may be are taken, destinations have turns: a session ends after its share of time if another
 * destination waits for one. From a quarter of them on, one that was never heard of has a single session: many that do not
 * answer must not take them all.
 * Times are clock_mono_ms (REL-06).
 */
#ifndef POSTEL_QUEUE_DESTINATION_H
#define POSTEL_QUEUE_DESTINATION_H

#include "base/heap.h"
#include "base/map.h"

struct queue_destination {
    struct heap_node at;      /* in the heap while something is due and a session may start; key: when */
    char *domain;
    int64_t due_ms;           /* of the first that waits in the store and was not leased; INT64_MAX: nothing */
    int64_t dead_until_ms;    /* 0: alive */
    unsigned sessions;        /* running now */
    unsigned window;          /* sessions it may take at most */
    unsigned good;            /* messages that went well since the window changed */
    bool heard;               /* it has taken or refused a message since we know of it */
    unsigned failures;        /* in a row of sessions that could not be had, since one could */
};

struct queue_destinations {
    struct map by_domain;
    struct heap due;
    size_t sessions;          /* of all */
};

void queue_destination_init(struct queue_destinations *t);
void queue_destination_done(struct queue_destinations *t);

/* The store has something for `domain`, due at due_ms; earlier than what was known counts. */
void queue_destination_waits(struct queue_destinations *t, struct span domain, int64_t due_ms);
/* A destination for which a session may start now, counted as started: queue_destination_end must follow. NULL: none;
 * *next_ms: when to ask again (INT64_MAX: not before something changes). */
struct queue_destination *queue_destination_begin(struct queue_destinations *t, int64_t now_ms, int64_t *next_ms);
/* While a session runs: what is still due after its lease (INT64_MAX: nothing), so that others may start beside it. */
void queue_destination_leased(struct queue_destinations *t, struct queue_destination *d, int64_t due_ms);
/* A message was taken or refused for itself: the destination works. */
void queue_destination_good(struct queue_destinations *t, struct queue_destination *d);
/* Should a session of d that has lasted for so long end, for others wait for one? */
bool queue_destination_turn_over(const struct queue_destinations *t, const struct queue_destination *d, int64_t lasted_ms,
                                 int64_t now_ms);
/* No session could be had, or it broke. Returns when the destination is asked again. random: any number. */
int64_t queue_destination_bad(struct queue_destinations *t, struct queue_destination *d, int64_t now_ms, uint64_t random);
/* The session is over. d is forgotten when nothing is known of it any more. */
void queue_destination_end(struct queue_destinations *t, struct queue_destination *d);

#endif
