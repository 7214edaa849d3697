/* mtasts: policies of MTA-STS (RFC 8461): read, matched, kept, applied. No I/O: mtasts_fetch.h gets them. */
#ifndef POSTEL_MTASTS_H
#define POSTEL_MTASTS_H

#include "base/arena.h"

enum { MTASTS_ID_MAX = 32, MTASTS_POLICY_BYTES = 65536 };

enum mtasts_mode { MTASTS_MODE_NONE, MTASTS_MODE_TESTING, MTASTS_MODE_ENFORCE };

struct mtasts_policy {
    enum mtasts_mode mode;
    uint32_t max_age_s;     /* at most 31,557,600 */
    const struct span *mx;  /* patterns, lower case: "mail.example.org", "*.example.org" */
    size_t n_mx;
};

/* The id in the TXT records of _mta-sts.DOMAIN (each with its strings joined): 0, or -1 when there is not exactly one that
 * is right. *id is borrowed from texts. */
int mtasts_record(const struct span *texts, size_t n, struct span *id);
/* A policy's file: 0, or -1 when it is none. Lives in mem; text may go. */
int mtasts_parse(struct span text, struct mtasts_policy *out, struct arena *mem);
bool mtasts_match(const struct mtasts_policy *p, struct span host); /* RFC 8461 4.1 */

enum mtasts_verdict {
    MTASTS_FREE,    /* no policy holds */
    MTASTS_WATCH,   /* testing: a failure is noted, and mail goes on as without a policy */
    MTASTS_VERIFY,  /* TLS with a certificate of the host that an authority vouches for, or another host */
    MTASTS_REFUSE,  /* the host is not in the policy: another host, or later */
};
enum mtasts_verdict mtasts_decide(const struct mtasts_policy *p, struct span host); /* p NULL: there is none */

/* ---- what is kept, in memory; mtasts_fetch.h says how it outlives that ---- */

struct mtasts_cache;
struct mtasts_cache *mtasts_cache_new(size_t most); /* entries; beyond that the one used longest ago goes */
void mtasts_cache_free(struct mtasts_cache *c);
/* The policy of a domain that was fetched and has not run out, or NULL; borrowed until the next put. */
const struct mtasts_policy *mtasts_cache_get(struct mtasts_cache *c, struct span domain, int64_t now_s);
/* Whether to fetch, when DNS says `id` now: nothing is kept, the id is another one, or what is kept is a day old; but not
 * within 5 minutes after a failure with the same id (RFC 8461 3.3). */
bool mtasts_cache_stale(const struct mtasts_cache *c, struct span domain, struct span id, int64_t now_s);
/* What a fetch came to. text: the policy, or SPAN_NONE when there is none or it is not right: what is kept stays then until
 * it runs out. 0, or -1 for the latter. */
int mtasts_cache_put(struct mtasts_cache *c, struct span domain, struct span id, struct span text, int64_t now_s);

#endif
