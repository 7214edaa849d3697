/* store_queue_impl: what the files of the queue and of delivery events share. The committer's, unless said otherwise. */
#ifndef POSTEL_STORE_QUEUE_IMPL_H
#define POSTEL_STORE_QUEUE_IMPL_H

#include "store/store_impl.h"
#include "store/store_queue.h"

/* ---- store_queue_time.c: the queue's own clock (REL-06) ---- */

int store_queue_time_load(struct store *s);     /* at the opening: 0, or -1 for trouble of the index */
int64_t store_queue_now(struct store *s);       /* looks for a jump of the wall clock */
int64_t store_queue_wall(const struct store *s, int64_t queue_ms); /* as people's clocks have it; any thread */
int64_t store_queue_of_wall(const struct store *s, int64_t wall_ms);
int store_queue_time_save(struct store *s);     /* within a transaction that writes to the queue */
bool store_queue_time_due(const struct store *s); /* something is to be saved that no write of the queue will */

/* ---- store_queue.c ---- */

struct store_queue_message {
    uint64_t qid, bid, account, size, msgid_hash, rcpts;
    uint32_t flags, ret;
    int64_t created_ms;
    struct span trace, sender, report, envid; /* live in mem */
};
struct store_queue_rcpt {
    uint64_t rid, qid, trying;
    uint32_t state, tries, delayed, notify, last_code;
    int64_t due_ms, expires_ms, held_ms;
    struct span domain, address, orcpt, last_status, last_text, last_host; /* live in mem */
};
/* 1 and *out, 0: not there, -1. */
int store_queue_message_get(struct db *db, uint64_t qid, struct store_queue_message *out, struct arena *mem);
int store_queue_rcpt_get(struct db *db, uint64_t rid, struct store_queue_rcpt *out, struct arena *mem);
int store_queue_rcpt_end(struct store *s, const struct store_queue_message *m, uint64_t rid); /* its row goes, and perhaps m's */
int store_queue_message_end(struct store *s, const struct store_queue_message *m); /* goes when nothing is left of it */
void store_queue_ready(struct store *s, struct span domain, int64_t due_ms);    /* tells relay after the commit */

int store_queue_ingest_check(struct store *s, struct store_op *op, uint64_t stored, struct fail *f);
int store_queue_ingest(struct store *s, struct store_op *op); /* their rows, and the event */

void store_queue_begin(struct store *s);        /* an attempt of a batch begins: nothing is to be told yet */
void store_queue_settled(struct store *s, const struct store_op *ops, size_t n);    /* and is committed */
void store_queue_tell(struct store *s); /* what a commit is to tell */
bool store_queue_beside(const struct store_write *w);           /* needs no commit: lease, domains, return */
void store_queue_beside_run(struct store *s, struct store_write *w);
int store_queue_open(struct store *s);
void store_queue_close(struct store *s);

/* ---- store_queue_lease.c ---- */

struct store_lease { uint64_t rid, boot, name; };
bool store_queue_leased(struct store *s, uint64_t rid, struct store_lease *out); /* any thread; out: it, or NULL */
void store_queue_lease_end(struct store *s, uint64_t rid, uint64_t boot, uint64_t name); /* when it is this one */
void store_queue_lease_end_boot(struct store *s, uint64_t keep);                /* all but this relay's */
void store_queue_lease(struct store *s, struct store_write *w);
void store_queue_domains(struct store *s, struct store_write *w);
void store_queue_return(struct store *s, struct store_write *w);
/* The whole text, unless it is longer than `most` or would have to be waited for: then empty. 0, or -1: trouble of the index. */
int store_queue_text(struct store *s, uint64_t qid, uint64_t most, struct span *out, struct arena *mem);

/* ---- store_queue_result.c, store_queue_change.c: appliers ---- */

int store_queue_note(struct store *s, struct store_op *op);
int store_queue_peer(struct store *s, struct store_op *op);
void store_queue_tidy(struct store *s, struct store_write *w);
int store_queue_change(struct store *s, struct store_op *op);
/* A recipient fails for good: event, report, its row goes. host: of the last answer, may be empty. */
int store_queue_fail(struct store *s, const struct store_queue_message *m, const struct store_queue_rcpt *r, uint32_t kind,
                     const struct msg_event_row *why);

/* ---- store_queue_suspend.c ---- */

int store_queue_suspended(struct store *s, struct span domain);     /* 1, 0, -1 */
int store_queue_suspend(struct store *s, struct store_op *op);      /* an applier */

/* ---- store_report.c ---- */

/* Notes that a report is to be made of this; at most one per recipient and action. */
int store_report_put(struct store *s, const struct store_queue_message *m, uint64_t rid, uint32_t action, struct span address,
                     struct span orcpt, const struct msg_event_row *why);
int store_report_done(struct store *s, const struct store_extra *x);
int store_report_later(struct store *s, struct store_op *op);
int store_report_untold(struct store *s, struct store_op *op);

/* ---- store_event.c: rows are made ---- */

struct store_event { struct str out; struct span trace; };
void store_event_begin(struct store_event *e, struct arena *mem, struct span trace, uint64_t account, struct span sender,
                       uint64_t size, uint64_t msgid_hash);
void store_event_step(struct store_event *e, const struct msg_event_row *step); /* kind, account, address, host, ... due_ms */
int store_event_write(struct store *s, const struct store_event *e);
int store_event_of(struct store *s, const struct store_queue_message *m, const struct msg_event_row *step); /* a row of one step */
int store_event_note(struct store *s, struct store_op *op);
int store_event_load(struct store *s);
int store_event_purge(struct store *s, size_t *gone); /* 1: there may be more */

/* ---- store_send.c ---- */

int store_send_count(struct store *s, struct store_op *op); /* counts and checks; -1 with fail: refused */

#endif
