/* The count per neighbourhood lives only as long as somebody from there is connected. */
#include "roles/front_ip.h"

#include "base/limits.h"
#include "base/map.h"

static struct map counts; /* address -> how many, as a pointer's value */

static struct span key_of(const struct conn_addr *peer)
{
    return span_of(peer->ip, peer->v4 ? 16 : 8);
}

static bool exempt(const struct conn_addr *peer)
{
    static const unsigned char v6[16] = {[15] = 1};
    return peer->v4 ? peer->ip[12] == 127 : memcmp(peer->ip, v6, 16) == 0;
}

bool front_ip_enter(const struct conn_addr *peer)
{
    if (exempt(peer))
        return true;
    uintptr_t n = (uintptr_t)map_get(&counts, key_of(peer));
    if ((int64_t)n >= LIMIT(SESSIONS_PER_IP))
        return false;
    map_put(&counts, key_of(peer), (void *)(n + 1));
    return true;
}

void front_ip_leave(const struct conn_addr *peer)
{
    if (exempt(peer))
        return;
    uintptr_t n = (uintptr_t)map_get(&counts, key_of(peer));
    assert(n > 0);
    if (n > 1)
        map_put(&counts, key_of(peer), (void *)(n - 1));
    else
        map_take(&counts, key_of(peer));
}
