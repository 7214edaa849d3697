/* map: open addressing with linear probing. A slot's hash says what it is: 0 free, 1 dead (was removed, walk on), else
 * live. Keys of up to 16 bytes (numbers, operation ids) live in the slot. */
#include "base/map.h"
#include "base/rand.h"

#include <pthread.h>

enum { FREE = 0, DEAD = 1, LIVE = 2, INLINE_KEY = 16, CAP_LEAST = 16 };

struct map_slot {
    uint64_t hash;
    size_t n;
    union {
        char *far;
        char near[INLINE_KEY];
    } key;
    void *value;
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t key[2];

static void make_key(void) { rand_bytes(key, sizeof key); }

static uint64_t rotl(uint64_t v, int by) { return v << by | v >> (64 - by); }

#define SIP_ROUND(a, b, c, d)                                                                                          \
    (a += b, b = rotl(b, 13) ^ a, a = rotl(a, 32), c += d, d = rotl(d, 16) ^ c, a += d, d = rotl(d, 21) ^ a, c += b,   \
     b = rotl(b, 17) ^ c, c = rotl(c, 32))

/* SipHash-1-3: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round per word, three at the end. */
static uint64_t sip(struct span s)
{
    pthread_once(&key_once, make_key);
    uint64_t a = key[0] ^ 0x736f6d6570736575, b = key[1] ^ 0x646f72616e646f6d;
    uint64_t c = key[0] ^ 0x6c7967656e657261, d = key[1] ^ 0x7465646279746573;
    uint64_t word, last = (uint64_t)s.n << 56;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&word, s.p + i, 8);
        d ^= word;
        SIP_ROUND(a, b, c, d);
        a ^= word;
    }
    for (int shift = 0; i < s.n; i++, shift += 8)
        last |= (uint64_t)(unsigned char)s.p[i] << shift;
    d ^= last;
    SIP_ROUND(a, b, c, d);
    a ^= last;
    c ^= 0xff;
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    uint64_t h = a ^ b ^ c ^ d;
    return h < LIVE ? h + LIVE : h;
}

static struct span key_of(const struct map_slot *s)
{
    return span_of(s->n <= INLINE_KEY ? s->key.near : s->key.far, s->n);
}

/* The slot that holds k, or NULL. Ends because resize keeps a quarter of the slots free. */
static struct map_slot *find(const struct map *m, struct span k, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (s->hash == FREE)
            return NULL;
        if (s->hash == hash && span_eq(key_of(s), k))
            return s;
    }
}

/* Where a key that is not in the map goes. */
static struct map_slot *place(struct map *m, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].hash >= LIVE)
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

/* Sized for twice the live entries, so a map that only churns is cleaned of dead slots rather than grown. */
static void resize(struct map *m)
{
    struct map old = *m;
    m->cap = CAP_LEAST;
    while (m->cap < (old.n + 1) * 2)
        m->cap *= 2;
    m->slots = base_alloc(m->cap * sizeof *m->slots);
    m->dead = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].hash >= LIVE)
            *place(m, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void map_init(struct map *m) { *m = (struct map){0}; }

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].hash >= LIVE && m->slots[i].n > INLINE_KEY)
            free(m->slots[i].key.far);
    free(m->slots);
    map_init(m);
}

void *map_get(const struct map *m, struct span k)
{
    if (m->n == 0)
        return NULL;
    struct map_slot *s = find(m, k, sip(k));
    return s ? s->value : NULL;
}

void *map_put(struct map *m, struct span k, void *value)
{
    uint64_t hash = sip(k);
    struct map_slot *s = find(m, k, hash);
    if (s) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    if ((m->n + m->dead + 1) * 4 > m->cap * 3)
        resize(m);
    s = place(m, hash);
    if (s->hash == DEAD)
        m->dead--;
    *s = (struct map_slot){.hash = hash, .n = k.n, .value = value};
    char *to = s->key.near;
    if (k.n > INLINE_KEY)
        to = s->key.far = base_realloc(NULL, k.n);
    if (k.n)
        memcpy(to, k.p, k.n);
    m->n++;
    return NULL;
}

void *map_take(struct map *m, struct span k)
{
    struct map_slot *s = m->n ? find(m, k, sip(k)) : NULL;
    if (!s)
        return NULL;
    void *value = s->value;
    if (s->n > INLINE_KEY)
        free(s->key.far);
    *s = (struct map_slot){.hash = DEAD};
    m->n--;
    m->dead++;
    /* Nothing probes past a free slot: dead ones before it may become free at once. */
    size_t i = (size_t)(s - m->slots);
    if (m->slots[(i + 1) & (m->cap - 1)].hash == FREE)
        for (; m->slots[i].hash == DEAD; i = (i - 1) & (m->cap - 1)) {
            m->slots[i].hash = FREE;
            m->dead--;
        }
    return value;
}

bool map_next(const struct map *m, size_t *at, struct span *k, void **value)
{
    for (; *at < m->cap; ++*at) {
        struct map_slot *s = &m->slots[*at];
        if (s->hash < LIVE)
            continue;
        ++*at;
        if (k)
            *k = key_of(s);
        if (value)
            *value = s->value;
        return true;
    }
    return false;
}

void *map_get_u64(const struct map *m, uint64_t k) { return map_get(m, span_of(&k, sizeof k)); }

void *map_put_u64(struct map *m, uint64_t k, void *value) { return map_put(m, span_of(&k, sizeof k), value); }

void *map_take_u64(struct map *m, uint64_t k) { return map_take(m, span_of(&k, sizeof k)); }
