#include "login/directory_leads.h"

enum { SHOWN = 200, SHOWN_BYTES = 100000 }; /* what a person reads, and a reply holds */

static struct span domain_of(struct span address)
{
    return span_from(address, (size_t)span_rfind_char(address, '@') + 1);
}

/* Does one of the targets lead into the domain, by whatever name that goes with it? */
static bool leads(const struct directory_cache *c, struct span targets, struct span name)
{
    const struct directory_domain *gone = directory_cache_domain(c, name);
    while (targets.p != NULL) {
        struct span to = domain_of(span_split(&targets, ' '));
        if (span_eq(to, name) || (gone != NULL && directory_cache_home(c, to) == gone))
            return true;
    }
    return false;
}

void directory_leads_find(const struct directory_cache *c, struct span name, struct arena *mem, struct directory_leads *out)
{
    struct span address;
    void *value;
    size_t bytes = 0;

    *out = (struct directory_leads){.v = arena_alloc(mem, SHOWN * sizeof *out->v)};
    for (size_t at = 0; map_next(&c->names, &at, &address, &value);) {
        const struct directory_name *n = value;
        if (n->targets == NULL || span_eq(domain_of(address), name) || !leads(c, span_z(n->targets), name))
            continue;
        out->all++;
        bytes += address.n + strlen(n->targets);
        if (out->n < SHOWN && bytes <= SHOWN_BYTES)
            out->v[out->n++] = (struct msg_alias_row){.address = address, .targets = span_z(n->targets)};
    }
}
