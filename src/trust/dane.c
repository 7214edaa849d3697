#include "trust/dane.h"

/* RFC 6698 7.2 */
enum { USE_TA = 2, USE_EE = 3, SELECT_MAX = 1, MATCH_ALL = 0, MATCH_SHA256 = 1, MATCH_SHA512 = 2 };

bool dane_usable(const struct dns_tlsa *t)
{
    /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are not for mail */
    if ((t->usage != USE_TA && t->usage != USE_EE) || t->selector > SELECT_MAX)
        return false;
    switch (t->matching) {
    case MATCH_ALL: return t->data.n > 0;
    case MATCH_SHA256: return t->data.n == 32;
    case MATCH_SHA512: return t->data.n == 64;
    default: return false;
    }
}

static bool failed(enum dns_status s)
{
    return s == DNS_SERVFAIL || s == DNS_BOGUS; /* RFC 7672 2.1.1: all the same */
}

struct candidates {
    struct span name[2];
    size_t n;
    bool failed;
};

/* RFC 7672 2.2.2: under which names records may stand. What is not secure is not asked for: some servers of such zones
 * do not answer questions for TLSA at all. */
static WAITS struct candidates candidates(const struct dane_host *h, struct arena *mem)
{
    const struct dns_answer *a = &h->addresses->answer;
    struct candidates c = {0};
    struct dns_answer alias;
    if (span_eq_nocase(a->canonical, h->host)) {
        if (a->secure)
            c.name[c.n++] = h->host;
        return c;
    }
    if (a->secure) { /* secure CNAME: the end first */
        c.name[c.n++] = a->canonical;
        c.name[c.n++] = h->host;
        return c;
    }
    /* insecure CNAME: its first step decides */
    dns_query(h->host, DNS_CNAME, &alias, mem);
    c.failed = failed(alias.status);
    if (alias.status == DNS_OK && alias.secure)
        c.name[c.n++] = h->host;
    return c;
}

/* RFC 7672 3.2.2: further reference identifiers */
static void add_name(struct dane *out, struct span name)
{
    if (name.n == 0 || span_eq_nocase(name, out->base))
        return;
    for (size_t i = 0; i < out->n_names; i++)
        if (span_eq_nocase(name, out->names[i]))
            return;
    out->names[out->n_names++] = name;
}

static void add_names(const struct dane_host *h, struct dane *out)
{
    if (h->from_mx && !h->mx_secure)
        return; /* whoever forged the MX would have his own name there */
    add_name(out, h->next_hop);
    if (h->from_mx)
        add_name(out, h->next_hop_canonical);
}

/* RFC 7671 9: of several digests OpenSSL goes by the strongest, so all are handed on. */
static void take(struct dns_tlsas *t, struct dane *out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (dane_usable(&t->v[i]))
            t->v[n++] = t->v[i];
    out->tlsa = t->v;
    out->n_tlsa = n;
    out->verdict = n > 0 ? DANE_VERIFY : DANE_ENCRYPT; /* RFC 7672 2.2: unusable ones still promise TLS */
}

WAITS enum dane_verdict dane_find(const struct dane_host *h, struct dane *out, struct arena *mem)
{
    struct dns_tlsas t;
    *out = (struct dane){.base = h->host, .whole_way = !h->from_mx || h->mx_secure};
    struct candidates c = candidates(h, mem);
    if (c.failed)
        return out->verdict = DANE_DEFER;
    for (size_t i = 0; i < c.n; i++) {
        /* RFC 7672 2.2.3 */
        dns_tlsa(arena_printf(mem, "_%u._tcp.%.*s", h->port, SPAN_ARGS(c.name[i])), &t, mem);
        if (failed(t.answer.status))
            return out->verdict = DANE_DEFER;
        if (t.answer.status == DNS_OK && t.answer.secure) {
            out->base = c.name[i];
            add_names(h, out);
            take(&t, out);
            return out->verdict;
        }
    }
    return out->verdict;
}

void dane_want(const struct dane *d, struct tls_client_want *out)
{
    *out = (struct tls_client_want){.verify = TLS_WANT_ANY, .name = d->base};
    if (d->verdict != DANE_VERIFY)
        return;
    out->verify = TLS_WANT_DANE;
    out->also = d->names;
    out->n_also = d->n_names;
    out->tlsa = d->tlsa;
    out->n_tlsa = d->n_tlsa;
}
