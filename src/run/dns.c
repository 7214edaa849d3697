#include "run/dns.h"

#include "base/rand.h"
#include "run/config.h"

enum { CALL_SLACK_MS = 3000 }; /* relay gives up first and says why */

/* ---- asking relay ---- */

static WAITS void *call_begin(struct span name, enum dns_type type)
{
    return ipc_begin(ROLE_RELAY, MSG_ID_dns, &(struct msg_dns){.name = name, .type = type}, NULL);
}

static WAITS void call_finish(void *asked, struct dns_answer *out, struct arena *mem)
{
    struct msg_dns_r rep = {0};
    int64_t wait_ms = (int64_t)config_count(CONFIG_dns_timeout) * 1000 + CALL_SLACK_MS;
    if (asked == NULL || ipc_finish(asked, &rep, mem, wait_ms, NULL) != 0)
        return;
    *out = (struct dns_answer){.status = rep.status <= DNS_BOGUS ? (enum dns_status)rep.status : DNS_SERVFAIL,
                               .secure = rep.secure != 0,
                               .ttl_s = rep.ttl_s,
                               .canonical = rep.canonical,
                               .records = rep.records.v,
                               .n = rep.records.n};
}

static const struct dns_way calls = {call_begin, call_finish};
static const struct dns_way *way = &calls;

void dns_use(const struct dns_way *other)
{
    way = other != NULL ? other : &calls;
}

/* ---- one question ---- */

struct question { struct span name; void *asked; bool can; };

static struct span plain(struct span name)
{
    return name.n > 0 && name.p[name.n - 1] == '.' ? span_sub(name, 0, name.n - 1) : name;
}

static WAITS struct question begin(struct span name, enum dns_type type)
{
    struct question q = {.name = plain(name), .can = dns_rr_askable(name)};
    if (q.can)
        q.asked = way->begin(q.name, type);
    return q;
}

static WAITS void finish(struct question q, struct dns_answer *out, struct arena *mem)
{
    *out = (struct dns_answer){.status = q.can ? DNS_SERVFAIL : DNS_NXDOMAIN};
    if (q.can)
        way->finish(q.asked, out, mem);
    if (out->status == DNS_OK && out->n == 0)
        out->status = DNS_NODATA;
    if (out->status != DNS_OK)
        out->n = 0;
    if (out->canonical.n == 0)
        out->canonical = arena_copy(mem, q.name);
    else
        out->canonical = plain(out->canonical);
    for (size_t i = 0; i < out->canonical.n; i++) { /* ours: it lies in mem */
        char *c = (char *)(uintptr_t)&out->canonical.p[i];
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 32);
    }
}

WAITS enum dns_status dns_query(struct span name, enum dns_type type, struct dns_answer *out, struct arena *mem)
{
    finish(begin(name, type), out, mem);
    return out->status;
}

/* ---- answers read ---- */

static int by_preference(const void *a, const void *b)
{
    const struct dns_mx_host *x = a, *y = b;
    return (x->preference > y->preference) - (x->preference < y->preference);
}

/* RFC 5321 5.1: hosts of one preference in random order. Shuffled first; then a sort that keeps the order of equals would
 * do, and since no equal two are alike to anybody, any sort does. */
static void sort_hosts(struct dns_mx_host *hosts, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rand_below(i);
        struct dns_mx_host h = hosts[i - 1];
        hosts[i - 1] = hosts[j];
        hosts[j] = h;
    }
    qsort(hosts, n, sizeof *hosts, by_preference);
}

WAITS enum dns_status dns_mx(struct span domain, struct dns_mx *out, struct arena *mem)
{
    *out = (struct dns_mx){0};
    dns_query(domain, DNS_MX, &out->answer, mem);
    out->hosts = arena_alloc(mem, (out->answer.n + 1) * sizeof *out->hosts);
    bool root = false;
    for (size_t i = 0; i < out->answer.n; i++) {
        struct dns_mx_host *h = &out->hosts[out->n];
        if (dns_rr_mx(out->answer.records[i].rdata, h, mem) != 0)
            continue;
        if (h->name.n == 0)
            root = true;
        else
            out->n++;
    }
    out->null_mx = root && out->n == 0; /* RFC 7505 3: there is no other; beside others it is nothing */
    sort_hosts(out->hosts, out->n);
    return out->answer.status;
}

static void add_addresses(const struct dns_answer *from, enum dns_type type, struct dns_addresses *out)
{
    for (size_t i = 0; i < from->n; i++)
        if (dns_rr_addr(type, from->records[i].rdata, &out->v[out->n]) == 0)
            out->n++;
}

/* Of two answers without an address: the one that leaves more open. */
static const struct dns_answer *worse(const struct dns_answer *a, const struct dns_answer *b)
{
    static const int rank[] = {[DNS_NXDOMAIN] = 1, [DNS_NODATA] = 2, [DNS_SERVFAIL] = 4, [DNS_BOGUS] = 3};
    return rank[a->status] >= rank[b->status] ? a : b;
}

WAITS enum dns_status dns_addresses(struct span host, struct dns_addresses *out, struct arena *mem)
{
    *out = (struct dns_addresses){0};
    struct question six = begin(host, DNS_AAAA), four = begin(host, DNS_A);
    finish(six, &out->aaaa, mem);
    finish(four, &out->a, mem);
    out->v = arena_alloc(mem, (out->aaaa.n + out->a.n + 1) * sizeof *out->v);
    add_addresses(&out->aaaa, DNS_AAAA, out);
    add_addresses(&out->a, DNS_A, out);
    bool six_ok = out->aaaa.status == DNS_OK, four_ok = out->a.status == DNS_OK;
    if (six_ok && four_ok)
        out->answer = out->aaaa.secure ? out->a : out->aaaa; /* secure when both are */
    else if (six_ok || four_ok)
        out->answer = six_ok ? out->aaaa : out->a;
    else
        out->answer = *worse(&out->aaaa, &out->a);
    return out->answer.status;
}

WAITS enum dns_status dns_txt(struct span name, struct dns_texts *out, struct arena *mem)
{
    *out = (struct dns_texts){0};
    dns_query(name, DNS_TXT, &out->answer, mem);
    out->v = arena_alloc(mem, (out->answer.n + 1) * sizeof *out->v);
    for (size_t i = 0; i < out->answer.n; i++)
        if (dns_rr_txt(out->answer.records[i].rdata, &out->v[out->n], mem) == 0)
            out->n++;
    return out->answer.status;
}

WAITS enum dns_status dns_tlsa(struct span name, struct dns_tlsas *out, struct arena *mem)
{
    *out = (struct dns_tlsas){0};
    dns_query(name, DNS_TLSA, &out->answer, mem);
    out->v = arena_alloc(mem, (out->answer.n + 1) * sizeof *out->v);
    for (size_t i = 0; i < out->answer.n; i++)
        if (dns_rr_tlsa(out->answer.records[i].rdata, &out->v[out->n]) == 0)
            out->n++;
    return out->answer.status;
}

/* RFC 1035 3.5, RFC 3596 2.5 */
static struct span reverse_name(const struct conn_addr *addr, struct arena *mem)
{
    const unsigned char *ip = addr->ip;
    if (addr->v4)
        return arena_printf(mem, "%u.%u.%u.%u.in-addr.arpa", ip[15], ip[14], ip[13], ip[12]);
    struct str s;
    str_init(&s, mem);
    for (size_t i = 16; i-- > 0;)
        str_addf(&s, "%x.%x.", ip[i] & 15u, ip[i] >> 4);
    str_addz(&s, "ip6.arpa");
    return str_span(&s);
}

WAITS enum dns_status dns_ptr(const struct conn_addr *addr, struct dns_names *out, struct arena *mem)
{
    *out = (struct dns_names){0};
    dns_query(reverse_name(addr, mem), DNS_PTR, &out->answer, mem);
    out->v = arena_alloc(mem, (out->answer.n + 1) * sizeof *out->v);
    for (size_t i = 0; i < out->answer.n; i++)
        if (dns_rr_name(out->answer.records[i].rdata, &out->v[out->n], mem) == 0 && out->v[out->n].n > 0)
            out->n++;
    return out->answer.status;
}

const char *dns_status_word(enum dns_status status)
{
    static const char *const words[] = {"ok", "nodata", "nxdomain", "servfail", "bogus"};
    return status < COUNT_OF(words) ? words[status] : "?";
}
