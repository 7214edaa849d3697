/* throttle: buckets per address, network and account, and the bound on checks under way.
 *
 * A bucket has `spare` tries. Each try takes one, `refill_s` gives one back; a right password gives back what it took.
 * When they are used up each further try must keep a distance from the last, 1 s at first, doubled each time up to
 * `most_s`. A try is charged before it is computed, so that many at once gain nothing. Refused tries change nothing:
 * there is no lock that an attacker could hold shut.
 *
 * An unknown network must pass three buckets: its /32 or /64, its /24 or /48, and the account's. A network from which
 * the account was recently opened is known: there only the bucket of this pair counts, so that a guesser elsewhere, or
 * next door in the same network at another account, does not keep the owner out.
 */
#include "login/throttle.h"

#include <openssl/sha.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"

enum bucket_kind { BUCKET_HOST, BUCKET_NET, BUCKET_ACCOUNT, BUCKET_PAIR, BUCKET_KINDS };

/* Full speed for a day: spare + 11 while the distance doubles + 96 at the end: under 200 (SEC-14). The account's is
 * wide enough that one or two guessing networks alone do not empty it. */
static const struct rule {
    uint32_t spare;
    int64_t refill_s, most_s;
} rules[BUCKET_KINDS] = {
    [BUCKET_HOST] = {5, 1800, 900},
    [BUCKET_NET] = {20, 1800, 900},
    [BUCKET_ACCOUNT] = {60, 900, 900},
    [BUCKET_PAIR] = {20, 900, 900},
};

enum { DOUBLINGS = 11, KNOWN_MS = 30 * 24 * 3600 * 1000LL, ANSWER_MOST_MS = 8000 };

struct throttle_bucket {
    struct list lru;
    enum bucket_kind kind;
    unsigned char key[17];
    uint32_t used;      /* tries taken and not given back */
    uint32_t busy;      /* checks under way that hold it */
    int64_t at_ms;      /* when `used` was last brought up to date */
    int64_t next_ms;    /* no try before */
    int64_t right_ms;   /* BUCKET_PAIR: the last right password */
};

struct throttle {
    struct map buckets;
    struct list lru[BUCKET_KINDS]; /* oldest first */
    size_t n[BUCKET_KINDS], most;
    size_t running;
};

struct throttle *throttle_new(size_t most)
{
    struct throttle *t = base_alloc(sizeof *t);

    map_init(&t->buckets);
    for (int k = 0; k < BUCKET_KINDS; k++)
        list_init(&t->lru[k]);
    t->most = most;
    return t;
}

static struct span key_span(const unsigned char key[17])
{
    return span_of(key, 17);
}

static void bucket_drop(struct throttle *t, struct throttle_bucket *b)
{
    map_take(&t->buckets, key_span(b->key));
    list_remove(&b->lru);
    t->n[b->kind]--;
    free(b);
}

void throttle_free(struct throttle *t)
{
    if (t == NULL)
        return;
    for (int k = 0; k < BUCKET_KINDS; k++)
        while (!list_empty(&t->lru[k]))
            bucket_drop(t, LIST_ITEM(t->lru[k].next, struct throttle_bucket, lru));
    map_done(&t->buckets);
    free(t);
}

size_t throttle_running(const struct throttle *t)
{
    return t->running;
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static bool is_v4(const unsigned char ip[16])
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip, mapped, sizeof mapped) == 0;
}

/* The first v4 or v6 bytes of the address count; sort tells a /24 from a /32 with a zero at its end. */
static void key_ip(unsigned char key[17], char sort, const unsigned char ip[16], size_t v4, size_t v6)
{
    memset(key, 0, 17);
    key[0] = (unsigned char)sort;
    memcpy(key + 1, ip, is_v4(ip) ? 12 + v4 : v6);
}

static void key_name(unsigned char key[17], char sort, struct span name, const unsigned char *net)
{
    unsigned char text[17 + 512], hash[SHA256_DIGEST_LENGTH];
    size_t n = MIN_OF(name.n, (size_t)512);

    memset(text, 0, 17);
    if (net != NULL)
        memcpy(text, net, 17);
    if (n > 0)
        memcpy(text + 17, name.p, n);
    SHA256(text, 17 + n, hash);
    key[0] = (unsigned char)sort;
    memcpy(key + 1, hash, 16);
}

/* ---- buckets ----------------------------------------------------------------------------------------------------- */

static struct throttle_bucket *find(struct throttle *t, const unsigned char key[17], int64_t now)
{
    struct throttle_bucket *b = map_get(&t->buckets, key_span(key));
    int64_t back;

    if (b == NULL)
        return NULL;
    back = (now - b->at_ms) / (rules[b->kind].refill_s * 1000);
    b->at_ms += back * rules[b->kind].refill_s * 1000;
    b->used = back >= b->used ? 0 : b->used - (uint32_t)back;
    return b;
}

static struct throttle_bucket *make(struct throttle *t, enum bucket_kind kind, const unsigned char key[17], int64_t now)
{
    struct throttle_bucket *b;

    if (t->n[kind] >= t->most) { /* forget the oldest that no check holds */
        for (struct list *at = t->lru[kind].next; at != &t->lru[kind]; at = at->next) {
            b = LIST_ITEM(at, struct throttle_bucket, lru);
            if (b->busy == 0) {
                bucket_drop(t, b);
                break;
            }
        }
    }
    b = base_alloc(sizeof *b);
    b->kind = kind;
    memcpy(b->key, key, 17);
    b->at_ms = now;
    list_push(&t->lru[kind], &b->lru);
    t->n[kind]++;
    map_put(&t->buckets, key_span(key), b);
    return b;
}

static void charge(struct throttle *t, struct throttle_check *c, struct throttle_bucket *b, int64_t now)
{
    const struct rule *r = &rules[b->kind];

    list_remove(&b->lru);
    list_push(&t->lru[b->kind], &b->lru);
    if (b->used == 0)
        b->at_ms = now;
    c->bucket[c->n] = b;
    if (b->used < r->spare + DOUBLINGS)
        b->used++;
    if (b->used > r->spare) {
        int64_t apart = MIN_OF(1000LL << (b->used - r->spare - 1), r->most_s * 1000);
        b->next_ms = now + apart;
    }
    c->set_ms[c->n] = b->next_ms;
    b->busy++;
    c->n++;
}

/* The queue of checks is short, and a flood of strangers may not fill all of it. */
static bool queue_full(const struct throttle *t, bool known)
{
    size_t most = (size_t)LIMIT(PASSWORD_QUEUE);

    return t->running >= (known ? most : most - most / 4);
}

bool throttle_begin(struct throttle *t, struct span name, const unsigned char ip[16], struct throttle_check *c,
                    uint32_t *wait_ms)
{
    static const enum bucket_kind stranger[3] = {BUCKET_HOST, BUCKET_NET, BUCKET_ACCOUNT}, owner[1] = {BUCKET_PAIR};
    unsigned char key[BUCKET_KINDS][17];
    struct throttle_bucket *found[3] = {NULL};
    int64_t now = clock_mono_ms(), left = 0;
    const enum bucket_kind *kinds;
    size_t n;

    memset(c, 0, sizeof *c);
    key_ip(key[BUCKET_HOST], 'h', ip, 4, 8);
    key_ip(key[BUCKET_NET], 'n', ip, 3, 6);
    key_name(key[BUCKET_ACCOUNT], 'a', name, NULL);
    key_ip(c->pair, 'h', ip, 3, 8);
    key_name(key[BUCKET_PAIR], 'p', name, c->pair);
    memcpy(c->pair, key[BUCKET_PAIR], 17);
    found[0] = find(t, c->pair, now);
    c->known = found[0] != NULL && now - found[0]->right_ms < KNOWN_MS;
    kinds = c->known ? owner : stranger;
    n = c->known ? 1 : 3;
    for (size_t i = 0; i < n; i++) {
        found[i] = find(t, key[kinds[i]], now);
        if (found[i] != NULL && found[i]->next_ms > now)
            left = MAX_OF(left, found[i]->next_ms - now);
    }
    if (left > 0 || queue_full(t, c->known)) {
        *wait_ms = (uint32_t)MIN_OF(MAX_OF(left, 1000), ANSWER_MOST_MS);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        charge(t, c, found[i] != NULL ? found[i] : make(t, kinds[i], key[kinds[i]], now), now);
    t->running++;
    return true;
}

static void give_back(struct throttle_check *c, size_t i)
{
    struct throttle_bucket *b = c->bucket[i];

    if (b->used > 0)
        b->used--;
    if (b->next_ms == c->set_ms[i]) /* nobody was charged since; what was there before had passed */
        b->next_ms = 0;
}

uint32_t throttle_end(struct throttle *t, struct throttle_check *c, bool right)
{
    uint32_t used = c->n > 0 ? c->bucket[0]->used : 1, wait_ms;
    int64_t now = clock_mono_ms();

    for (size_t i = 0; i < c->n; i++) {
        c->bucket[i]->busy--;
        if (right)
            give_back(c, i);
    }
    t->running--;
    if (right) {
        struct throttle_bucket *pair = find(t, c->pair, now);
        if (pair == NULL)
            pair = make(t, BUCKET_PAIR, c->pair, now);
        pair->right_ms = now;
    }
    c->n = 0;
    wait_ms = 1000u << MIN_OF(used > 0 ? used - 1 : 0, 3u);
    return right ? 0 : MIN_OF(wait_ms, (uint32_t)ANSWER_MOST_MS);
}
