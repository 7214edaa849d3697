/* A session of relay with one destination: takes messages from the queue, hands them over one after the other on the same
 * connection, tells the queue what came of each, until nothing is due. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "queue/queue_retry.h"
#include "roles/relay_out.h"
#include "run/shared.h"

enum { READ_BYTES = 128 * 1024, TELL_AGAIN_MS = 1000 };

struct work {
    struct queue_destination *d;
    int64_t began_ms;
    struct queue_hop hop;       /* where hosts and session lead; host.n 0: nowhere yet */
    char hop_host[256];
    struct relay_hosts hosts;
    bool looked_up;
    struct smtp_out out;
    struct relay_host *host;    /* of out */
    char peer[128];             /* "mx.example.org [192.0.2.1]" */
    bool open;
    struct arena lease, call;
    uint64_t epoch;             /* relay_out.epoch of the store that gave the lease */
    bool untold;                 /* `result` is not known to be durable */
    struct ipc_pending *telling; /* it is on its way to the queue */
    struct msg_queue_result result; /* its recipients live in lease */
    char result_host[128], result_tls[160];
};

/* One message and its recipients that are still to be told something. */
struct job {
    struct work *w;
    const struct msg_queue_message *m;
    const struct msg_queue_rcpt **rows;
    struct smtp_out_rcpt *rcpts;
    bool *done;
    size_t n;
    struct smtp_out_rcpt *now;      /* those of this transaction, in order */
    const struct msg_queue_rcpt **now_rows;
    size_t n_now;
    bool attempted;                 /* durable for this transaction: its accepted recipients may get it */
    bool refused;                   /* the store did not take the attempt: nothing may be told of the message */
    struct ipc_pending *ahead;      /* the first bytes of the text, asked for while the envelope is talked over */
};

/* ---- the connection ------------------------------------------------------------------------------------------------ */

static WAITS void hang_up(struct work *w)
{
    if (w->open)
        smtp_out_close(&w->out);
    w->open = false;
    w->host = NULL;
}

static WAITS void forget_way(struct work *w)
{
    hang_up(w);
    if (w->looked_up)
        relay_hosts_done(&w->hosts);
    w->looked_up = false;
    w->hop = (struct queue_hop){0};
}

static bool same_way(const struct queue_hop *a, const struct queue_hop *b)
{
    return a->port == b->port && a->mx == b->mx && a->login == b->login && span_eq_nocase(a->host, b->host);
}

/* Takes the way of the next message; keeps the session when it is the same one. 0, or -1 and *why: there is none. */
static WAITS int take_way(struct work *w, const struct msg_queue_message *m, struct smtp_out_answer *why)
{
    struct queue_hop hop;
    queue_route_find(&relay_out.routes, m->route, m->sender, span_z(w->d->domain), &hop);
    if (w->looked_up && same_way(&hop, &w->hop)) {
        if (!w->open || !smtp_out_ready(&w->out)) {
            hang_up(w);
            w->hosts.at = 0;
        }
        return 0;
    }
    forget_way(w);
    if (hop.host.n >= sizeof w->hop_host)
        hop.host.n = sizeof w->hop_host - 1;
    memcpy(w->hop_host, hop.host.p, hop.host.n);
    hop.host.p = w->hop_host;
    w->hop = hop;
    w->looked_up = true;
    return relay_hosts_find(&w->hop, &w->hosts, why);
}

static WAITS enum smtp_out_scope open_one(struct work *w, struct relay_host *h, enum smtp_out_tls tls,
                                          struct smtp_out_answer *why)
{
    struct fail f;
    struct smtp_out_want want = {.helo = relay_out.helo, .tls = tls, .verify = h->verify};
    if (w->hop.login) {
        want.user = relay_out.user;
        want.password = relay_out.password;
    }
    if (h->name.n > 0 && h->name.p[0] == '[') /* a literal says it all */
        snprintf(w->peer, sizeof w->peer, "%.*s", SPAN_ARGS(span_sub(h->name, 0, 70)));
    else
        snprintf(w->peer, sizeof w->peer, "%.*s [%s]", SPAN_ARGS(span_sub(h->name, 0, 70)), h->addr.text);
    struct conn *c = conn_connect(&h->addr, NULL, LIMIT(RELAY_CONNECT_S) * 1000, &f);
    if (c == NULL) {
        smtp_out_say(why, QUEUE_DEFERRED, "4.4.1", "%s", f.text);
        return SMTP_OUT_HOST;
    }
    return smtp_out_open(&w->out, c, &want, why);
}

/* A session with the next host that gives one. 0, or -1 and *why: of the last host that was asked, the rest had none. */
static WAITS int next_host(struct work *w, struct smtp_out_answer *why)
{
    bool lasting = w->hosts.at < w->hosts.v.n; /* every host says that it never takes mail */
    while (w->hosts.at < w->hosts.v.n && !relay_out.stopping) {
        struct relay_host *h = &w->hosts.v.v[w->hosts.at++];
        enum smtp_out_scope scope = open_one(w, h, h->tls, why);
        if (scope == SMTP_OUT_PLAIN) /* RFC 7435: better in clear than not at all, where nothing more was promised */
            scope = open_one(w, h, SMTP_OUT_TLS_NONE, why);
        if (scope == SMTP_OUT_FINE) {
            w->open = true;
            w->host = h;
            return 0;
        }
        lasting = lasting && why->outcome == QUEUE_FAILED;
        LOG(LOG_INFO, "relay.host", L_Z("domain", w->d->domain), L_Z("host", w->peer), L_INT("code", why->code),
            L_Z("why", why->text));
    }
    if (!lasting)
        why->outcome = QUEUE_DEFERRED;
    if (why->status[0] == 0)
        smtp_out_say(why, QUEUE_DEFERRED, "4.3.2", "this server is stopping");
    return -1;
}

/* ---- the message --------------------------------------------------------------------------------------------------- */

static WAITS int read_body(void *arg, uint64_t offset, struct span *out, struct fail *f)
{
    struct job *j = arg;
    struct msg_queue_read ask = {.qid = j->m->qid, .offset = offset, .length = READ_BYTES};
    struct msg_queue_read_r r;
    struct ipc_pending *p = offset == 0 ? j->ahead : NULL;
    if (p != NULL)
        j->ahead = NULL;
    else if ((p = ipc_begin(ROLE_STORE, MSG_ID_queue_read, &ask, f)) == NULL)
        return -1;
    arena_reset(&j->w->call);
    if (ipc_finish(p, &r, &j->w->call, 0, f) < 0)
        return -1;
    *out = r.data;
    return 0;
}

static WAITS void read_ahead(struct job *j)
{
    struct msg_queue_read ask = {.qid = j->m->qid, .length = READ_BYTES};
    struct fail f;
    j->ahead = ipc_begin(ROLE_STORE, MSG_ID_queue_read, &ask, &f);
}

static void read_ahead_end(struct job *j)
{
    if (j->ahead != NULL)
        ipc_forget(j->ahead);
    j->ahead = NULL;
}

static struct span how_protected(const struct work *w, char out[160])
{
    bool named = w->open && w->host->policy[0] != 0;
    int n = w->open ? snprintf(out, 160, "%s%s%s", w->out.tls, named ? ", " : "", named ? w->host->policy : "") : 0;
    return span_of(out, (size_t)n);
}

static WAITS int note_attempt(void *arg, struct fail *f)
{
    struct job *j = arg;
    struct work *w = j->w;
    char tls[160];
    struct msg_queue_attempt ask = {.host = span_z(w->peer), .tls = how_protected(w, tls)};
    struct msg_queue_attempt_r r;
    struct msg_queue_rid *rids = arena_alloc(&w->out.mem, j->n_now * sizeof *rids);
    for (size_t i = 0; i < j->n_now; i++)
        if (j->now[i].accepted)
            rids[ask.rids.n++].rid = j->now_rows[i]->rid;
    ask.rids.v = rids;
    int told = fail_temp(f, "4.3.0", "the queue was opened anew");
    /* until the store says yes or no: an attempt that it has written down and we know nothing of would never end */
    if (w->epoch == relay_out.epoch)
        do
            told = IPC_CALL(ROLE_STORE, queue_attempt, &ask, &r, &w->out.mem, f);
        while (told < 0 && strcmp(f->code, IPC_NO_ANSWER) == 0 && !relay_out.stopping);
    j->attempted = told == 0;
    j->refused = told < 0;
    return told;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static struct msg_queue_done done_of(struct work *w, const struct msg_queue_rcpt *row, const struct smtp_out_answer *a,
                                     bool dsn_sent)
{
    int64_t wait = queue_retry_ms(row->tries + 1, rand_u64());
    if (w->d->dead_until_ms != 0)
        wait = MAX_OF(wait, w->d->dead_until_ms - clock_mono_ms());
    return (struct msg_queue_done){
        .rid = row->rid,
        .outcome = a->outcome,
        .code = a->code,
        .status = arena_copy(&w->lease, span_z(a->status)),
        .text = arena_copy(&w->lease, span_z(a->text)),
        .due_ms = a->outcome == QUEUE_DEFERRED ? clock_now_ms() + wait : 0,
        .flags = (dsn_sent ? QUEUE_DSN_SENT : 0) | (a->maybe_sent ? QUEUE_MAYBE_SENT : 0),
    };
}

static void log_result(const struct work *w, const struct job *j, const struct msg_queue_rcpt *row,
                       const struct smtp_out_answer *a)
{
    static const char *const words[] = {"delivered", "deferred", "failed"};
    char tls[160];
    LOG(LOG_INFO, "relay.result", L_ID(j->m->trace), L_SPAN("to", row->address), L_Z("result", words[a->outcome]),
        L_Z("host", w->peer), L_SPAN("tls", how_protected(w, tls)), L_INT("code", a->code), L_Z("status", a->status),
        L_Z("text", a->text));
    if (a->outcome == QUEUE_DELIVERED)
        counter_add(COUNTER_MESSAGES_OUT, 1);
}

/* The last result is durable. A store that does not take it now is asked until it does: what became of an attempt is known
 * here only, and without it the recipient would wait for our end and then be tried again. */
static WAITS void told(struct work *w)
{
    struct fail f;
    struct msg_queue_result_r r;
    struct ipc_pending *p = w->telling;
    if (!w->untold)
        return;
    w->telling = NULL;
    w->untold = false;
    int rc = p != NULL ? ipc_finish(p, &r, &w->call, 0, &f) : fail_temp(&f, IPC_NO_ANSWER, "store is not there");
    while (rc < 0 && !relay_out.stopping) {
        LOG(LOG_ERROR, "relay.result", L_Z("host", w->result_host), L_INT("untold", w->result.done.n), L_Z("why", f.text));
        coro_sleep(TELL_AGAIN_MS);
        arena_reset(&w->call);
        rc = IPC_CALL(ROLE_STORE, queue_result, &w->result, &r, &w->call, &f);
    }
}

/* Tells the queue, and goes on with the next message meanwhile: at most one result is on its way, and before the next lease
 * none (told). v lives in lease. */
static WAITS void tell(struct work *w, struct msg_queue_done *v, size_t n)
{
    struct fail f;
    for (size_t i = 0; i < n; i++)
        if (v[i].outcome == QUEUE_DEFERRED)
            queue_destination_waits(&relay_out.table, span_z(w->d->domain),
                                    clock_mono_ms() + MAX_OF(v[i].due_ms - clock_now_ms(), (int64_t)0));
    if (n == 0)
        return;
    told(w);
    snprintf(w->result_host, sizeof w->result_host, "%s", w->peer);
    w->result = (struct msg_queue_result){.host = span_z(w->result_host), .tls = how_protected(w, w->result_tls)};
    w->result.done.v = v;
    w->result.done.n = (uint32_t)n;
    w->untold = true;
    w->telling = ipc_begin(ROLE_STORE, MSG_ID_queue_result, &w->result, &f);
}

/* A store that started anew may have given our recipients to another session by now: it is told only what became of an
 * attempt that it knows of (REL-03). */
static bool ours_to_tell(const struct job *j, const struct smtp_out_rcpt *r)
{
    return j->w->epoch == relay_out.epoch || (r != NULL && r->accepted && j->attempted);
}

/* The same answer for all that are left. */
static WAITS void settle_rest(struct job *j, const struct smtp_out_answer *a)
{
    struct msg_queue_done *v = arena_alloc(&j->w->lease, j->n * sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (j->done[i])
            continue;
        j->done[i] = true;
        if (!ours_to_tell(j, NULL))
            continue;
        v[n++] = done_of(j->w, j->rows[i], a, false);
        log_result(j->w, j, j->rows[i], a);
    }
    tell(j->w, v, n);
}

/* Does another host deserve a try? The session broke before the text could have been taken, and says nothing of the
 * recipient itself. */
static bool elsewhere(const struct work *w, const struct smtp_out_rcpt *r)
{
    return w->out.over && r->answer.outcome == QUEUE_DEFERRED && !r->answer.maybe_sent && w->hosts.at < w->hosts.v.n;
}

/* Sorts out what a transaction came to. Returns how many got an answer of their own. */
static WAITS size_t note_answers(struct job *j)
{
    struct work *w = j->w;
    struct msg_queue_done *v = arena_alloc(&w->lease, j->n * sizeof *v);
    size_t n = 0, at = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (j->done[i])
            continue;
        struct smtp_out_rcpt *r = &j->now[at++];
        if (!r->tried || elsewhere(w, r))
            continue;
        j->done[i] = true;
        if (!ours_to_tell(j, r))
            continue;
        v[n++] = done_of(w, j->rows[i], &r->answer, r->dsn_sent && r->accepted);
        log_result(w, j, j->rows[i], &r->answer);
    }
    tell(w, v, n);
    return n;
}

/* The recipients without an answer, as one transaction. */
static size_t gather(struct job *j)
{
    j->n_now = 0;
    for (size_t i = 0; i < j->n; i++)
        if (!j->done[i]) {
            j->now[j->n_now] = j->rcpts[i];
            j->now_rows[j->n_now++] = j->rows[i];
        }
    return j->n_now;
}

static WAITS void transact(struct job *j)
{
    struct smtp_out_mail mail = {
        .sender = j->m->sender, .envid = j->m->envid, .size = j->m->size, .flags = j->m->flags, .ret = j->m->ret,
        .rcpts = j->now, .n = j->n_now, .arg = j, .read = read_body, .attempt = note_attempt,
    };
    j->attempted = j->refused = false;
    read_ahead(j);
    smtp_out_send(&j->w->out, &mail);
    read_ahead_end(j);
}

/* The store did not take our attempt: whatever we would say could be about another session's. The lease goes back, when
 * it is one that this store knows. */
static WAITS void leave(struct job *j)
{
    struct msg_queue_return post = {0};
    struct msg_queue_rid *rids = arena_alloc(&j->w->lease, j->n * sizeof *rids);
    for (size_t i = 0; i < j->n; i++)
        if (!j->done[i])
            rids[post.rids.n++].rid = j->rows[i]->rid;
    post.rids.v = rids;
    if (j->w->epoch == relay_out.epoch && post.rids.n > 0)
        ipc_post_to(ROLE_STORE, MSG_ID_queue_return, &post);
    LOG(LOG_WARN, "relay.left", L_ID(j->m->trace), L_Z("host", j->w->peer), L_INT("rcpts", (int64_t)post.rids.n));
    hang_up(j->w);
}

/* Everybody of this message gets an answer, or all hosts were tried. */
static WAITS void deliver(struct job *j)
{
    struct work *w = j->w;
    struct smtp_out_answer why = {0};
    if (take_way(w, j->m, &why) < 0) {
        snprintf(w->peer, sizeof w->peer, "%.*s", SPAN_ARGS(span_sub(w->hop.host, 0, 100)));
        if (why.outcome == QUEUE_DEFERRED)
            queue_destination_bad(&relay_out.table, w->d, clock_mono_ms(), rand_u64());
        settle_rest(j, &why);
        w->hop.host.n = 0; /* looked up anew for the next one */
        return;
    }
    while (gather(j) > 0) {
        if (!w->open && next_host(w, &why) < 0) {
            if (why.outcome == QUEUE_DEFERRED && !relay_out.stopping)
                queue_destination_bad(&relay_out.table, w->d, clock_mono_ms(), rand_u64());
            settle_rest(j, &why);
            return;
        }
        transact(j);
        if (j->refused) {
            leave(j);
            return;
        }
        size_t n = note_answers(j);
        if (!w->out.over)
            queue_destination_good(&relay_out.table, w->d);
        if (w->out.over || !smtp_out_ready(&w->out)) {
            if (j->n_now > 0)
                why = j->now[j->n_now - 1].answer;
            hang_up(w);
            if (!n && w->hosts.at >= w->hosts.v.n && gather(j) > 0) {
                settle_rest(j, &why);
                return;
            }
        }
    }
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

static void job_of(struct job *j, struct work *w, const struct msg_queue_lease_r *l, const struct msg_queue_message *m)
{
    size_t n = 0, most = l->rcpts.n;
    *j = (struct job){.w = w, .m = m};
    j->rows = arena_alloc(&w->lease, most * sizeof *j->rows);
    j->rcpts = arena_alloc(&w->lease, most * sizeof *j->rcpts);
    j->now = arena_alloc(&w->lease, most * sizeof *j->now);
    j->now_rows = arena_alloc(&w->lease, most * sizeof *j->now_rows);
    j->done = arena_alloc(&w->lease, most * sizeof *j->done);
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

/* What was leased and is not begun goes back as it was. */
static void give_back(const struct msg_queue_lease_r *l, uint32_t from, struct arena *mem)
{
    struct msg_queue_return post = {0};
    struct msg_queue_rid *rids = arena_alloc(mem, (l->rcpts.n + 1) * sizeof *rids);
    for (uint32_t m = from; m < l->messages.n; m++)
        for (uint32_t i = 0; i < l->rcpts.n; i++)
            if (l->rcpts.v[i].qid == l->messages.v[m].qid)
                rids[post.rids.n++].rid = l->rcpts.v[i].rid;
    post.rids.v = rids;
    if (post.rids.n > 0)
        ipc_post_to(ROLE_STORE, MSG_ID_queue_return, &post);
}

/* Takes some messages and hands them over. False: there was nothing, or this session should end. */
static WAITS bool work_some(struct work *w)
{
    struct msg_queue_lease ask = {.domain = span_z(w->d->domain), .messages = (uint32_t)LIMIT(RELAY_LEASE),
                                  .rcpts = (uint32_t)LIMIT(RELAY_RCPTS)};
    struct msg_queue_lease_r l;
    struct fail f;
    arena_reset(&w->lease);
    if (IPC_CALL(ROLE_STORE, queue_lease, &ask, &l, &w->lease, &f) < 0) {
        LOG(LOG_WARN, "relay.lease", L_Z("domain", w->d->domain), L_Z("why", f.text));
        return false; /* store tells all domains again when it is back */
    }
    w->epoch = relay_out.epoch;
    int64_t next = l.next_due_ms == 0 ? INT64_MAX
                                      : clock_mono_ms() + MAX_OF(l.next_due_ms - clock_now_ms(), (int64_t)0);
    queue_destination_leased(&relay_out.table, w->d, next);
    relay_out_pump();
    for (uint32_t i = 0; i < l.messages.n; i++) {
        struct job j;
        if (relay_out.stopping || w->d->dead_until_ms > clock_mono_ms()) {
            give_back(&l, i, &w->lease);
            told(w);
            return false;
        }
        if (w->epoch != relay_out.epoch)
            break; /* these leases are gone */
        job_of(&j, w, &l, &l.messages.v[i]);
        deliver(&j);
    }
    told(w);
    return l.messages.n > 0 && !relay_out.stopping;
}

static bool turn_over(const struct work *w)
{
    int64_t now = clock_mono_ms();
    return queue_destination_turn_over(&relay_out.table, w->d, now - w->began_ms, now);
}

WAITS void relay_work_run(void *arg)
{
    struct work w = {.d = arg, .began_ms = clock_mono_ms()};
    arena_init(&w.lease);
    arena_init(&w.call);
    while (work_some(&w) && w.d->dead_until_ms == 0 && !turn_over(&w))
        continue;
    forget_way(&w);
    arena_done(&w.lease);
    arena_done(&w.call);
    queue_destination_end(&relay_out.table, w.d);
    relay_out_over();
}
