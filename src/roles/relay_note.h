/* relay_note: what the store has to know of attempts and results. All sessions tell it by one call at a time: what comes while
 * that is on its way goes with the next one. So a commit is shared as well as its message, and a session goes on meanwhile. */
#ifndef POSTEL_RELAY_NOTE_H
#define POSTEL_RELAY_NOTE_H

#include "base/list.h"
#include "run/ipc.h"

/* Attempts of one message, or results; place: where. Filled by its owner, who keeps it and all that it names until it is
 * settled. */
struct relay_note {
    struct list node;               /* in line */
    struct msg_queue_place place;
    struct msg_queue_tried *tried;  /* told before the rest */
    size_t n_tried;
    struct msg_queue_try *tries;    /* their place is set here */
    size_t n_tries;
    struct msg_queue_done *done;
    size_t n_done;
    uint64_t epoch;                 /* relay_out.epoch of the lease */
    bool ours;                      /* whatever store is there: it has an attempt of ours in writing */
    struct arena *mem;              /* text's */

    bool sent, settled;
    bool refused;                   /* nothing may go out, or nobody wants to hear it */
    struct span text;               /* the whole message, when it came with the answer */
    struct coro *waiter;
};

void relay_note_put(struct relay_note *n);
/* Until it is durable or refused. While this server stops, a store that does not answer refuses. */
WAITS void relay_note_wait(struct relay_note *n);

#endif
