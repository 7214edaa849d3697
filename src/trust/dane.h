/* dane: which TLSA records hold for a mail server, and what follows from them (RFC 7672, 7671, 6698). */
#ifndef POSTEL_DANE_H
#define POSTEL_DANE_H

#include "run/dns.h"
#include "run/tls_client.h"

enum dane_verdict {
    DANE_NONE,    /* does not apply: whatever else is known of the host decides */
    DANE_ENCRYPT, /* TLS, or another host; the certificate is not looked at (records that nobody can use) */
    DANE_VERIFY,  /* TLS with a certificate that fits the records, or another host */
    DANE_DEFER,   /* the records cannot be had now: another host, or later */
};

/* A host to deliver to, as found so far. Names without the last dot. */
struct dane_host {
    struct span next_hop;           /* the domain of the recipients, or the smart host */
    struct span next_hop_canonical; /* where CNAMEs led the lookup of its MX (dns_mx.answer.canonical) */
    bool from_mx, mx_secure;        /* the host was named by MX records; they were secure */
    struct span host;               /* as the MX named it, or next_hop */
    uint16_t port;
    const struct dns_addresses *addresses; /* of host; at least one */
};

struct dane {
    enum dane_verdict verdict;
    struct span base;           /* TLSA base domain; DANE_NONE: the host */
    struct span names[2];       /* further names that its certificate may have (RFC 7672 3.2.2) */
    size_t n_names;
    const struct dns_tlsa *tlsa; /* those that can be used */
    size_t n_tlsa;
    bool whole_way;             /* the MX was secure too: what is verified is the recipients' domain, not only a host */
};

/* Looks the records up. Everything lives in mem. An address literal is not asked for: DANE does not apply to it. */
WAITS enum dane_verdict dane_find(const struct dane_host *h, struct dane *out, struct arena *mem);
/* What a connection wants then; borrows from d. Not for DANE_DEFER. */
void dane_want(const struct dane *d, struct tls_client_want *out);
/* RFC 7672 3.1: usage 2 or 3, a selector and a matching type that are known, data of the right length. */
bool dane_usable(const struct dns_tlsa *t);

#endif
