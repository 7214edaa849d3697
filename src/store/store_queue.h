/* store_queue: mail for elsewhere: rows that relay leases by destination, tries, and reports on.
 *
 * A message has a row (qid) with one reference to its blob, and a row per recipient (rid). Leases are in memory, each
 * bound to the start (boot) of the relay that asked; they end with its channel. An attempt is durable before the final dot
 * may go out: one that ends without a result is counted in maybe_sent and told as an event (REL-03). What fails makes a
 * row of queue_report in the same commit, and that row goes in the commit that brings the report: one each, whatever
 * crashes between. Operations are the structs of ipc_table.h; `account` of their store_write is the relay's boot.
 */
#ifndef POSTEL_STORE_QUEUE_H
#define POSTEL_STORE_QUEUE_H

#include "store/store.h"

/* How the remotes of an ingest go out, one for each in order, found out by the role: store_write.extra. */
struct store_queue_as {
    struct span sender;     /* the reverse-path, without <> */
    struct span report;     /* the address that gets reports; empty: nobody */
    struct span before;     /* header fields that go in front of what is forwarded ("Delivered-To: ...\r\n"), or empty */
    uint64_t account;       /* whose message it is, 0: nobody's */
    uint32_t flags;         /* enum envelope_flag */
};

/* A report that is made: its row goes with the ingest that brings it. */
struct store_queue_done { uint64_t rid; uint32_t action; };

/* What an ingest brings beside its message. */
struct store_extra {
    const struct store_queue_as *as;    /* of each remote; NULL without remotes */
    struct store_queue_as notes;        /* of msg_ingest.notes */
    uint64_t sender;                    /* the account whose sending is counted, 0: nobody's */
    struct span keywords;               /* of its emails, separated by a space */
    const struct store_queue_done *done;
    size_t n_done;
    uint64_t about;                     /* qid that these reports are about */
};

/* Writes of our own beside those of enum msg_id: ids of a store_write. */
enum {
    STORE_QUEUE_PEER = MSG_ID_COUNT + 8, /* account: the boot of the relay that is there now, 0: none; others' attempts end */
    STORE_QUEUE_LATER,                   /* account: a qid whose reports cannot be made now */
    STORE_QUEUE_UNTOLD,                  /* account: a qid whose reports nobody is there to get */
    STORE_QUEUE_TIDY,                    /* ends holds, and what waited too long; every half minute */
};

/* Called in the committer thread after a commit that gives domains something to do earlier than was told before. */
typedef void store_ready_fn(void *arg, const struct msg_queue_ready *v, size_t n);
void store_on_ready(struct store *s, store_ready_fn *fn, void *arg);
/* Called in the committer thread after a commit that made reports necessary. */
void store_on_report(struct store *s, void (*fn)(void *arg), void *arg);

/* ---- reads, as in store.h ---- */

int store_queue_read(struct store *s, const struct msg_queue_read *in, struct msg_queue_read_r *out, struct arena *mem,
                     struct fail *f);
int store_queue_list(struct store *s, const struct msg_queue_list *in, struct msg_queue_list_r *out, struct arena *mem,
                     struct fail *f);
int store_send_check(struct store *s, uint64_t account, const struct msg_send_check *in, struct msg_send_check_r *out,
                     struct fail *f);
int store_room(struct store *s, const struct msg_room *in, struct msg_room_r *out, struct fail *f);

/* ---- reports ---- */

struct store_report_row {
    uint64_t rid;
    uint32_t action, code, cause, tries;
    int64_t at_ms, until_ms;        /* wall clock; until: how long we go on trying */
    struct span address, orcpt, status, text, host;
};
struct store_report {
    uint64_t qid, account, size, msgid_hash;
    uint32_t flags, ret;
    int64_t created_ms;
    struct span trace, sender, report, envid;
    struct store_report_row *rows;
    size_t n;
};

/* The next report to make: 1 and *out (lives in mem), 0: none is due, *wait_ms: until the next one (-1: none), -1 and *f. */
int store_wait(struct store *s, struct store_write *w); /* submits it and waits, on a thread of the pool; its result */
int store_report_next(struct store *s, struct store_report *out, int64_t *wait_ms, struct arena *mem, struct fail *f);

/* ---- a backup's index ---- */

/* What waits in the queue of an index (a file's path) that nobody serves is held until it is released, whatever holds with
 * an end there are; send: stays as it is. *n: recipients. 0, or -1 and *f. */
int store_queue_restored(const char *index, bool send, uint64_t *n, struct fail *f);

#endif
