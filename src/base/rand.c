/* rand: each thread draws from a small buffer of getrandom bytes, which are wiped as they are used. */
#include "base/rand.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>

enum { BUFFER = 512 };

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static atomic_uint forks; /* a child must not draw what its parent draws */
static _Thread_local struct {
    unsigned char b[BUFFER];
    size_t left;
    unsigned forks;
} pool;

static void after_fork(void) { atomic_fetch_add(&forks, 1); }

static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

static void from_kernel(void *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            base_die("getrandom failed");
        out = (char *)out + got;
        n -= (size_t)got;
    }
}

void rand_bytes(void *out, size_t n)
{
    if (n > BUFFER / 2) {
        from_kernel(out, n);
        return;
    }
    unsigned now = atomic_load(&forks);
    if (pool.left < n || pool.forks != now) {
        pthread_once(&fork_once, watch_forks);
        from_kernel(pool.b, BUFFER);
        pool.left = BUFFER;
        pool.forks = now;
    }
    pool.left -= n;
    memcpy(out, pool.b + pool.left, n);
    explicit_bzero(pool.b + pool.left, n);
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof v);
    return v;
}

uint64_t rand_below(uint64_t n)
{
    assert(n >= 1);
    uint64_t skip = -n % n, v; /* 2^64 mod n values at the bottom would come once too often */
    do
        v = rand_u64();
    while (v < skip);
    return v % n;
}

struct op_id rand_op_id(void)
{
    struct op_id op;
    uint64_t ms = (uint64_t)clock_now_ms();
    for (int i = 0; i < 6; i++)
        op.b[i] = (unsigned char)(ms >> (40 - 8 * i));
    rand_bytes(op.b + 6, 10);
    return op;
}

void rand_trace_id(const struct op_id *op, char out[13])
{
    uint64_t bits = 0;
    for (int i = 6; i < 14; i++)
        bits = bits << 8 | op->b[i];
    for (int i = 0; i < 12; i++)
        out[i] = "abcdefghijklmnopqrstuvwxyz234567"[bits >> (59 - 5 * i) & 31];
    out[12] = '\0';
}
