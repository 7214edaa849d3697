/* libunbound does the work: iterates from the root (or asks forwarders), validates, caches. Its thread is made by the first
 * question, so one for "localhost", which it answers itself, is asked before the sandbox closes. Answers come through a
 * pipe that the loop watches. */
#include "run/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <poll.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"
#include "run/loop.h"

/* The keys of the root, of 2017 and 2024 (https://data.iana.org/root-anchors/root-anchors.xml). */
static const char *const root_anchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

enum { CLASS_IN = 1, RCODE_OK = 0, RCODE_NXDOMAIN = 3 };
enum { START_MS = 10000 };

struct query {
    struct list node;
    struct loop_timer timer;
    resolver_done *done;
    void *arg;
    int async_id;
};

static struct ub_ctx *ctx;
static struct loop_io io;
static size_t under_way;
static struct list queries; /* all of them */
static bool given_up;
static bool answers_all; /* somebody is configured who answers for every name */

/* ---- configuration ---- */

static int set(const char *option, const char *value, struct fail *f)
{
    int e = ub_ctx_set_option(ctx, option, value);
    return e == 0 ? 0 : fail_perm(f, "5.3.5", "resolver: %s %s: %s", option, value, ub_strerror(e));
}

static int set_number(const char *option, int64_t value, struct fail *f)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return set(option, text, f);
}

/* "192.0.2.1:53" or "[2001:db8::1]:53" as unbound writes it: address@port. */
static int addr_of(struct span s, char out[64])
{
    ptrdiff_t colon = span_rfind_char(s, ':');
    if (colon <= 0 || s.n > 60)
        return -1;
    struct span host = span_sub(s, 0, (size_t)colon);
    if (host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_sub(host, 1, host.n - 2);
    snprintf(out, 64, "%.*s@%.*s", SPAN_ARGS(host), SPAN_ARGS(span_from(s, (size_t)colon + 1)));
    return 0;
}

static int set_forwards(struct span list, struct fail *f)
{
    if (list.n == 0 || span_eq_nocase(list, SPAN("none")))
        return 0;
    while (list.p != NULL) {
        char addr[64];
        struct span one = span_trim(span_split(&list, ' '));
        if (one.n == 0)
            continue;
        int e;
        if (addr_of(one, addr) < 0 || (e = ub_ctx_set_fwd(ctx, addr)) != 0)
            return fail_perm(f, "5.3.5", "dns.forward: %.60s is no address", addr);
    }
    answers_all = true;
    return 0;
}

/* "zone=ip:port" with blanks between; a zone may come again with a further address. */
static int set_stubs(struct span list, struct fail *f)
{
    while (list.p != NULL && list.n > 0) {
        char addr[64], zone[DNS_NAME_MAX + 2];
        struct span one = span_trim(span_split(&list, ' ')), at = one, name = span_split(&at, '=');
        if (one.n == 0)
            continue;
        snprintf(zone, sizeof zone, "%.*s", SPAN_ARGS(name));
        if (name.n == 0 || name.n > DNS_NAME_MAX || at.n == 0 || addr_of(at, addr) < 0 || ub_ctx_set_stub(ctx, zone, addr, 0) != 0)
            return fail_perm(f, "5.3.5", "dns.stub: %.*s is not zone=address:port", (int)MIN_OF(one.n, (size_t)80), one.p);
        answers_all |= strcmp(zone, ".") == 0;
    }
    return 0;
}

/* A file, or the text of one DS record. */
static int set_anchor(struct span anchor, struct fail *f)
{
    int e = 0;
    char text[256];
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(anchor));
    if (anchor.n == 0)
        for (size_t i = 0; i < COUNT_OF(root_anchors) && e == 0; i++)
            e = ub_ctx_add_ta(ctx, root_anchors[i]);
    else if (text[0] == '/')
        e = access(text, R_OK) == 0 ? ub_ctx_add_ta_file(ctx, text) : UB_READFILE;
    else
        e = ub_ctx_add_ta(ctx, text);
    return e == 0 ? 0 : fail_perm(f, "5.3.5", "dns.trust_anchor %.80s: %s", text, ub_strerror(e));
}

static int set_root_hints(struct span file, struct fail *f)
{
    char path[256];
    if (file.n == 0)
        return 0;
    snprintf(path, sizeof path, "%.*s", SPAN_ARGS(file));
    if (access(path, R_OK) != 0)
        return fail_perm(f, "5.3.5", "dns.root_hints %.100s: %s", path, strerrordesc_np(errno));
    return set("root-hints:", path, f);
}

/* What is on the loopback is asked only when somebody said so. */
static bool names_loopback(struct span s)
{
    return span_find(s, SPAN("127.")) >= 0 || span_find(s, SPAN("[::1]")) >= 0;
}

static int configure(struct fail *f)
{
    struct span forward = config_text(CONFIG_dns_forward), stub = config_text(CONFIG_dns_stub);
    static const char *const options[][2] = {
        {"qname-minimisation:", "yes"},     /* RFC 9156 */
        {"harden-dnssec-stripped:", "yes"}, {"harden-glue:", "yes"},          {"harden-below-nxdomain:", "yes"},
        {"aggressive-nsec:", "yes"},        {"val-clean-additional:", "yes"}, {"minimal-responses:", "yes"},
        {"use-syslog:", "no"},              {"logfile:", ""},                 {"do-daemonize:", "no"},
        {"outgoing-range:", "256"},         {"outgoing-num-tcp:", "16"},
    };
    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (set(options[i][0], options[i][1], f) < 0)
            return -1;
    if ((names_loopback(forward) || names_loopback(stub)) && set("do-not-query-localhost:", "no", f) < 0)
        return -1;
    int64_t cache = LIMIT(DNS_CACHE_BYTES);
    return set_number("rrset-cache-size:", cache / 2, f) < 0 || set_number("msg-cache-size:", cache / 4, f) < 0 ||
            set_number("key-cache-size:", cache / 8, f) < 0 || set_number("neg-cache-size:", cache / 8, f) < 0 ||
            set_number("cache-max-ttl:", LIMIT(DNS_TTL_S), f) < 0 ||
            set_number("cache-max-negative-ttl:", MIN_OF(LIMIT(DNS_TTL_S), 900), f) < 0 ||
            set_number("num-queries-per-thread:", LIMIT(DNS_QUERIES), f) < 0 || set_forwards(forward, f) < 0 ||
            set_stubs(stub, f) < 0 || set_root_hints(config_text(CONFIG_dns_root_hints), f) < 0 ||
            set_anchor(config_text(CONFIG_dns_trust_anchor), f) < 0
        ? -1
        : 0;
}

/* Names that unbound would answer itself, for no server of the net knows them (RFC 6761, RFC 6303); somebody who answers for
 * everything may. It can only be told once it has them. */
static int ask_for_local_names(void)
{
    static const char *const zones[] = {"test.", "127.in-addr.arpa.", "10.in-addr.arpa.", "168.192.in-addr.arpa."};
    int e = 0;
    for (size_t i = 0; i < COUNT_OF(zones) && e == 0; i++)
        e = ub_ctx_zone_remove(ctx, zones[i]);
    return e;
}

int resolver_open(struct fail *f)
{
    struct ub_result *r = NULL;
    ctx = ub_ctx_create();
    if (ctx == NULL)
        return fail_temp(f, "4.3.0", "resolver: no memory or randomness");
    ub_ctx_debuglevel(ctx, 0);
    if (configure(f) < 0)
        return -1;
    int e = ub_ctx_async(ctx, 1);
    if (e == 0) /* reads the files that the options name, and what unbound itself wants to read */
        e = ub_resolve(ctx, "localhost", DNS_A, CLASS_IN, &r);
    ub_resolve_free(r);
    if (e == 0 && answers_all)
        e = ask_for_local_names();
    return e == 0 ? 0 : fail_perm(f, "5.3.5", "resolver: %s (see [dns] in postel.conf)", ub_strerror(e));
}

static void started(void *arg, int err, struct ub_result *r)
{
    *(int *)arg = err;
    ub_resolve_free(r);
}

int resolver_start(struct fail *f)
{
    int got = -1000, e;
    sigset_t all, before; /* signals are the loop thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = ub_resolve_async(ctx, "localhost", DNS_A, CLASS_IN, &got, started, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int64_t until = clock_mono_ms() + START_MS;
    struct pollfd p = {.fd = ub_fd(ctx), .events = POLLIN};
    while (e == 0 && got == -1000 && clock_mono_ms() < until)
        if (poll(&p, 1, 1000) > 0)
            e = ub_process(ctx);
    if (e == 0 && got == 0)
        return 0;
    return fail_temp(f, "4.3.0", "resolver: its thread does not answer: %s", ub_strerror(e != 0 ? e : got));
}

/* ---- questions ---- */

static void on_ready(struct loop_io *ready, unsigned events)
{
    int e = ub_process(ctx); /* reads all there is */
    if (e != 0)
        LOG(LOG_ERROR, "dns.process", L_Z("error", ub_strerror(e)));
}

int resolver_begin(struct fail *f)
{
    io = (struct loop_io){.fd = ub_fd(ctx), .ready = on_ready};
    return loop_watch(&io) == 0 ? 0 : fail_errno(f, "resolver", errno);
}

void resolver_close(void)
{
    if (io.ready != NULL)
        loop_unwatch(&io);
    io = (struct loop_io){0};
    ub_ctx_delete(ctx);
    ctx = NULL;
}

static void finish(struct query *q, const struct dns_answer *answer)
{
    loop_timer_clear(&q->timer);
    list_remove(&q->node);
    under_way--;
    q->done(q->arg, answer);
    free(q);
}

static void on_timeout(struct loop_timer *t)
{
    struct query *q = CONTAINER_OF(t, struct query, timer);
    ub_cancel(ctx, q->async_id); /* on_answer is not called any more */
    finish(q, &(struct dns_answer){.status = DNS_SERVFAIL});
}

void resolver_give_up(void)
{
    given_up = true;
    while (queries.next != NULL && !list_empty(&queries))
        on_timeout(&LIST_ITEM(queries.next, struct query, node)->timer);
}

static enum dns_status status_of(const struct ub_result *r)
{
    if (r->bogus)
        return DNS_BOGUS;
    if (r->nxdomain || r->rcode == RCODE_NXDOMAIN)
        return DNS_NXDOMAIN;
    if (r->rcode != RCODE_OK)
        return DNS_SERVFAIL;
    return r->havedata ? DNS_OK : DNS_NODATA;
}

enum { RECORDS = 512 };

/* The records of an answer; nobody's answer is as large as to be cut but somebody's who wants to see what happens then. */
static size_t records_of(const struct ub_result *r, struct msg_dns_record *out)
{
    size_t n = 0;
    int64_t room = LIMIT(DNS_ANSWER_BYTES);
    for (; n < RECORDS && r->data[n] != NULL && (room -= r->len[n]) >= 0; n++)
        out[n].rdata = span_of(r->data[n], (size_t)r->len[n]);
    return r->data[n] == NULL ? n : 0;
}

static void on_answer(void *arg, int err, struct ub_result *r)
{
    struct query *q = arg;
    struct dns_answer a = {.status = DNS_SERVFAIL};
    struct msg_dns_record records[RECORDS];
    if (err == 0 && r != NULL) {
        a = (struct dns_answer){.status = status_of(r), .secure = r->secure != 0, .canonical = span_z(r->canonname)};
        a.ttl_s = r->ttl > 0 ? (uint32_t)MIN_OF((int64_t)r->ttl, LIMIT(DNS_TTL_S)) : 0;
        if (a.status == DNS_OK) {
            a.records = records;
            a.n = records_of(r, records);
            a.status = a.n > 0 ? DNS_OK : DNS_SERVFAIL;
        }
        if (a.status == DNS_BOGUS)
            LOG(LOG_INFO, "dns.bogus", L_Z("name", r->qname), L_INT("type", r->qtype), L_Z("why", r->why_bogus));
    }
    finish(q, &a);
    ub_resolve_free(r);
}

void resolver_ask(struct span name, enum dns_type type, resolver_done *done, void *arg)
{
    char text[DNS_NAME_MAX + 2];
    struct dns_answer no = {.status = dns_rr_askable(name) ? DNS_SERVFAIL : DNS_NXDOMAIN};
    if (no.status == DNS_NXDOMAIN || given_up || under_way >= (size_t)LIMIT(DNS_QUERIES)) {
        done(arg, &no);
        return;
    }
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(name));
    struct query *q = base_alloc(sizeof *q);
    q->done = done;
    q->arg = arg;
    loop_timer_init(&q->timer, on_timeout);
    if (queries.next == NULL)
        list_init(&queries);
    list_push(&queries, &q->node);
    int e = ub_resolve_async(ctx, text, (int)type, CLASS_IN, q, on_answer, &q->async_id);
    under_way++;
    if (e != 0) {
        LOG(LOG_WARN, "dns.ask", L_Z("error", ub_strerror(e)));
        finish(q, &no);
        return;
    }
    loop_timer_set(&q->timer, clock_mono_ms() + (int64_t)config_count(CONFIG_dns_timeout) * 1000);
}

/* ---- from coroutines ---- */

struct asked {
    struct arena mem;
    struct dns_answer answer;
    struct coro *waiter;
    bool over, forgotten;
};

static void asked_free(struct asked *a)
{
    arena_done(&a->mem);
    free(a);
}

static void copy_answer(struct dns_answer *to, const struct dns_answer *from, struct arena *mem)
{
    *to = *from;
    struct msg_dns_record *r = arena_alloc(mem, (from->n + 1) * sizeof *r);
    for (size_t i = 0; i < from->n; i++)
        r[i].rdata = arena_copy(mem, from->records[i].rdata);
    to->records = r;
    to->canonical = arena_copy(mem, from->canonical);
}

static void on_asked(void *arg, const struct dns_answer *answer)
{
    struct asked *a = arg;
    if (a->forgotten) {
        asked_free(a);
        return;
    }
    copy_answer(&a->answer, answer, &a->mem);
    a->over = true;
    if (a->waiter != NULL)
        coro_wake(a->waiter);
}

static void *way_begin(struct span name, enum dns_type type)
{
    struct asked *a = base_alloc(sizeof *a);
    arena_init(&a->mem);
    resolver_ask(name, type, on_asked, a);
    return a;
}

static WAITS void way_finish(void *asked, struct dns_answer *out, struct arena *mem)
{
    struct asked *a = asked;
    int r = WAIT_OK;
    a->waiter = coro_self();
    while (!a->over && r == WAIT_OK)
        r = coro_wait(CORO_FOREVER); /* the query has a deadline */
    a->waiter = NULL;
    if (!a->over) { /* cancelled */
        a->forgotten = true;
        return;
    }
    copy_answer(out, &a->answer, mem);
    asked_free(a);
}

const struct dns_way resolver_way = {way_begin, way_finish};
