/* Policies that were fetched, by domain. Those asked for longest ago go first when there are too many: a sender that cannot
 * keep a policy is as good as one that never saw it (RFC 8461 10.2), but not worse. */
#include "base/list.h"
#include "base/map.h"
#include "trust/mtasts.h"

enum { REFRESH_S = 86400, RETRY_S = 300 };

struct entry {
    struct list node;           /* in order of use, the latest last */
    struct arena mem;           /* of the policy */
    bool valid;                 /* there is one, perhaps run out */
    struct mtasts_policy policy;
    int64_t fetched_s, failed_s;
    size_t id_n, failed_id_n, domain_n;
    char id[MTASTS_ID_MAX], failed_id[MTASTS_ID_MAX], domain[256];
};

struct mtasts_cache {
    struct map by_domain;
    struct list used;
    size_t most;
};

struct mtasts_cache *mtasts_cache_new(size_t most)
{
    struct mtasts_cache *c = base_alloc(sizeof *c);
    map_init(&c->by_domain);
    list_init(&c->used);
    c->most = most;
    return c;
}

static void entry_free(struct mtasts_cache *c, struct entry *e)
{
    map_take(&c->by_domain, span_of(e->domain, e->domain_n));
    list_remove(&e->node);
    arena_done(&e->mem);
    free(e);
}

void mtasts_cache_free(struct mtasts_cache *c)
{
    if (c == NULL)
        return;
    while (!list_empty(&c->used))
        entry_free(c, LIST_ITEM(c->used.next, struct entry, node));
    map_done(&c->by_domain);
    free(c);
}

static bool holds(const struct entry *e, int64_t now_s)
{
    return e != NULL && e->valid && now_s < e->fetched_s + (int64_t)e->policy.max_age_s;
}

const struct mtasts_policy *mtasts_cache_get(struct mtasts_cache *c, struct span domain, int64_t now_s)
{
    struct entry *e = map_get(&c->by_domain, domain);
    if (!holds(e, now_s))
        return NULL;
    list_remove(&e->node);
    list_push(&c->used, &e->node);
    return &e->policy;
}

bool mtasts_cache_stale(const struct mtasts_cache *c, struct span domain, struct span id, int64_t now_s)
{
    const struct entry *e = map_get(&c->by_domain, domain);
    if (e == NULL)
        return true;
    if (e->failed_s > now_s - RETRY_S && span_eq(id, span_of(e->failed_id, e->failed_id_n)))
        return false;
    return !holds(e, now_s) || !span_eq(id, span_of(e->id, e->id_n)) || now_s >= e->fetched_s + REFRESH_S;
}

static struct entry *entry_for(struct mtasts_cache *c, struct span domain)
{
    struct entry *e = map_get(&c->by_domain, domain);
    if (e == NULL && domain.n <= sizeof e->domain) {
        if (map_count(&c->by_domain) >= c->most)
            entry_free(c, LIST_ITEM(c->used.next, struct entry, node));
        e = base_alloc(sizeof *e);
        memcpy(e->domain, domain.p, domain.n);
        e->domain_n = domain.n;
        e->failed_s = INT64_MIN;
        arena_init(&e->mem);
        list_push(&c->used, &e->node);
        map_put(&c->by_domain, domain, e);
    }
    return e;
}

int mtasts_cache_put(struct mtasts_cache *c, struct span domain, struct span id, struct span text, int64_t now_s)
{
    struct entry *e = entry_for(c, domain);
    struct arena mem;
    struct mtasts_policy p;
    if (e == NULL || id.n > MTASTS_ID_MAX)
        return -1;
    arena_init(&mem);
    if (text.p == NULL || mtasts_parse(text, &p, &mem) != 0) {
        arena_done(&mem);
        e->failed_s = now_s;
        memcpy(e->failed_id, id.p, id.n);
        e->failed_id_n = id.n;
        return -1;
    }
    arena_done(&e->mem);
    e->mem = mem;
    e->policy = p;
    e->valid = true;
    e->fetched_s = now_s;
    e->failed_s = INT64_MIN;
    memcpy(e->id, id.p, id.n);
    e->id_n = id.n;
    return 0;
}
