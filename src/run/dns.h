/* dns: asking for names and reading the answers. In relay the resolver answers at once, elsewhere relay is asked (dns of
 * ipc_table.h); one cache serves all. Names are A-labels (IDNA is the caller's), with or without the last dot. */
#ifndef POSTEL_DNS_H
#define POSTEL_DNS_H

#include "run/dns_rr.h"
#include "run/ipc.h"

/* What all answers have in common. There is no other failure than a status: whoever cannot be reached, relay included, is
 * DNS_SERVFAIL, to be tried again later; a name that cannot be is DNS_NXDOMAIN. */
struct dns_answer {
    enum dns_status status;
    bool secure;            /* validated by us (RFC 4035 4.3), CNAMEs on the way and denials included */
    uint32_t ttl_s;
    struct span canonical;  /* where CNAMEs led; the name asked for when there were none. Lower case, no last dot */
    const struct msg_dns_record *records; /* with DNS_OK at least one */
    size_t n;
};

/* Everything lives in mem. Waits at most dns.timeout and a little. Gives out->status. */
WAITS enum dns_status dns_query(struct span name, enum dns_type type, struct dns_answer *out, struct arena *mem);

/* Answers read. Records that are none of their type are left out; n may be 0 with DNS_OK when none can be read. */
struct dns_mx {
    struct dns_answer answer;
    bool null_mx;           /* RFC 7505: this domain takes no mail; no hosts then */
    struct dns_mx_host *hosts; /* by preference, in random order within one (RFC 5321 5.1) */
    size_t n;
};
struct dns_addresses {
    struct dns_answer answer; /* secure: of every address here; status DNS_OK when there is one, else the worse one */
    struct dns_answer a, aaaa; /* apart, for RFC 7672 2.2.2 */
    struct conn_addr *v;    /* IPv6 first (RFC 6724); port 0 */
    size_t n;
};
struct dns_texts { struct dns_answer answer; struct span *v; size_t n; };
struct dns_tlsas { struct dns_answer answer; struct dns_tlsa *v; size_t n; };
struct dns_names { struct dns_answer answer; struct span *v; size_t n; };

WAITS enum dns_status dns_mx(struct span domain, struct dns_mx *out, struct arena *mem);
WAITS enum dns_status dns_addresses(struct span host, struct dns_addresses *out, struct arena *mem); /* A and AAAA at once */
WAITS enum dns_status dns_txt(struct span name, struct dns_texts *out, struct arena *mem);
WAITS enum dns_status dns_tlsa(struct span name, struct dns_tlsas *out, struct arena *mem); /* "_25._tcp.mx.example.org" */
WAITS enum dns_status dns_ptr(const struct conn_addr *addr, struct dns_names *out, struct arena *mem);

const char *dns_status_word(enum dns_status status); /* for logs: "ok", "nodata", "nxdomain", "servfail", "bogus" */

/* How questions travel: by calls to relay unless a process says otherwise. begin may give NULL; finish ends what began. */
struct dns_way {
    void *(*begin)(struct span name, enum dns_type type);
    void (*finish)(void *asked, struct dns_answer *out, struct arena *mem);
};
void dns_use(const struct dns_way *way); /* NULL: calls to relay again */

#endif
