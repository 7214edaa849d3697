/* store_tidy: what the committer does when nobody waits: small steps, a commit each. */
#ifndef POSTEL_STORE_TIDY_H
#define POSTEL_STORE_TIDY_H

#include "store/store_impl.h"

/* busy: between batches of a store that is never idle, when what goes by age has long been left. */
bool store_tidy_due(const struct store *s, bool busy);
/* One step: threads of what came, keys of threads that ended, then old operations, tombstones, uploads, values. 0, or -1 for trouble of the index.
 */
int store_tidy(struct store *s, bool busy);

#endif
