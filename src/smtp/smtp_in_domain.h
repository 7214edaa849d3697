/* smtp_in_domain: whether a domain can take mail at all, and what a misspelt one may have been meant to be. */
#ifndef POSTEL_SMTP_IN_DOMAIN_H
#define POSTEL_SMTP_IN_DOMAIN_H

#include "base/arena.h"
#include "run/coro.h"

enum smtp_in_domain {
    SMTP_IN_DOMAIN_OK,
    SMTP_IN_DOMAIN_NONE,    /* it is not there, or has neither MX nor address (RFC 5321 5.1) */
    SMTP_IN_DOMAIN_NULL_MX, /* it says that it takes none (RFC 7505) */
    SMTP_IN_DOMAIN_UNKNOWN, /* nobody knows now: to be taken for good */
};

/* domain: A-labels. Waits as long as relay takes (dns.timeout). */
WAITS enum smtp_in_domain smtp_in_domain_ask(struct span domain, struct arena *mem);
/* A domain that many write to, or `own`, that is nearly `domain`; empty when none is near. Static, or own itself. */
struct span smtp_in_domain_suggest(struct span domain, struct span own);
/* How many single letters must be put in, taken out, changed, or swapped with their neighbour to make b of a (Damerau
 * 1964, Levenshtein 1966; no letter is edited twice); at most 64 bytes each, else UINT_MAX. */
unsigned smtp_in_domain_distance(struct span a, struct span b);

#endif
