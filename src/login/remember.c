/* remember: account -> HMAC of its password, bounded, ten minutes. */
#include "login/remember.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"

enum { REMEMBER_MS = 10 * 60 * 1000 };

struct entry {
    struct list lru;
    uint64_t account;
    int64_t until_ms;
    unsigned char mac[32];
};

struct remember {
    struct map entries;
    struct list lru; /* oldest first */
    size_t most;
    unsigned char key[32];
};

struct remember *remember_new(size_t most)
{
    struct remember *r = base_alloc(sizeof *r);

    map_init(&r->entries);
    list_init(&r->lru);
    r->most = most;
    rand_bytes(r->key, sizeof r->key);
    return r;
}

static void drop(struct remember *r, struct entry *e)
{
    map_take_u64(&r->entries, e->account);
    list_remove(&e->lru);
    OPENSSL_cleanse(e, sizeof *e);
    free(e);
}

void remember_free(struct remember *r)
{
    if (r == NULL)
        return;
    while (!list_empty(&r->lru))
        drop(r, LIST_ITEM(r->lru.next, struct entry, lru));
    map_done(&r->entries);
    OPENSSL_cleanse(r->key, sizeof r->key);
    free(r);
}

/* The account goes into the MAC: equal passwords of two accounts do not look equal. */
static void mac_of(const struct remember *r, uint64_t account, const struct password *p, unsigned char out[32])
{
    unsigned char key[32 + sizeof account];
    unsigned n = 32;

    memcpy(key, r->key, 32);
    memcpy(key + 32, &account, sizeof account);
    if (HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)p->b, p->n, out, &n) == NULL)
        base_die("HMAC-SHA-256 is not to be had");
    OPENSSL_cleanse(key, sizeof key);
}

void remember_put(struct remember *r, uint64_t account, const struct password *p)
{
    struct entry *e = map_get_u64(&r->entries, account);

    if (e == NULL) {
        if (map_count(&r->entries) >= r->most)
            drop(r, LIST_ITEM(r->lru.next, struct entry, lru));
        e = base_alloc(sizeof *e);
        e->account = account;
        map_put_u64(&r->entries, account, e);
    } else {
        list_remove(&e->lru);
    }
    list_push(&r->lru, &e->lru);
    e->until_ms = clock_mono_ms() + REMEMBER_MS;
    mac_of(r, account, p, e->mac);
}

bool remember_check(struct remember *r, uint64_t account, const struct password *p)
{
    struct entry *e = map_get_u64(&r->entries, account);
    unsigned char mac[32];

    if (e == NULL)
        return false;
    if (clock_mono_ms() >= e->until_ms) {
        drop(r, e);
        return false;
    }
    mac_of(r, account, p, mac);
    return CRYPTO_memcmp(mac, e->mac, sizeof mac) == 0;
}

void remember_drop(struct remember *r, uint64_t account)
{
    struct entry *e = map_get_u64(&r->entries, account);

    if (e != NULL)
        drop(r, e);
}
