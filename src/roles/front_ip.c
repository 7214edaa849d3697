/* The count per neighbourhood lives only as long as somebody from there is connected. */
#include "roles/front_ip.h"

#include "base/limits.h"
#include "base/map.h"
#include "run/config.h"
#include "run/rate.h"

static struct map counts[2]; /* of addresses, of networks: key -> how many, as a pointer's value */

/* Connections come to all fronts of a kind alike: each has its share of a limit (SEC-14). */
static int64_t most(bool wide)
{
    int64_t limit = wide ? LIMIT(SESSIONS_PER_NET) : LIMIT(SESSIONS_PER_IP), fronts = (int64_t)config_count(CONFIG_server_fronts);
    return (limit + fronts - 1) / fronts;
}

static int64_t count(const struct conn_addr *peer, bool wide)
{
    return (int64_t)(uintptr_t)map_get(&counts[wide], rate_key(peer, wide));
}

static void set(const struct conn_addr *peer, bool wide, int64_t n)
{
    struct map *m = &counts[wide];
    if (n > 0)
        map_put(m, rate_key(peer, wide), (void *)(uintptr_t)n);
    else
        map_take(m, rate_key(peer, wide));
}

bool front_ip_enter(const struct conn_addr *peer)
{
    if (rate_exempt(peer))
        return true;
    if (count(peer, false) >= most(false) || count(peer, true) >= most(true) || !rate_take(RATE_CONNECT, peer))
        return false;
    for (int wide = 0; wide < 2; wide++)
        set(peer, wide, count(peer, wide) + 1);
    return true;
}

void front_ip_leave(const struct conn_addr *peer)
{
    if (rate_exempt(peer))
        return;
    for (int wide = 0; wide < 2; wide++) {
        assert(count(peer, wide) > 0);
        set(peer, wide, count(peer, wide) - 1);
    }
}
