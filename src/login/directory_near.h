/* directory_near: whom of ours a mistyped address may have meant. */
#ifndef POSTEL_DIRECTORY_NEAR_H
#define POSTEL_DIRECTORY_NEAR_H

#include "login/directory_cache.h"

/* An account that is one slip away from `address` (a letter too many, missing, another one, or two that changed places:
 * Damerau 1964) in its local part, and in the domain of `asks`: nobody hears of accounts in other domains than his own. Only
 * for what is nobody's. A detail (RFC 5233) is kept. The address lives in mem; empty: none. Looked up, not searched for:
 * the number of accounts does not matter, some thousand lookups at most. */
struct span directory_near(struct directory_cache *c, const struct directory_account *asks, struct span address,
                           struct arena *mem);

#endif
