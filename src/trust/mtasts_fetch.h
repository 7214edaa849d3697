/* mtasts_fetch: the policy of a domain, from what is kept or from its host (RFC 8461 3.3, 5.1). */
#ifndef POSTEL_MTASTS_FETCH_H
#define POSTEL_MTASTS_FETCH_H

#include "trust/mtasts.h"
#include "run/coro.h"

/* Asks DNS for the domain's record and fetches its policy when what is kept is not fresh; http_client_open comes before.
 * domain: lower case A-labels, the next hop (a smart host's name for a smart host); never an address literal. Gives the
 * policy that holds, a copy in mem, or NULL. May take limit mtasts_fetch_s; several who ask for one domain share a fetch. */
WAITS const struct mtasts_policy *mtasts_fetch(struct span domain, struct arena *mem);

/* Where policies outlive us. get: what was put last for the domain and has not run out, lives in mem; 0, or -1. put: ttl_s
 * above 0. Both may sleep. Once, before the first fetch; borrowed for good. Without a keeper a restart forgets them. */
struct mtasts_fetch_keeper {
    WAITS int (*get)(struct span domain, struct span *kept, struct arena *mem);
    WAITS void (*put)(struct span domain, struct span kept, int64_t ttl_s, struct arena *mem);
};
void mtasts_fetch_keep(const struct mtasts_fetch_keeper *k);

void mtasts_fetch_done(void); /* forgets all; for tests */

#endif
