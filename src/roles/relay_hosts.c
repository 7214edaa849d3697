/* Which machines take a domain's mail (RFC 5321 5), and how well protected the way to each must be. */
#include <arpa/inet.h>

#include "base/limits.h"
#include "base/log.h"
#include "roles/relay_out.h"
#include "run/config.h"
#include "run/dns.h"
#include "trust/dane.h"
#include "trust/mtasts_fetch.h"

/* Why nothing was found, the most hopeful word counts: something that may pass before what will not. */
struct looking {
    struct relay_hosts *out;
    const struct queue_hop *hop;
    const struct dns_mx *mx; /* that named the hosts; NULL: none did */
    const struct mtasts_policy *sts; /* of the hop; NULL: none */
    bool temp;
    char last[160];
};

/* What the domain's policy says of a host without TLSA records. RFC 8461 2: DANE comes first. */
static bool by_policy(struct looking *l, struct relay_host *h)
{
    switch (mtasts_decide(l->sts, h->name)) {
    case MTASTS_FREE: case MTASTS_WATCH: return true;
    case MTASTS_VERIFY:
        h->tls = SMTP_OUT_TLS_MUST;
        h->verify.verify = TLS_WANT_CA;
        h->policy = "MTA-STS";
        return true;
    case MTASTS_REFUSE: /* RFC 8461 5: for now, for the policy may change */
        l->temp = true;
        snprintf(l->last, sizeof l->last, "%.*s is none of the hosts that the domain's policy (MTA-STS) names",
                 SPAN_ARGS(span_sub(h->name, 0, 80)));
        return false;
    }
    return true;
}

/* How the way to a host must be protected: what its TLSA records say, then the domain's policy, else as it comes. False:
 * not there, now. */
static WAITS bool protect(struct looking *l, const struct dns_addresses *addresses, struct relay_host *h)
{
    struct dane *d = arena_alloc(&l->out->mem, sizeof *d);
    struct dane_host ask = {.next_hop = l->hop->host, .host = h->name, .port = l->hop->port, .addresses = addresses};
    if (l->mx != NULL) {
        ask.next_hop_canonical = l->mx->answer.canonical;
        ask.from_mx = l->mx->n > 0;
        ask.mx_secure = l->mx->answer.secure;
    }
    switch (dane_find(&ask, d, &l->out->mem)) {
    case DANE_NONE: return by_policy(l, h);
    case DANE_DEFER:
        l->temp = true;
        snprintf(l->last, sizeof l->last, "the TLSA records of %.*s cannot be had now", SPAN_ARGS(span_sub(h->name, 0, 80)));
        return false;
    case DANE_ENCRYPT: case DANE_VERIFY:
        dane_want(d, &h->verify);
        h->tls = SMTP_OUT_TLS_MUST;
        h->policy = d->verdict == DANE_VERIFY ? "DANE" : "DANE without a usable record";
        return true;
    }
    return true;
}

static void add(struct looking *l, const struct relay_host *like, const struct conn_addr *addr)
{
    struct relay_host h = *like;
    struct span name = h.name;
    h.addr = *addr;
    if (l->out->v.n >= (size_t)LIMIT(RELAY_HOSTS))
        return;
    if (queue_address_special(addr->ip) && !config_net_has(CONFIG_relay_allow, addr->ip)) {
        snprintf(l->last, sizeof l->last, "%.*s has the address %s, which mail is not sent to", SPAN_ARGS(span_sub(name, 0, 80)),
                 addr->text);
        return;
    }
    h.addr.port = l->hop->port;
    if (l->hop->port == 465)
        h.tls = SMTP_OUT_TLS_DIRECT;
    if (l->hop->login && relay_out.user.n > 0) { /* a password goes to nobody but its host */
        h.tls = l->hop->port == 465 ? SMTP_OUT_TLS_DIRECT : SMTP_OUT_TLS_MUST;
        h.verify.verify = TLS_WANT_CA;
    }
    *VEC_PUSH(&l->out->v) = h;
}

static struct relay_host some_host(struct span name)
{
    return (struct relay_host){.name = name, .tls = SMTP_OUT_TLS_MAY, .policy = "",
                               .verify = {.verify = TLS_WANT_ANY, .name = name}};
}

static WAITS void look_up(struct looking *l, struct span name)
{
    struct relay_host h = some_host(name);
    struct dns_addresses a;
    enum dns_status status = dns_addresses(name, &a, &l->out->mem);
    if (status == DNS_SERVFAIL || status == DNS_BOGUS) {
        l->temp = true;
        snprintf(l->last, sizeof l->last, "the address of %.*s cannot be found out now (%s)", SPAN_ARGS(span_sub(name, 0, 80)),
                 dns_status_word(status));
        return;
    }
    if (status != DNS_OK)
        snprintf(l->last, sizeof l->last, "%.*s has no address", SPAN_ARGS(span_sub(name, 0, 80)));
    bool fine = status == DNS_OK && protect(l, &a, &h);
    for (size_t i = 0; fine && i < a.n; i++)
        add(l, &h, &a.v[i]);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
static int literal(struct span host, struct conn_addr *out)
{
    char z[64];
    unsigned char ip[16];
    struct span in = span_sub(host, 1, host.n - 2);
    bool six = span_starts_nocase(in, SPAN("IPv6:"));
    in = six ? span_from(in, 5) : in;
    if (in.n == 0 || in.n >= sizeof z)
        return -1;
    memcpy(z, in.p, in.n);
    z[in.n] = 0;
    if (inet_pton(six ? AF_INET6 : AF_INET, z, ip) != 1)
        return -1;
    return conn_addr_ip(out, span_of(ip, six ? 16 : 4), 0);
}

static WAITS int nothing(struct looking *l, struct smtp_out_answer *why)
{
    if (l->out->v.n > 0)
        return 0;
    if (l->temp)
        smtp_out_say(why, QUEUE_DEFERRED, "4.4.3", "%s", l->last);
    else
        smtp_out_say(why, QUEUE_FAILED, "5.4.4", "%s", l->last[0] != 0 ? l->last : "no host takes this domain's mail");
    return -1;
}

/* RFC 5321 5.1: hosts that are not nearer than ourselves are left out, lest mail runs in a circle. */
static size_t before_us(const struct dns_mx *mx)
{
    for (size_t i = 0; i < mx->n; i++)
        if (span_eq_nocase(mx->hosts[i].name, relay_out.helo)) {
            size_t n = i;
            while (n > 0 && mx->hosts[n - 1].preference == mx->hosts[i].preference)
                n--;
            return n;
        }
    return mx->n;
}

static WAITS int by_mx(struct looking *l, struct smtp_out_answer *why)
{
    struct dns_mx mx;
    struct span domain = l->hop->host;
    switch (dns_mx(domain, &mx, &l->out->mem)) {
    case DNS_NXDOMAIN:
        smtp_out_say(why, QUEUE_FAILED, "5.1.2", "the domain %.*s does not exist", SPAN_ARGS(span_sub(domain, 0, 200)));
        return -1;
    case DNS_SERVFAIL: case DNS_BOGUS:
        smtp_out_say(why, QUEUE_DEFERRED, "4.4.3", "who takes the mail of %.*s cannot be found out now (%s)",
                     SPAN_ARGS(span_sub(domain, 0, 200)), dns_status_word(mx.answer.status));
        return -1;
    case DNS_NODATA: /* the domain is its own host */
        l->mx = &mx;
        look_up(l, domain);
        return nothing(l, why);
    case DNS_OK: break;
    }
    if (mx.null_mx) { /* RFC 7505 4.2 */
        smtp_out_say(why, QUEUE_FAILED, "5.1.10", "the domain %.*s takes no mail (null MX)", SPAN_ARGS(span_sub(domain, 0, 200)));
        return -1;
    }
    size_t n = before_us(&mx);
    l->mx = &mx;
    if (n == 0 && mx.n > 0) {
        smtp_out_say(why, QUEUE_FAILED, "5.4.6", "the mail of %.*s should come to this server, which knows no such domain",
                     SPAN_ARGS(span_sub(domain, 0, 200)));
        return -1;
    }
    for (size_t i = 0; i < n && l->out->v.n < (size_t)LIMIT(RELAY_HOSTS); i++)
        look_up(l, mx.hosts[i].name);
    return nothing(l, why);
}

WAITS int relay_hosts_find(const struct queue_hop *hop, struct relay_hosts *out, struct smtp_out_answer *why)
{
    struct looking l = {.out = out, .hop = hop};
    struct conn_addr addr;
    *out = (struct relay_hosts){0};
    arena_init(&out->mem);
    if (hop->host.n > 2 && hop->host.p[0] == '[') {
        if (literal(hop->host, &addr) < 0) {
            smtp_out_say(why, QUEUE_FAILED, "5.1.2", "%.*s is no address of a host", SPAN_ARGS(span_sub(hop->host, 0, 200)));
            return -1;
        }
        struct relay_host h = some_host(hop->host);
        add(&l, &h, &addr);
        return nothing(&l, why);
    }
    l.sts = mtasts_fetch(hop->host, &out->mem); /* RFC 8461 3.4: a smart host's own, too */
    if (hop->mx)
        return by_mx(&l, why);
    look_up(&l, hop->host);
    int r = nothing(&l, why);
    if (r < 0) /* a smart host or route that is not there is our mistake, and no fault of the message */
        why->outcome = QUEUE_DEFERRED, why->status[0] = '4';
    return r;
}

void relay_hosts_done(struct relay_hosts *h)
{
    VEC_FREE(&h->v);
    arena_done(&h->mem);
}
