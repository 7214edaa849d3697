/* relay_out: mail on its way out: what the files of relay share about the queue, the hosts and the sessions. */
#ifndef POSTEL_RELAY_OUT_H
#define POSTEL_RELAY_OUT_H

#include "base/vec.h"
#include "queue/queue_address.h"
#include "queue/queue_destination.h"
#include "queue/queue_route.h"
#include "smtp/smtp_out.h"
#include "trust/mtasts_fetch.h"

struct relay_out {
    struct queue_destinations table;
    struct queue_routes routes;
    struct span helo;               /* our name */
    struct span user, password;     /* of the smart host */
    struct arena mem;               /* of the above, for good */
    size_t workers;                 /* coroutines with a session */
    uint64_t epoch;                 /* grows with each store that we meet: it knows no lease of the one before */
    bool stopping;
};
extern struct relay_out relay_out;

/* relay_out.c: reads the options; before the sandbox. */
int relay_out_prepare(struct fail *f);
void relay_out_begin(void);         /* asks store for its queue, now and whenever store is there again */
void relay_out_ready(const struct ipc_peer *peer, const void *in); /* a queue_ready */
void relay_out_peer(const struct ipc_peer *peer, struct ipc_chan *ch);
void relay_out_pump(void);          /* starts the sessions that may start */
void relay_out_stop(void);          /* no new ones; calls role_stopped when the last is over */
void relay_out_over(void);          /* a session is over */

/* relay_hosts.c */
struct relay_host {
    struct span name;               /* A-labels, or the literal */
    struct conn_addr addr;
    enum smtp_out_tls tls;
    struct tls_client_want verify;
    const char *policy;             /* why it is so: "DANE", "MTA-STS", "" */
};
struct relay_hosts {
    VEC(struct relay_host) v;
    size_t at;                      /* the next to try */
    struct arena mem;
};
/* The hosts to try for a hop, the best first, at most limit relay_hosts. 0, or -1 and *why: FAILED for good, or DEFERRED.
 * relay_hosts_done follows in any case. */
WAITS int relay_hosts_find(const struct queue_hop *hop, struct relay_hosts *out, struct smtp_out_answer *why);
void relay_hosts_done(struct relay_hosts *h);

/* relay_policies.c */
extern const struct mtasts_fetch_keeper relay_policies;

/* relay_work.c: a session with a destination, from its first lease to its end; a coroutine's function, arg: the struct
 * queue_destination that was begun for it. */
WAITS void relay_work_run(void *arg);

#endif
