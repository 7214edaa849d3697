/* store_bench: what the store alone does: durable messages a second, and what each operation costs by the size of its
 * mailbox. For ./bench store.
 *
 *     store_bench DIR [MOST]      mailboxes of 10^3, 10^4, ... up to MOST (100,000) messages, in DIR
 *     store_bench DIR scan        one mailbox of 10,000 among those of a thousand others, listed warm and cold
 *                                 (doc/decisions/05-index-locality.md)
 *
 * Prints lines of: name, messages in the mailbox (0: spread over many), wall time or rate, processor time in us, unit;
 * separated by tabs. Processor time is of all threads: what others do on the machine is not in it. */
#include "store/store_bench.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"

#include <fcntl.h>
#include <time.h>

enum { OTHERS = 1000, EVERY = 10, LISTED = 10000, TIMES = 200, READS = 5 };

struct slot {
    struct store_write w;
    struct msg_ingest in;
    struct msg_ingest_r out;
    struct msg_ingest_target target;
    struct op_id op;
    struct arena mem;
    struct slot *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct slot slots[STORE_BENCH_WAITING], *idle;
static size_t n_idle;
static char filler[65536];

/* ---- arrivals ---- */

static void put_slot(struct slot *x)
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
    put_slot(CONTAINER_OF(w, struct slot, w));
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static struct slot *get_slot(void)
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

static void submit(struct store *s, struct slot *x, uint64_t account, size_t body)
{
    arena_reset(&x->mem);
    x->op = rand_op_id();
    x->target = (struct msg_ingest_target){.account = account, .address = SPAN("somebody@example.org")};
    x->in = (struct msg_ingest){.op = span_of(x->op.b, 16),
                                .sender = SPAN("sender@example.test"),
                                .size = body,
                                .body = span_of(filler, body),
                                .file = -1,
                                .received_ms = clock_now_ms(),
                                .msgid_hash = rand_u64(),
                                .date_s = clock_now_s(),
                                .headers = span_of(filler, 100), /* sizes as scan makes them */
                                .envelope = span_of(filler, 330),
                                .structure = span_of(filler, 110),
                                .preview = span_of(filler, 190),
                                .targets = {&x->target, 1}};
    x->w = (struct store_write){.id = MSG_ID_ingest, .in = &x->in, .out = &x->out, .mem = &x->mem, .done = done};
    store_submit(s, &x->w);
}

void store_bench_arrivals(struct store *s, size_t n, size_t waiting, uint64_t account, size_t body)
{
    idle = NULL;
    n_idle = 0;
    for (size_t i = 0; i < waiting; i++)
        put_slot(&slots[i]);
    for (size_t i = 0; i < n; i++)
        submit(s, get_slot(), account != 0 ? account : 2 + rand_below(OTHERS), body);
    pthread_mutex_lock(&lock);
    while (n_idle < waiting)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- measuring ---- */

struct cost { double us, cpu_us; };

static struct cost now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct cost){(double)clock_mono_us(), (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3};
}

static struct cost since(struct cost from)
{
    struct cost to = now();
    return (struct cost){to.us - from.us, to.cpu_us - from.cpu_us};
}

static void print(const char *name, uint64_t size, double value, double cpu_us, const char *unit)
{
    printf("%s\t%llu\t%.2f\t%.2f\t%s\n", name, (unsigned long long)size, value, cpu_us, unit);
    fflush(stdout);
}

static struct store *open_in(const char *dir, const char *name)
{
    char path[4096];
    struct fail f = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    struct store *s = store_open(path, NULL, &f);
    if (s == NULL)
        base_die(f.text);
    return s;
}

/* Threads of what came are found out when nobody waits: not now, then. */
static void settle(struct store *s)
{
    struct store_write w = {.id = MSG_ID_thread_get};
    if (store_wait(s, &w) != 0)
        base_die(w.fail.text);
}

/* ---- rows ---- */

static void rate(struct store *s, size_t n, size_t waiting)
{
    char name[40];
    snprintf(name, sizeof name, "arrivals, %zu waiting", waiting);
    settle(s);
    struct cost began = now();
    store_bench_arrivals(s, n, waiting, 0, 4096);
    struct cost c = since(began);
    print(name, 0, (double)n * 1e6 / c.us, c.cpu_us / (double)n, "/s");
}

/* What the disk allows: a batch of 64 is one write and sync of the log and one of the index. */
static void disk(const char *dir, size_t batches)
{
    enum { BATCH = 64, EACH = 4096 + 512 };
    char path[2][4096];
    int fd[2];
    struct cost began = {0};
    for (int k = 0; k < 2; k++) {
        snprintf(path[k], sizeof path[k], "%s/disk-%d", dir, k);
        fd[k] = open(path[k], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    for (int round = 0; round < 2; round++) { /* the first one makes the files */
        began = now();
        for (size_t i = 0; i < batches; i++)
            for (int k = 0; k < 2; k++)
                for (size_t at = 0; at < BATCH * EACH; at += sizeof filler)
                    if (pwrite(fd[k], filler, MIN_OF(sizeof filler, BATCH * EACH - at), (off_t)(i * BATCH * EACH + at)) < 0 ||
                        (at + sizeof filler >= BATCH * EACH && fdatasync(fd[k]) != 0))
                        base_die("the disk does not write");
    }
    struct cost c = since(began);
    print("two files, written and synced", 0, (double)(batches * BATCH) * 1e6 / c.us, c.cpu_us / (double)(batches * BATCH), "/s");
    for (int k = 0; k < 2; k++) {
        close(fd[k]);
        unlink(path[k]);
    }
}

static void rates(const char *dir)
{
    disk(dir, 300);
    struct store *s = open_in(dir, "rates");
    store_bench_arrivals(s, 10000, 100, 0, 4096); /* mailboxes are made, files have their size */
    rate(s, 3000, 1);
    rate(s, 30000, 20);
    rate(s, 50000, 64);
    rate(s, 50000, 100);
    store_close(s);
}

static void one_each(struct store_bench *b, uint64_t size)
{
    struct cost sum[16] = {0};
    b->n = 1;
    b->first = size / 4;
    for (size_t t = 0; t < TIMES; t++)
        for (size_t i = 0; i < store_ops_bench_n_one; i++) {
            struct cost began = now();
            store_ops_bench_one[i].run(b);
            struct cost c = since(began);
            sum[i].us += c.us;
            sum[i].cpu_us += c.cpu_us;
        }
    for (size_t i = 0; i < store_ops_bench_n_one; i++)
        print(store_ops_bench_one[i].name, size, sum[i].us / TIMES, sum[i].cpu_us / TIMES, "us");
}

static void many(struct store_bench *b, uint64_t size)
{
    b->n = STORE_BENCH_ABOUT;
    b->first = size / 2;
    for (size_t i = 0; i < store_ops_bench_n_many; i++) {
        const struct store_ops_bench_row *row = &store_ops_bench_many[i];
        struct cost best = {1e18, 1e18};
        for (int k = 0; k < (row->reads ? READS : 1); k++) {
            struct cost began = now();
            row->run(b);
            struct cost c = since(began);
            best = c.cpu_us < best.cpu_us ? c : best;
        }
        print(row->name, size, best.us / (double)b->n, best.cpu_us / (double)b->n, "us");
    }
}

static void mailbox(const char *dir, uint64_t size)
{
    enum { MEASURED = 5000 };
    char name[32];
    struct store_bench *b = base_alloc(sizeof *b);
    snprintf(name, sizeof name, "%llu", (unsigned long long)size);
    b->s = open_in(dir, name);
    store_bench_arrivals(b->s, size, 100, 1, 512);
    settle(b->s);
    struct cost began = now();
    store_bench_arrivals(b->s, MEASURED, 64, 1, 512);
    struct cost c = since(began);
    print("arrival, 64 waiting", size, c.us / MEASURED, c.cpu_us / MEASURED, "us");
    settle(b->s);
    store_ops_bench_start(b);
    one_each(b, size);
    many(b, size);
    store_close(b->s);
    arena_done(&b->mem);
    free(b);
}

/* ---- among others ---- */

/* Out of the page cache, as far as an ordinary user can. */
static void drop_cache(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/index.db", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void list(struct store *s, const char *what, uint32_t want)
{
    struct arena mem = {0};
    struct msg_mailbox_list_r boxes;
    struct msg_member_scan_r r;
    struct fail f = {0};
    size_t n = 0;
    arena_init(&mem);
    struct cost began = now();
    if (store_mailbox_list(s, 1, SPAN_NONE, &boxes, &mem, &f) != 0)
        base_die(f.text);
    struct msg_member_scan in = {.mailbox = boxes.mailboxes.v[0].mailbox, .first = 1, .last = UINT64_MAX, .want = want};
    do {
        if (store_member_scan(s, 1, &in, &r, &mem, &f) != 0)
            base_die(f.text);
        n += r.rows.n;
        in.first = r.next;
        arena_reset(&mem);
    } while (r.next != 0);
    struct cost c = since(began);
    if (n != LISTED)
        base_die("rows are missing");
    print(what, 0, c.us / 1e3, c.cpu_us, "ms");
    arena_done(&mem);
}

/* Account 1 gets every tenth message. */
static void scan(const char *dir)
{
    struct store *s = open_in(dir, "scan");
    for (size_t i = 0; i < LISTED; i += STORE_BENCH_WAITING / EVERY) {
        size_t n = MIN_OF((size_t)STORE_BENCH_WAITING / EVERY, LISTED - i);
        store_bench_arrivals(s, n, n, 1, 512);
        store_bench_arrivals(s, n * (EVERY - 1), STORE_BENCH_WAITING, 0, 512);
    }
    settle(s);
    list(s, "10,000 rows listed, warm", 0);
    list(s, "the same with envelopes", WANT_ENVELOPE);
    store_close(s);
    drop_cache(dir, "scan");
    s = open_in(dir, "scan");
    list(s, "10,000 rows listed, cold", 0);
    list(s, "the same with envelopes, cold", WANT_ENVELOPE);
    store_close(s);
}

int main(int argc, char **argv)
{
    uint64_t most = 100000;
    bool only_scan = argc > 2 && span_eq(span_z(argv[2]), SPAN("scan"));
    if (argc < 2 || (argc > 2 && !only_scan && num_u64(span_z(argv[2]), 100000000, &most) != 0))
        base_die("usage: store_bench DIR [MOST | scan]");
    memset(filler, 'x', sizeof filler);
    scan(argv[1]);
    if (!only_scan)
        rates(argv[1]);
    for (uint64_t size = 1000; size <= most && !only_scan; size *= 10)
        mailbox(argv[1], size);
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        arena_done(&slots[i].mem);
    return 0;
}
