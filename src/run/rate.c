/* Token buckets by the generic cell rate algorithm (ITU-T I.371): a bucket is the one moment at which it will be full
 * again; taking a token moves that moment on by what a token costs in time. One that is full is not kept. */
#include "run/rate.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "run/config.h"

enum { BUCKETS_MAX = 65536, MINUTE_US = 60 * 1000 * 1000 };

static struct map buckets[RATE_COUNT]; /* key -> the moment in us, as a pointer's value */

static const struct { enum limit_id narrow, wide; } rates[] = {
    [RATE_CONNECT] = {LIMIT_CONNECTS_PER_IP, LIMIT_CONNECTS_PER_NET},
    [RATE_MAIL] = {LIMIT_MAILS_PER_IP, LIMIT_MAILS_PER_NET},
};

struct span rate_key(const struct conn_addr *peer, bool wide)
{
    if (peer->v4)
        return span_of(peer->ip, wide ? 15 : 16);
    return span_of(peer->ip, wide ? 6 : 8);
}

bool rate_exempt(const struct conn_addr *peer)
{
    static const unsigned char one[16] = {[15] = 1};
    if (peer->v4 ? peer->ip[12] == 127 : memcmp(peer->ip, one, sizeof one) == 0)
        return true;
    return config_net_has(CONFIG_server_no_limits, peer->ip);
}

static void sweep(struct map *m, int64_t now_us)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(m, &at, &key, &value);)
        if ((intptr_t)value <= now_us)
            map_take(m, key);
    if (map_count(m) < BUCKETS_MAX / 2)
        return;
    map_done(m); /* as many guilty ones at a time: they start anew */
    map_init(m);
}

static int64_t full_at(const struct map *m, struct span key, int64_t now_us)
{
    return MAX_OF((int64_t)(intptr_t)map_get(m, key), now_us);
}

static void put(struct map *m, struct span key, int64_t when_us, int64_t now_us)
{
    if (map_count(m) >= BUCKETS_MAX)
        sweep(m, now_us);
    map_put(m, key, (void *)(intptr_t)when_us);
}

bool rate_take(enum rate_what what, const struct conn_addr *peer)
{
    struct map *m = &buckets[what];
    int64_t now = clock_mono_ms() * 1000;
    if (rate_exempt(peer))
        return true;
    struct span ip = rate_key(peer, false), net = rate_key(peer, true);
    int64_t ip_full = full_at(m, ip, now) + MINUTE_US / limit_value[rates[what].narrow];
    int64_t net_full = full_at(m, net, now) + MINUTE_US / limit_value[rates[what].wide];
    if (ip_full > now + MINUTE_US || net_full > now + MINUTE_US)
        return false;
    put(m, ip, ip_full, now);
    put(m, net, net_full, now);
    return true;
}

void rate_forget(void)
{
    for (size_t i = 0; i < RATE_COUNT; i++) {
        map_done(&buckets[i]);
        map_init(&buckets[i]);
    }
}
