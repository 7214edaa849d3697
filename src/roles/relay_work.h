/* relay_work: what a session of relay with one destination knows, for the two files that it is made of. */
#ifndef POSTEL_RELAY_WORK_H
#define POSTEL_RELAY_WORK_H

#include "roles/relay_note.h"
#include "roles/relay_out.h"

struct relay_note_link { struct relay_note_link *next; struct relay_note note; };

/* What was leased at once, and all that is told of it. */
struct relay_lease {
    struct arena mem;
    uint64_t epoch;                 /* relay_out.epoch of the store that gave it */
    uint64_t name;                  /* by which that store knows it */
    struct relay_note_link *notes;  /* told; perhaps not settled */
};

struct relay_work {
    struct queue_destination *d;
    int64_t began_ms;
    struct queue_hop hop;       /* where hosts and session lead; host.n 0: nowhere yet */
    char hop_host[256];
    struct relay_hosts hosts;
    bool looked_up;
    struct smtp_out out;
    char peer[128];             /* "mx.example.org [192.0.2.1]": that was asked last */
    const char *policy;         /* how the way to it must be protected: of struct relay_host */
    bool open;
    struct msg_queue_tried tried[8]; /* the first ones that were asked in vain, until a note tells of them; live in tried_mem */
    size_t n_tried;
    struct arena tried_mem;
    struct relay_lease leases[2]; /* in turn: results of the one are on their way while the other goes out */
    struct arena call;
};

/* One message and its recipients that are still to be told something. */
struct relay_job {
    struct relay_work *w;
    struct relay_lease *lease;
    const struct msg_queue_message *m;
    const struct msg_queue_rcpt **rows;
    struct smtp_out_rcpt *rcpts;
    bool *done;
    size_t n;
    struct smtp_out_rcpt *now;      /* those of this transaction, in order */
    const struct msg_queue_rcpt **now_rows;
    size_t n_now;
    struct smtp_out_mail mail;      /* of this transaction */
    struct relay_note *attempt;     /* the last one that was told; covers all that are not done */
    bool noted;                     /* one is durable: whoever asks the store, the message is ours */
    bool refused;                   /* the store did not take one: nothing may be told of the message */
};

/* relay_work.c: the connection. */
WAITS void relay_work_hang_up(struct relay_work *w);
/* Takes the way of the next message; keeps the session when it is the same one. 0, or -1 and *why: there is none. */
WAITS int relay_work_way(struct relay_work *w, const struct msg_queue_message *m, struct smtp_out_answer *why);
bool relay_work_same_way(const struct relay_work *w, const struct msg_queue_message *m); /* as the session that is open */
/* A session with the next host that gives one. 0, or -1 and *why: of the last host that was asked, the rest had none. */
WAITS int relay_work_host(struct relay_work *w, struct smtp_out_answer *why);

/* "TLSv1.3 ..., DANE"; without a session what it would have had to be. In out. */
struct span relay_work_protected(const struct relay_work *w, char out[160]);
/* For the message's story: this host did not take it, and another way is going to be tried. */
void relay_work_in_vain(struct relay_work *w, const struct smtp_out_answer *why);

/* relay_job.c: a message. */
void relay_job_init(struct relay_job *j, struct relay_work *w, struct relay_lease *lease, const struct msg_queue_lease_r *l,
                    const struct msg_queue_message *m);
/* Everybody of the message gets an answer, or all hosts were tried. next: what goes out behind it, or NULL: its attempt is
 * told already, so that its final dot need not wait. */
WAITS void relay_job_deliver(struct relay_job *j, struct relay_job *next);
/* It is not begun: what was leased goes back as it was. */
WAITS void relay_job_give_back(struct relay_job *j);
/* Is it still ours? The store that gave it may be gone. */
WAITS bool relay_job_ours(struct relay_job *j);
WAITS void relay_job_told(struct relay_lease *lease); /* all that was told of it is durable */

#endif
