/* A message on its way out: attempt, transaction, answers, and what the queue is told of them. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "queue/queue_retry.h"
#include "roles/relay_work.h"
#include "run/shared.h"

enum { READ_BYTES = 128 * 1024, READ_WITH_NOTE = 64 * 1024 /* a text that may come with the answer to its attempt */ };

/* ---- what is told -------------------------------------------------------------------------------------------------- */

static struct relay_note *note_new(struct relay_work *w, struct relay_lease *lease)
{
    char tls[160];
    struct relay_note_link *link = arena_zalloc(&lease->mem, sizeof *link);
    link->next = lease->notes;
    lease->notes = link;
    link->note = (struct relay_note){.epoch = lease->epoch, .mem = &lease->mem,
        .place = {arena_copy(&lease->mem, span_z(w->peer)), arena_copy(&lease->mem, relay_work_protected(w, tls)), lease->name}};
    return &link->note;
}

/* Other hosts were asked before. */
static void note_tried(struct relay_note *note, struct relay_work *w, struct arena *mem)
{
    note->tried = arena_alloc(mem, w->n_tried * sizeof *note->tried + 1);
    for (; note->n_tried < w->n_tried; note->n_tried++) {
        const struct msg_queue_tried *t = &w->tried[note->n_tried];
        note->tried[note->n_tried] = (struct msg_queue_tried){.host = arena_copy(mem, t->host),
            .tls = arena_copy(mem, t->tls), .code = t->code, .status = arena_copy(mem, t->status), .text = arena_copy(mem, t->text)};
    }
    w->n_tried = 0;
    arena_reset(&w->tried_mem);
}

WAITS void relay_job_told(struct relay_lease *lease)
{
    for (; lease->notes != NULL; lease->notes = lease->notes->next)
        relay_note_wait(&lease->notes->note);
}

static WAITS void tell(struct relay_job *j, struct msg_queue_done *v, size_t n)
{
    if (n == 0)
        return;
    struct relay_note *note = note_new(j->w, j->lease);
    note->done = v;
    note->n_done = n;
    note->ours = j->noted;
    note_tried(note, j->w, &j->lease->mem);
    relay_note_put(note);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

/* What the store says of it; as long as it takes. */
static WAITS void attempt_wait(struct relay_job *j)
{
    if (j->attempt == NULL)
        return;
    relay_note_wait(j->attempt);
    j->refused = j->attempt->refused;
    j->noted = j->noted || !j->refused;
}

WAITS bool relay_job_ours(struct relay_job *j)
{
    if (j->lease->epoch == relay_out.epoch)
        return true;
    attempt_wait(j);
    return j->noted;
}

static bool attempted_here(const struct relay_job *j)
{
    char tls[160];
    return j->attempt != NULL && span_eq(j->attempt->place.host, span_z(j->w->peer)) &&
           span_eq(j->attempt->place.tls, relay_work_protected(j->w, tls));
}

/* All that are not done may get the message from the host that is open, before the dialogue says who of them really will: so
 * the commit passes meanwhile. */
static WAITS void attempt_begin(struct relay_job *j)
{
    if (attempted_here(j))
        return;
    attempt_wait(j);
    struct relay_note *note = note_new(j->w, j->lease);
    note->tries = arena_alloc(&j->lease->mem, j->n * sizeof *note->tries);
    for (size_t i = 0; i < j->n; i++)
        if (!j->done[i])
            note->tries[note->n_tries++] = (struct msg_queue_try){.qid = j->m->qid, .rid = j->rows[i]->rid};
    note->ours = j->noted;
    note_tried(note, j->w, &j->lease->mem);
    j->attempt = note;
    relay_note_put(note);
}

/* ---- the transaction ----------------------------------------------------------------------------------------------- */

static WAITS int attempted(void *arg, struct fail *f)
{
    struct relay_job *j = arg;
    attempt_wait(j);
    return j->refused ? fail_temp(f, "4.3.0", "the queue was opened anew") : 0;
}

static WAITS int read_body(void *arg, uint64_t offset, struct span *out, struct fail *f)
{
    struct relay_job *j = arg;
    struct msg_queue_read ask = {.qid = j->m->qid, .offset = offset, .length = READ_BYTES};
    struct msg_queue_read_r r;
    if (j->m->size <= READ_WITH_NOTE && attempted(j, f) < 0)
        return -1;
    if (j->attempt->settled && j->attempt->text.n == j->m->size) {
        *out = span_from(j->attempt->text, (size_t)offset);
        return 0;
    }
    arena_reset(&j->w->call);
    if (IPC_CALL(ROLE_STORE, queue_read, &ask, &r, &j->w->call, f) < 0)
        return -1;
    *out = r.data;
    return 0;
}

/* The recipients without an answer, as one transaction. */
static size_t gather(struct relay_job *j)
{
    j->n_now = 0;
    for (size_t i = 0; i < j->n; i++)
        if (!j->done[i]) {
            j->now[j->n_now] = j->rcpts[i];
            j->now_rows[j->n_now++] = j->rows[i];
        }
    j->mail = (struct smtp_out_mail){
        .sender = j->m->sender, .envid = j->m->envid, .size = j->m->size, .flags = j->m->flags, .ret = j->m->ret,
        .rcpts = j->now, .n = j->n_now, .arg = j, .read = read_body, .attempt = attempted,
    };
    return j->n_now;
}

/* next: what goes out over this session behind it, as far as anybody knows: its attempt is told with ours, and its envelope
 * may go out behind our text. */
static WAITS void transact(struct relay_job *j, struct relay_job *next)
{
    attempt_begin(j);
    if (next != NULL && !relay_out.stopping && next->lease->epoch == relay_out.epoch && relay_work_same_way(j->w, next->m)) {
        if (next->attempt == NULL)
            attempt_begin(next);
        if (attempted_here(next) && gather(next) > 0)
            j->mail.next = &next->mail;
    }
    smtp_out_send(&j->w->out, &j->mail);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static struct msg_queue_done done_of(struct relay_job *j, const struct msg_queue_rcpt *row, const struct smtp_out_answer *a,
                                     bool dsn_sent)
{
    struct queue_destination *d = j->w->d;
    int64_t wait = queue_retry_ms(row->tries + 1, rand_u64());
    if (d->dead_until_ms != 0)
        wait = MAX_OF(wait, d->dead_until_ms - clock_mono_ms());
    if (a->outcome == QUEUE_DEFERRED)
        queue_destination_waits(&relay_out.table, span_z(d->domain), clock_mono_ms() + MAX_OF(wait, (int64_t)0));
    return (struct msg_queue_done){
        .rid = row->rid,
        .outcome = a->outcome,
        .code = a->code,
        .status = arena_copy(&j->lease->mem, span_z(a->status)),
        .text = arena_copy(&j->lease->mem, span_z(a->text)),
        .due_ms = a->outcome == QUEUE_DEFERRED ? clock_now_ms() + wait : 0,
        .flags = (dsn_sent ? QUEUE_DSN_SENT : 0) | (a->maybe_sent ? QUEUE_MAYBE_SENT : 0),
    };
}

static void log_result(const struct relay_job *j, const struct msg_queue_rcpt *row, const struct smtp_out_answer *a)
{
    static const char *const words[] = {"delivered", "deferred", "failed"};
    char tls[160];
    LOG(LOG_INFO, "relay.result", L_ID(j->m->trace), L_SPAN("to", row->address), L_Z("result", words[a->outcome]),
        L_Z("host", j->w->peer), L_SPAN("tls", relay_work_protected(j->w, tls)), L_INT("code", a->code), L_Z("status", a->status),
        L_Z("text", a->text));
    if (a->outcome == QUEUE_DELIVERED)
        counter_add(COUNTER_MESSAGES_OUT, 1);
}

/* The same answer for all that are left. */
static WAITS void settle_rest(struct relay_job *j, const struct smtp_out_answer *a)
{
    struct msg_queue_done *v = arena_alloc(&j->lease->mem, j->n * sizeof *v);
    size_t n = 0;
    attempt_wait(j);
    bool ours = relay_job_ours(j);
    for (size_t i = 0; i < j->n; i++) {
        if (j->done[i])
            continue;
        j->done[i] = true;
        if (!ours)
            continue;
        v[n++] = done_of(j, j->rows[i], a, false);
        log_result(j, j->rows[i], a);
    }
    tell(j, v, n);
}

/* A session that has carried other messages ended before it took this one: that is how servers say that they want no more
 * over it. Nothing of it says anything of the recipient, or of the host. */
static bool worn_out(const struct relay_work *w, const struct smtp_out_rcpt *r)
{
    return w->out.over && w->out.mails > 1 && !r->accepted && (r->answer.code == 0 || r->answer.code == 421) &&
           r->answer.outcome == QUEUE_DEFERRED && !r->answer.maybe_sent;
}

/* Does another session deserve a try? This one broke before the text could have been taken, and says nothing of the recipient
 * itself. */
static bool elsewhere(const struct relay_work *w, const struct smtp_out_rcpt *r)
{
    return worn_out(w, r) || (w->out.over && r->answer.outcome == QUEUE_DEFERRED && !r->answer.maybe_sent && w->hosts.at < w->hosts.v.n);
}

/* Sorts out what a transaction came to. Returns how many got an answer of their own. A store that started anew may have given
 * our recipients to another session by now: it is told only what became of an attempt that it knows of (REL-03). */
static WAITS size_t note_answers(struct relay_job *j)
{
    struct relay_work *w = j->w;
    const struct smtp_out_answer *last = NULL; /* of a session that broke */
    struct msg_queue_done *v = arena_alloc(&j->lease->mem, j->n * sizeof *v);
    size_t n = 0, at = 0;
    bool ours = relay_job_ours(j);
    for (size_t i = 0; i < j->n; i++) {
        if (j->done[i])
            continue;
        struct smtp_out_rcpt *r = &j->now[at++];
        if (r->tried && elsewhere(w, r) && !worn_out(w, r) && last == NULL)
            relay_work_in_vain(w, last = &r->answer);
        if (!r->tried || elsewhere(w, r))
            continue;
        j->done[i] = true;
        if (!ours)
            continue;
        v[n++] = done_of(j, j->rows[i], &r->answer, r->dsn_sent && r->accepted);
        log_result(j, j->rows[i], &r->answer);
    }
    tell(j, v, n);
    return n;
}

/* ---- the message --------------------------------------------------------------------------------------------------- */

WAITS void relay_job_give_back(struct relay_job *j)
{
    struct msg_queue_return post = {.lease = j->lease->name};
    struct msg_queue_rid *rids = arena_alloc(&j->lease->mem, j->n * sizeof *rids + 1);
    struct msg_queue_done *v = arena_zalloc(&j->lease->mem, j->n * sizeof *v + 1);
    size_t n = 0;
    attempt_wait(j);
    for (size_t i = 0; i < j->n; i++) {
        if (j->done[i])
            continue;
        rids[post.rids.n++].rid = j->rows[i]->rid;
        v[n++] = (struct msg_queue_done){.rid = j->rows[i]->rid, .outcome = QUEUE_UNTRIED, .text = SPAN("not begun after all")};
    }
    post.rids.v = rids;
    if (j->noted)
        tell(j, v, n);
    else if (post.rids.n > 0 && j->lease->epoch == relay_out.epoch)
        ipc_post_to(ROLE_STORE, MSG_ID_queue_return, &post);
}

/* The store did not take our attempt: whatever we would say could be about another session's. The lease goes back, when
 * it is one that this store knows. */
static WAITS void leave(struct relay_job *j)
{
    LOG(LOG_WARN, "relay.left", L_ID(j->m->trace), L_Z("host", j->w->peer), L_INT("rcpts", (int64_t)j->n));
    relay_job_give_back(j);
}

/* One transaction on the session that is open. False: there is nothing left to do. */
static WAITS bool hand_over(struct relay_job *j, struct relay_job *next, struct smtp_out_answer *why)
{
    struct relay_work *w = j->w;
    transact(j, next);
    attempt_wait(j); /* nobody was accepted: it was not needed, but what is told now is behind it */
    if (j->refused) {
        leave(j);
        relay_work_hang_up(w);
        return false;
    }
    size_t n = note_answers(j);
    if (!w->out.over)
        queue_destination_good(&relay_out.table, w->d);
    if (!w->out.over && smtp_out_ready(&w->out))
        return true;
    if (j->n_now > 0)
        *why = j->now[j->n_now - 1].answer;
    if (j->n_now > 0 && worn_out(w, &j->now[j->n_now - 1]))
        w->hosts.at = 0; /* the same once more, anew */
    relay_work_hang_up(w);
    if (n > 0 || w->hosts.at < w->hosts.v.n || gather(j) == 0)
        return true;
    settle_rest(j, why);
    return false;
}

WAITS void relay_job_deliver(struct relay_job *j, struct relay_job *next)
{
    struct relay_work *w = j->w;
    struct smtp_out_answer why = {0};
    if (j->attempt != NULL && j->attempt->settled && j->attempt->refused) {
        leave(j);
        return;
    }
    if (w->open && w->out.ahead != NULL && w->out.ahead != &j->mail) /* that one does not follow after all */
        relay_work_hang_up(w);
    if (relay_work_way(w, j->m, &why) < 0) {
        if (relay_out.stopping) { /* it was not found out, and is nobody's fault */
            relay_job_give_back(j);
            return;
        }
        snprintf(w->peer, sizeof w->peer, "%.*s", SPAN_ARGS(span_sub(w->hop.host, 0, 100)));
        if (why.outcome == QUEUE_DEFERRED)
            queue_destination_bad(&relay_out.table, w->d, clock_mono_ms(), rand_u64());
        settle_rest(j, &why);
        w->hop.host.n = 0; /* looked up anew for the next one */
        return;
    }
    while (gather(j) > 0) {
        if (!w->open && relay_work_host(w, &why) < 0) {
            if (relay_out.stopping) {
                relay_job_give_back(j);
                return;
            }
            if (why.outcome == QUEUE_DEFERRED)
                queue_destination_bad(&relay_out.table, w->d, clock_mono_ms(), rand_u64());
            settle_rest(j, &why);
            return;
        }
        if (!hand_over(j, next, &why))
            return;
    }
}

void relay_job_init(struct relay_job *j, struct relay_work *w, struct relay_lease *lease, const struct msg_queue_lease_r *l,
                    const struct msg_queue_message *m)
{
    size_t n = 0, most = l->rcpts.n;
    struct arena *mem = &lease->mem;
    *j = (struct relay_job){.w = w, .lease = lease, .m = m};
    j->rows = arena_alloc(mem, most * sizeof *j->rows);
    j->rcpts = arena_alloc(mem, most * sizeof *j->rcpts);
    j->now = arena_alloc(mem, most * sizeof *j->now);
    j->now_rows = arena_alloc(mem, most * sizeof *j->now_rows);
    j->done = arena_alloc(mem, most * sizeof *j->done);
    for (size_t i = 0; i < most; i++) {
        const struct msg_queue_rcpt *row = &l->rcpts.v[i];
        if (row->qid != m->qid)
            continue;
        j->rows[n] = row;
        j->done[n] = false;
        j->rcpts[n++] = (struct smtp_out_rcpt){.address = row->address, .notify = row->notify, .orcpt = row->orcpt};
    }
    j->n = n;
}
