/* store_bench: what the store alone does: durable messages a second, processor time, pages of index written, and what
 * listing a cold mailbox costs when its rows lie among those of a thousand others (doc/decisions/05-index-locality.md).
 *
 *     store_bench DIR [messages] [accounts] [body bytes]      ingest with 1, 16, 64 outstanding
 *     store_bench DIR scan [accounts] [rows]                  one mailbox of `rows`, interleaved, then listed
 */
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "store/store_impl.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
static struct slot *idle;
static size_t n_idle, failed;

static void done(struct store_write *w)
{
    struct slot *s = CONTAINER_OF(w, struct slot, w);
    pthread_mutex_lock(&lock);
    failed += w->result != 0;
    s->next = idle;
    idle = s;
    n_idle++;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static struct slot *get_slot(void)
{
    pthread_mutex_lock(&lock);
    while (idle == NULL)
        pthread_cond_wait(&wake, &lock);
    struct slot *s = idle;
    idle = s->next;
    n_idle--;
    pthread_mutex_unlock(&lock);
    return s;
}

static void wait_all(size_t n)
{
    pthread_mutex_lock(&lock);
    while (n_idle < n)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

/* Sizes as scan makes them for an ordinary message: envelope 330, structure 110 with one part, headers 100, preview
 * 190. */
static char filler[1 << 20];

static void submit(struct store *st, struct slot *s, uint64_t account, size_t body)
{
    arena_reset(&s->mem);
    s->op = rand_op_id();
    s->target = (struct msg_ingest_target){.account = account, .address = SPAN("somebody@example.org")};
    s->in = (struct msg_ingest){.op = span_of(s->op.b, 16),
                                .sender = SPAN("sender@example.test"),
                                .size = body,
                                .body = span_of(filler, body),
                                .file = -1,
                                .received_ms = clock_now_ms(),
                                .msgid_hash = rand_u64(),
                                .date_s = clock_now_s(),
                                .headers = span_of(filler, 100),
                                .envelope = span_of(filler, 330),
                                .structure = span_of(filler, 110),
                                .preview = span_of(filler, 190),
                                .targets = {&s->target, 1}};
    s->w = (struct store_write){.id = MSG_ID_ingest, .in = &s->in, .out = &s->out, .mem = &s->mem, .done = done};
    store_submit(st, &s->w);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void add_slots(struct slot *v, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        v[i].next = idle;
        idle = &v[i];
        n_idle++;
    }
}

static void ingest(struct store *st, struct slot *slots, size_t outstanding, size_t n, uint64_t accounts, size_t body)
{
    struct msg_store_stats_r before, after;
    struct fail f;
    idle = NULL;
    n_idle = 0;
    add_slots(slots, 0, outstanding);
    store_stats(st, &before, &f);
    uint64_t pages = store_wal_written(st);
    int64_t t0 = clock_mono_us();
    double c0 = cpu_s();
    for (size_t i = 0; i < n; i++)
        submit(st, get_slot(), 1 + rand_below(accounts), body);
    wait_all(outstanding);
    double s = (double)(clock_mono_us() - t0) / 1e6, c = cpu_s() - c0;
    store_stats(st, &after, &f);
    printf("outstanding=%zu messages=%zu per_s=%.0f cpu_us=%.1f per_commit=%.1f index_pages=%.2f failed=%zu\n",
           outstanding, n, (double)n / s, c * 1e6 / (double)n, (double)n / (double)(after.commits - before.commits),
           (double)(store_wal_written(st) - pages) / (double)n, failed);
    fflush(stdout);
}

/* Reads the whole mailbox in windows, as FETCH does. */
static void list(struct store *st, const char *what, uint64_t account, uint32_t want)
{
    struct arena mem;
    struct msg_mailbox_list_r boxes;
    struct msg_member_scan_r r;
    struct fail f = {0};
    size_t rows = 0;
    arena_init(&mem);
    if (store_mailbox_list(st, account, SPAN_NONE, &boxes, &mem, &f) != 0)
        base_die(f.text);
    struct msg_member_scan in = {.mailbox = boxes.mailboxes.v[0].mailbox, .first = 1, .last = UINT64_MAX, .want = want};
    int64_t t0 = clock_mono_us();
    double c0 = cpu_s();
    do {
        if (store_member_scan(st, account, &in, &r, &mem, &f) != 0)
            base_die(f.text);
        rows += r.rows.n;
        in.first = r.next;
        arena_reset(&mem);
    } while (r.next != 0);
    printf("%s rows=%zu ms=%.1f cpu_ms=%.1f\n", what, rows, (double)(clock_mono_us() - t0) / 1e3, (cpu_s() - c0) * 1e3);
    fflush(stdout);
    arena_done(&mem);
}

static void read_all(struct store *st, uint64_t account, uint64_t eids)
{
    struct arena mem;
    struct fail f;
    size_t n = 0;
    uint64_t bytes = 0;
    arena_init(&mem);
    int64_t t0 = clock_mono_us();
    for (uint64_t eid = 1; eid <= eids; eid++) {
        struct msg_email_read in = {.eid = eid, .length = 65536};
        struct msg_email_read_r out;
        if (store_email_read(st, account, &in, &out, &mem, &f) == 0) {
            n++;
            bytes += out.data.n;
        }
        arena_reset(&mem);
    }
    printf("bodies read=%zu of %llu tried, bytes=%llu ms=%.1f\n", n, (unsigned long long)eids,
           (unsigned long long)bytes, (double)(clock_mono_us() - t0) / 1e3);
    arena_done(&mem);
}

/* Out of the page cache, as far as an ordinary user can. */
static void drop_cache(const char *dir)
{
    char path[512];
    snprintf(path, sizeof path, "%s/index.db", dir);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Account 1 gets every k-th message, so that it ends up with `rows` among those of all others. */
static struct store *scan_bench(struct store *st, const char *dir, struct slot *slots, uint64_t accounts, size_t rows)
{
    struct fail f = {0};
    const size_t every = 10;
    add_slots(slots, 0, 256);
    for (size_t i = 0; i < rows * every; i++)
        submit(st, get_slot(), i % every == 0 ? 1 : 2 + rand_below(accounts - 1), 512);
    wait_all(256);
    list(st, "warm narrow", 1, 0);
    list(st, "warm envelope", 1, WANT_ENVELOPE);
    for (int i = 0; i < 3; i++) {
        store_close(st);
        drop_cache(dir);
        st = store_open(dir, NULL, &f);
        if (st == NULL)
            base_die(f.text);
        list(st, "cold narrow", 1, 0);
        list(st, "cold envelope", 1, WANT_ENVELOPE);
        list(st, "again envelope", 1, WANT_ENVELOPE);
    }
    read_all(st, 1, rows * every);
    return st;
}

static size_t number(int argc, char **argv, int i, size_t otherwise)
{
    uint64_t v = otherwise;
    if (i < argc && num_u64(span_z(argv[i]), 1 << 30, &v) != 0)
        base_die("not a number");
    return v;
}

int main(int argc, char **argv)
{
    struct fail f = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: store_bench DIR [messages] [accounts] [body bytes] | DIR scan [accounts] [rows]\n");
        return 2;
    }
    memset(filler, 'x', sizeof filler);
    struct store *st = store_open(argv[1], NULL, &f);
    if (st == NULL)
        base_die(f.text);
    struct slot *slots = base_alloc(256 * sizeof *slots);
    if (argc > 2 && span_eq(span_z(argv[2]), SPAN("scan"))) {
        st = scan_bench(st, argv[1], slots, number(argc, argv, 3, 1000), number(argc, argv, 4, 10000));
    } else {
        size_t n = number(argc, argv, 2, 50000), accounts = number(argc, argv, 3, 1000),
               body = number(argc, argv, 4, 4096);
        ingest(st, slots, 64, accounts * 4, accounts, body); /* mailboxes made, WAL in use */
        ingest(st, slots, 1, n / 10, accounts, body);
        ingest(st, slots, 16, n, accounts, body);
        ingest(st, slots, 64, n, accounts, body);
    }
    store_close(st);
    for (size_t i = 0; i < 256; i++)
        arena_done(&slots[i].mem);
    free(slots);
    return failed != 0;
}
