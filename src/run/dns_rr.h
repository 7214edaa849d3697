/* dns_rr: rdata of single records, strictly: what is not exactly one record of its type is none. */
#ifndef POSTEL_DNS_RR_H
#define POSTEL_DNS_RR_H

#include "base/arena.h"
#include "run/conn.h"
#include "run/dns_tlsa.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };

enum { DNS_NAME_MAX = 253 }; /* of a name as text (RFC 1035 2.3.4) */

struct dns_mx_host {
    uint16_t preference;
    struct span name; /* lower case, no last dot; empty: the root (RFC 7505) */
};

/* All return 0, or -1 and the record does not count. Results live in mem, or are borrowed from rdata (TLSA). */
int dns_rr_mx(struct span rdata, struct dns_mx_host *out, struct arena *mem);
int dns_rr_txt(struct span rdata, struct span *out, struct arena *mem);     /* its strings joined (RFC 7208 3.3) */
int dns_rr_tlsa(struct span rdata, struct dns_tlsa *out);
int dns_rr_name(struct span rdata, struct span *out, struct arena *mem);    /* of PTR, CNAME; names as in dns_mx_host */
int dns_rr_addr(enum dns_type type, struct span rdata, struct conn_addr *out); /* A, AAAA; port 0 */

/* Whether a name can be asked for: labels of 1 to 63 printable characters, 253 in all, a last dot or none. */
bool dns_rr_askable(struct span name);

#endif
