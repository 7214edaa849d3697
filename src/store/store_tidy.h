/* store_tidy: what the committer does when nobody waits: small steps, a commit each. */
#ifndef POSTEL_STORE_TIDY_H
#define POSTEL_STORE_TIDY_H

#include "store/store_impl.h"

bool store_tidy_due(const struct store *s);
/* One step: threads of what came, keys of threads that ended, then old operations, tombstones, uploads, values. 0, or -1 for trouble of the index.
 */
int store_tidy(struct store *s);

#endif
