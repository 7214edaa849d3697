/* queue_fill: a store with a long queue, for tests of the whole server (tests/test_queue_long.py).
 *
 *     queue_fill DIR N DEAD LIVE K    N messages for one recipient each in the store in DIR: every tenth for DEAD, the others for
 *                                     d0.LIVE, d1.LIVE ... up to K of them, in turn
 *
 * They come in as all mail does, by store_submit, so that log, index and events are what a server would have made; only the
 * syncs are left out. */
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "store/store_queue.h"

#include <pthread.h>

enum { WAITING = 200 };

struct slot {
    struct store_write w;
    struct msg_ingest in;
    struct msg_ingest_r out;
    struct msg_ingest_remote remote;
    struct store_queue_as as;
    struct store_extra extra;
    struct op_id op;
    struct arena mem;
    struct slot *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct slot slots[WAITING], *idle;
static size_t n_idle;

static void give(struct slot *x)
{
    x->next = idle;
    idle = x;
    n_idle++;
}

static void done(struct store_write *w)
{
    if (w->result != 0)
        base_die(w->fail.text);
    pthread_mutex_lock(&lock);
    give(CONTAINER_OF(w, struct slot, w));
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static struct slot *take(void)
{
    pthread_mutex_lock(&lock);
    while (idle == NULL)
        pthread_cond_wait(&wake, &lock);
    struct slot *x = idle;
    idle = x->next;
    n_idle--;
    pthread_mutex_unlock(&lock);
    return x;
}

static void submit(struct store *s, struct slot *x, uint64_t i, char **argv, uint64_t k)
{
    arena_reset(&x->mem);
    struct span domain = i % 10 == 0 ? span_z(argv[3]) : arena_printf(&x->mem, "d%u.%s", (unsigned)(i % k), argv[4]);
    struct span body = arena_printf(&x->mem, "From: <alice@example.test>\r\nSubject: number %llu\r\nMessage-ID: <n%llu@example.test>\r\n\r\n%0400llu\r\n",
                                    (unsigned long long)i, (unsigned long long)i, (unsigned long long)i);
    x->op = rand_op_id();
    x->remote = (struct msg_ingest_remote){.address = arena_printf(&x->mem, "u%llu@%.*s", (unsigned long long)i, SPAN_ARGS(domain)),
                                           .domain = domain};
    x->as = (struct store_queue_as){.sender = SPAN("alice@example.test"), .report = SPAN("alice@example.test"), .account = 1,
                                    .flags = ENVELOPE_VERIFIED};
    x->extra = (struct store_extra){.as = &x->as};
    x->in = (struct msg_ingest){.op = span_of(x->op.b, sizeof x->op.b), .sender = SPAN("alice@example.test"), .size = body.n,
        .body = body, .file = -1, .received_ms = clock_now_ms(), .msgid_hash = rand_u64(), .date_s = clock_now_s(),
        .peer = SPAN("[127.0.0.1]"), .remotes = {&x->remote, 1}};
    x->w = (struct store_write){.id = MSG_ID_ingest, .in = &x->in, .extra = &x->extra, .out = &x->out, .mem = &x->mem, .done = done};
    store_submit(s, &x->w);
}

int main(int argc, char **argv)
{
    uint64_t n, k;
    struct fail f = {0};
    struct store_options fast = {.unsafe_no_sync = true};
    if (argc != 6 || num_u64(span_z(argv[2]), 100000000, &n) != 0 || num_u64(span_z(argv[5]), 100000000, &k) != 0 || k == 0)
        base_die("queue_fill DIR N DEAD LIVE K");
    struct store *s = store_open(argv[1], &fast, &f);
    if (s == NULL)
        base_die(f.text);
    for (size_t i = 0; i < WAITING; i++)
        give(&slots[i]);
    for (uint64_t i = 0; i < n; i++)
        submit(s, take(), i, argv, k);
    pthread_mutex_lock(&lock);
    while (n_idle < WAITING)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
    store_close(s);
    return 0;
}
