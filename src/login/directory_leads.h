/* directory_leads: which aliases would send mail out once a domain is no longer ours. */
#ifndef POSTEL_DIRECTORY_LEADS_H
#define POSTEL_DIRECTORY_LEADS_H

#include "login/directory_cache.h"

struct directory_leads {
    struct msg_alias_row *v; /* the first ones, in no order; borrowed from the cache until it changes */
    size_t n, all;           /* of v; of them all */
};

/* name: A-labels, of a domain, whose own aliases do not count as they go with it, or of another name of one. Looks at every
 * alias there is. v lives in mem. */
void directory_leads_find(const struct directory_cache *c, struct span name, struct arena *mem, struct directory_leads *out);

#endif
