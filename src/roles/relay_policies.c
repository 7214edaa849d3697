/* Policies of MTA-STS outlive relay in the store, as small values that run out when they do. */
#include "base/log.h"
#include "roles/relay_out.h"

static struct span key_of(struct span domain, struct arena *mem)
{
    return arena_printf(mem, "mtasts/%.*s", SPAN_ARGS(domain));
}

static WAITS int get(struct span domain, struct span *kept, struct arena *mem)
{
    struct msg_kv_get ask = {.key = key_of(domain, mem)};
    struct msg_kv_get_r r;
    struct fail f;
    if (IPC_CALL(ROLE_STORE, kv_get, &ask, &r, mem, &f) < 0 || r.found == 0)
        return -1;
    *kept = r.value;
    return 0;
}

/* One that is too big for a small value is not kept, and fetched again. */
static WAITS void put(struct span domain, struct span kept, int64_t ttl_s, struct arena *mem)
{
    struct msg_kv_set ask = {.key = key_of(domain, mem), .value = kept, .ttl_s = ttl_s};
    struct msg_kv_set_r r;
    struct fail f;
    if (IPC_CALL(ROLE_STORE, kv_set, &ask, &r, mem, &f) < 0)
        LOG(LOG_WARN, "relay.policy", L_SPAN("domain", domain), L_Z("why", f.text));
}

const struct mtasts_fetch_keeper relay_policies = {.get = get, .put = put};
