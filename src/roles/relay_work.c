/* A session of relay with one destination: takes messages from the queue, hands them over one after the other on the same
 * connection, until nothing is due. */
#include "roles/relay_work.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

/* ---- the connection ------------------------------------------------------------------------------------------------ */

WAITS void relay_work_hang_up(struct relay_work *w)
{
    if (w->open)
        smtp_out_close(&w->out);
    w->open = false;
}

static WAITS void forget_way(struct relay_work *w)
{
    relay_work_hang_up(w);
    if (w->looked_up)
        relay_hosts_done(&w->hosts);
    w->looked_up = false;
    w->policy = "";
    w->hop = (struct queue_hop){0};
}

static bool same_way(const struct queue_hop *a, const struct queue_hop *b)
{
    return a->port == b->port && a->mx == b->mx && a->login == b->login && span_eq_nocase(a->host, b->host);
}

static void find_way(const struct relay_work *w, const struct msg_queue_message *m, struct queue_hop *out)
{
    queue_route_find(&relay_out.routes, m->route, m->sender, span_z(w->d->domain), out);
}

bool relay_work_same_way(const struct relay_work *w, const struct msg_queue_message *m)
{
    struct queue_hop hop;
    find_way(w, m, &hop);
    return w->open && same_way(&hop, &w->hop);
}

WAITS int relay_work_way(struct relay_work *w, const struct msg_queue_message *m, struct smtp_out_answer *why)
{
    struct queue_hop hop;
    find_way(w, m, &hop);
    if (w->looked_up && same_way(&hop, &w->hop)) {
        if (!w->open || !smtp_out_ready(&w->out)) {
            relay_work_hang_up(w);
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

static WAITS enum smtp_out_scope open_one(struct relay_work *w, struct relay_host *h, enum smtp_out_tls tls,
                                          struct smtp_out_answer *why)
{
    struct fail f;
    struct smtp_out_want want = {.helo = relay_out.helo, .tls = tls, .verify = h->verify};
    if (w->hop.login) {
        want.user = relay_out.user;
        want.password = relay_out.password;
    }
    w->policy = h->policy;
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

struct span relay_work_protected(const struct relay_work *w, char out[160])
{
    bool named = w->policy[0] != 0;
    int n = snprintf(out, 160, "%s%s%s", w->open ? w->out.tls : "", w->open && named ? ", " : "", w->policy);
    return span_of(out, (size_t)n);
}

void relay_work_in_vain(struct relay_work *w, const struct smtp_out_answer *why)
{
    struct arena *mem = &w->tried_mem;
    char tls[160];
    if (w->n_tried < COUNT_OF(w->tried))
        w->tried[w->n_tried++] = (struct msg_queue_tried){.host = arena_copy(mem, span_z(w->peer)),
            .tls = arena_copy(mem, relay_work_protected(w, tls)), .code = why->code, .status = arena_copy(mem, span_z(why->status)),
            .text = arena_copy(mem, span_z(why->text))};
}

WAITS int relay_work_host(struct relay_work *w, struct smtp_out_answer *why)
{
    bool lasting = w->hosts.at < w->hosts.v.n; /* every host says that it never takes mail */
    while (w->hosts.at < w->hosts.v.n && !relay_out.stopping) {
        struct relay_host *h = &w->hosts.v.v[w->hosts.at++];
        enum smtp_out_scope scope = open_one(w, h, h->tls, why);
        if (scope == SMTP_OUT_PLAIN) { /* RFC 7435: better in clear than not at all, where nothing more was promised */
            relay_work_in_vain(w, why);
            scope = open_one(w, h, SMTP_OUT_TLS_NONE, why);
        }
        if (scope == SMTP_OUT_FINE) {
            w->open = true;
            return 0;
        }
        lasting = lasting && why->outcome == QUEUE_FAILED;
        LOG(LOG_INFO, "relay.host", L_Z("domain", w->d->domain), L_Z("host", w->peer), L_INT("code", why->code),
            L_Z("why", why->text));
        if (w->hosts.at < w->hosts.v.n)
            relay_work_in_vain(w, why);
    }
    if (!lasting)
        why->outcome = QUEUE_DEFERRED;
    if (why->status[0] == 0)
        smtp_out_say(why, QUEUE_DEFERRED, "4.3.2", "this server is stopping");
    return -1;
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

static WAITS int lease(struct relay_work *w, struct relay_lease *to, struct msg_queue_lease_r *l)
{
    struct msg_queue_lease ask = {.domain = span_z(w->d->domain), .messages = (uint32_t)LIMIT(RELAY_LEASE),
                                  .rcpts = (uint32_t)LIMIT(RELAY_RCPTS)};
    struct fail f;
    relay_job_told(to);
    arena_reset(&to->mem);
    if (IPC_CALL(ROLE_STORE, queue_lease, &ask, l, &to->mem, &f) < 0) {
        LOG(LOG_WARN, "relay.lease", L_Z("domain", w->d->domain), L_Z("why", f.text));
        return -1; /* store tells all domains again when it is back */
    }
    to->epoch = relay_out.epoch;
    to->name = l->lease;
    int64_t next = l->next_due_ms == 0 ? INT64_MAX
                                       : clock_mono_ms() + MAX_OF(l->next_due_ms - clock_now_ms(), (int64_t)0);
    queue_destination_leased(&relay_out.table, w->d, next);
    relay_out_pump();
    return 0;
}

/* Takes some messages and hands them over. False: there was nothing, or this session should end. */
static WAITS bool work_some(struct relay_work *w, struct relay_lease *to)
{
    struct msg_queue_lease_r l;
    if (lease(w, to, &l) < 0)
        return false;
    struct relay_job *jobs = arena_alloc(&to->mem, (l.messages.n + 1) * sizeof *jobs);
    for (uint32_t i = 0; i < l.messages.n; i++)
        relay_job_init(&jobs[i], w, to, &l, &l.messages.v[i]);
    for (uint32_t i = 0; i < l.messages.n; i++) {
        if (relay_out.stopping || w->d->dead_until_ms > clock_mono_ms())
            relay_job_give_back(&jobs[i]);
        else if (relay_job_ours(&jobs[i]))
            relay_job_deliver(&jobs[i], i + 1 < l.messages.n ? &jobs[i + 1] : NULL);
    }
    return l.messages.n > 0 && !relay_out.stopping && w->d->dead_until_ms == 0;
}

static bool turn_over(const struct relay_work *w)
{
    int64_t now = clock_mono_ms();
    return queue_destination_turn_over(&relay_out.table, w->d, now - w->began_ms, now);
}

WAITS void relay_work_run(void *arg)
{
    struct relay_work w = {.d = arg, .began_ms = clock_mono_ms(), .policy = ""};
    unsigned turn = 0;
    arena_init(&w.leases[0].mem);
    arena_init(&w.leases[1].mem);
    arena_init(&w.call);
    arena_init(&w.tried_mem);
    while (work_some(&w, &w.leases[turn]) && !turn_over(&w))
        turn ^= 1;
    for (turn = 0; turn < 2; turn++) {
        relay_job_told(&w.leases[turn]);
        arena_done(&w.leases[turn].mem);
    }
    forget_way(&w);
    arena_done(&w.call);
    arena_done(&w.tried_mem);
    queue_destination_end(&relay_out.table, w.d);
    relay_out_over();
}
