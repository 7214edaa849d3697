/* store_rows_bench: what each operation of the store costs, and whether that grows with the mailbox. For ./bench.
 *
 *     store_rows_bench DIR [MOST]     mailboxes of 10^3, 10^4, ... up to MOST (100,000) messages, in DIR
 *
 * Prints lines of: name, messages in the mailbox (0: spread over many), value, unit; separated by tabs. */
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "store/store_impl.h"

enum { AT_ONCE = 100, ABOUT = 10000 }; /* ABOUT: messages that an operation is about */

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
static struct slot slots[AT_ONCE], *idle;
static size_t n_idle;
static char filler[4096];

/* ---- arrivals ---- */

static void done(struct store_write *w)
{
    struct slot *x = CONTAINER_OF(w, struct slot, w);
    if (w->result != 0)
        base_die(w->fail.text);
    pthread_mutex_lock(&lock);
    x->next = idle;
    idle = x;
    n_idle++;
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

/* n messages with so many waiting; account 0: spread over a thousand. Messages a second. */
static double arrivals(struct store *s, size_t n, size_t waiting, uint64_t account, size_t body)
{
    idle = NULL;
    n_idle = 0;
    for (size_t i = 0; i < waiting; i++) {
        slots[i].next = idle;
        idle = &slots[i];
        n_idle++;
    }
    int64_t t0 = clock_mono_us();
    for (size_t i = 0; i < n; i++)
        submit(s, get_slot(), account != 0 ? account : 1000 + rand_below(1000), body);
    pthread_mutex_lock(&lock);
    while (n_idle < waiting)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
    return (double)n * 1e6 / (double)(clock_mono_us() - t0);
}

/* ---- the other operations: each about `n` messages from uid `first` on ---- */

struct bench {
    struct store *s;
    uint64_t inbox, copy, first, n;
    struct arena mem;
    struct fail f;
};

static int64_t write_one(struct bench *b, enum msg_id id, const void *in, void *out)
{
    struct store_write w = {.id = id, .account = 1, .in = in, .out = out, .mem = &b->mem};
    int64_t t0 = clock_mono_us();
    if (store_wait(b->s, &w) != 0)
        base_die(w.fail.text);
    return clock_mono_us() - t0;
}

static int64_t scan(struct bench *b, uint64_t *eids)
{
    struct msg_member_scan in = {.mailbox = b->inbox, .first = b->first, .last = b->first + b->n - 1};
    struct msg_member_scan_r r;
    int64_t t0 = clock_mono_us();
    size_t n = 0;
    do {
        if (store_member_scan(b->s, 1, &in, &r, &b->mem, &b->f) != 0)
            base_die(b->f.text);
        for (uint32_t i = 0; i < r.rows.n; i++)
            eids[n++] = r.rows.v[i].eid;
        in.first = r.next;
        arena_reset(&b->mem);
    } while (r.next != 0);
    if (n != b->n)
        base_die("rows are missing");
    return clock_mono_us() - t0;
}

static int64_t bodies(struct bench *b, const uint64_t *eids)
{
    int64_t t0 = clock_mono_us();
    for (size_t i = 0; i < b->n; i++) {
        struct msg_email_read in = {.eid = eids[i], .length = 65536};
        struct msg_email_read_r r;
        if (store_email_read(b->s, 1, &in, &r, &b->mem, &b->f) != 0)
            base_die(b->f.text);
        arena_reset(&b->mem);
    }
    return clock_mono_us() - t0;
}

static int64_t flags(struct bench *b)
{
    struct op_id op = rand_op_id();
    struct msg_uid_range r = {b->first, b->first + b->n - 1};
    struct msg_flags_set in = {
        .op = span_of(op.b, 16), .mailbox = b->inbox, .mode = FLAGS_ADD, .flags = FLAG_SEEN, .uids = {&r, 1}};
    struct msg_flags_set_r out = {0};
    int64_t took = write_one(b, MSG_ID_flags_set, &in, &out);
    if (out.changed != b->n)
        base_die("flags were not changed");
    return took;
}

static int64_t changes(struct bench *b, uint64_t since)
{
    struct msg_changes in = {.since = since};
    struct msg_changes_r r;
    int64_t t0 = clock_mono_us();
    size_t n = 0;
    do {
        if (store_changes(b->s, 1, &in, &r, &b->mem, &b->f) != 0)
            base_die(b->f.text);
        n += r.rows.n;
        in.since = r.rows.n > 0 ? r.rows.v[r.rows.n - 1].modseq : 0;
        arena_reset(&b->mem);
    } while (r.more);
    if (n != b->n)
        base_die("changes are missing");
    return clock_mono_us() - t0;
}

static int64_t copy(struct bench *b)
{
    int64_t took = 0;
    uint64_t count = 0, next = b->first;
    while (next != 0) {
        struct op_id op = rand_op_id();
        struct msg_uid_range r = {next, b->first + b->n - 1};
        struct msg_copy in = {.op = span_of(op.b, 16), .from = b->inbox, .to = b->copy, .uids = {&r, 1}};
        struct msg_copy_r out = {0};
        took += write_one(b, MSG_ID_copy, &in, &out);
        count += out.count;
        next = out.next;
    }
    if (count != b->n)
        base_die("messages were not copied");
    return took;
}

static int64_t expunge(struct bench *b)
{
    struct op_id op = rand_op_id();
    struct msg_uid_range r = {b->first, b->first + b->n - 1};
    struct msg_expunge in = {.op = span_of(op.b, 16), .mailbox = b->inbox, .uids = {&r, 1}};
    struct msg_expunge_r out = {0};
    int64_t took = write_one(b, MSG_ID_expunge, &in, &out);
    if (out.removed != b->n)
        base_die("messages were not removed");
    return took;
}

/* ---- rows ---- */

/* Reading changes nothing: the best of five, so that what else the machine does is not counted. */
#define BEST(call)                                                                                                     \
    ({                                                                                                                 \
        int64_t best_ = INT64_MAX;                                                                                     \
        for (int i_ = 0; i_ < 5; i_++) {                                                                               \
            int64_t took_ = (call);                                                                                    \
            best_ = MIN_OF(best_, took_);                                                                              \
        }                                                                                                              \
        (double)best_;                                                                                                 \
    })

static void row(const char *name, uint64_t size, double value, const char *unit)
{
    printf("%s\t%llu\t%.2f\t%s\n", name, (unsigned long long)size, value, unit);
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

static void rates(const char *dir)
{
    struct store *s = open_in(dir, "rates");
    arrivals(s, 10000, AT_ONCE, 0, 4096); /* mailboxes are made, files have their size */
    row("arrivals, 1 waiting", 0, arrivals(s, 3000, 1, 0, 4096), "/s");
    row("arrivals, 20 waiting", 0, arrivals(s, 30000, 20, 0, 4096), "/s");
    row("arrivals, 100 waiting", 0, arrivals(s, 50000, 100, 0, 4096), "/s");
    store_close(s);
}

static void mailbox(const char *dir, uint64_t size)
{
    char name[32];
    struct bench b = {.n = MIN_OF(size, (uint64_t)ABOUT)};
    struct msg_mailbox_list_r boxes;
    struct msg_mailbox_create make = {.name = SPAN("Copy")};
    struct msg_mailbox_create_r made;
    static uint64_t eids[ABOUT];
    double n = (double)b.n;
    snprintf(name, sizeof name, "%llu", (unsigned long long)size);
    b.s = open_in(dir, name);
    b.first = (size - b.n) / 2 + 1;
    arrivals(b.s, size, AT_ONCE, 1, 512);
    row("arrival", size, 1e6 / arrivals(b.s, 5000, AT_ONCE, 1, 512), "us");
    if (store_mailbox_list(b.s, 1, SPAN_NONE, &boxes, &b.mem, &b.f) != 0)
        base_die(b.f.text);
    b.inbox = boxes.mailboxes.v[0].mailbox;
    struct op_id op = rand_op_id();
    make.op = span_of(op.b, 16);
    write_one(&b, MSG_ID_mailbox_create, &make, &made);
    b.copy = made.mailbox;
    row("row listed", size, BEST(scan(&b, eids)) / n, "us");
    row("body read", size, BEST(bodies(&b, eids)) / n, "us");
    uint64_t before = store_modseq(b.s, 1);
    row("flags set", size, (double)flags(&b) / n, "us");
    row("change told", size, BEST(changes(&b, before)) / n, "us");
    row("copied", size, (double)copy(&b) / n, "us");
    row("expunged, copied before", size, (double)expunge(&b) / n, "us");
    store_close(b.s);
    arena_done(&b.mem);
}

int main(int argc, char **argv)
{
    uint64_t most = 100000;
    if (argc < 2 || (argc > 2 && num_u64(span_z(argv[2]), 100000000, &most) != 0))
        base_die("usage: store_rows_bench DIR [MOST]");
    memset(filler, 'x', sizeof filler);
    rates(argv[1]);
    for (uint64_t size = 1000; size <= most; size *= 10)
        mailbox(argv[1], size);
    for (size_t i = 0; i < AT_ONCE; i++)
        arena_done(&slots[i].mem);
    return 0;
}
