/* store_ops_bench: what the operations on mailboxes cost, and that it does not grow with what the mailbox holds.
 *
 *     store_ops_bench DIR [largest]        mailboxes of 1,000, 10,000 ... messages, one after the other
 */
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "store/store_impl.h"

enum { ROWS = 1000, TIMES = 5 };

static struct store *st;
static struct arena mem;
static struct op_id op;

static double run(enum msg_id id, const void *in, void *out)
{
    struct store_write w = {.id = id, .account = 1, .in = in, .out = out, .mem = &mem};
    int64_t t0 = clock_mono_us();
    if (store_wait(st, &w) != 0)
        base_die(w.fail.text);
    return (double)(clock_mono_us() - t0) / 1e3;
}

static struct span new_op(void)
{
    op = rand_op_id();
    return span_of(op.b, 16);
}

static uint64_t make(const char *name)
{
    struct msg_mailbox_create in = {.op = new_op(), .name = span_z(name)};
    struct msg_mailbox_create_r out;
    run(MSG_ID_mailbox_create, &in, &out);
    return out.mailbox;
}

static struct msg_copy_r copy(uint64_t from, uint64_t to, uint32_t move, uint64_t first, uint64_t last, double *ms)
{
    struct msg_uid_range r = {first, last};
    struct msg_copy in = {.op = new_op(), .from = from, .to = to, .move = move, .uids = {&r, 1}};
    struct msg_copy_r out;
    *ms = run(MSG_ID_copy, &in, &out);
    return out;
}

static double flags(uint64_t box, uint64_t first, uint64_t last, uint32_t mode, const char *keywords)
{
    struct msg_uid_range r = {first, last};
    struct msg_flags_set in = {.op = new_op(),
                               .mailbox = box,
                               .mode = mode,
                               .flags = FLAG_SEEN,
                               .keywords = span_z(keywords),
                               .uids = {&r, 1}};
    struct msg_flags_set_r out = {0};
    return run(MSG_ID_flags_set, &in, &out);
}

static double expunge(uint64_t box, uint64_t first, uint64_t last)
{
    struct msg_uid_range r = {first, last};
    struct msg_expunge in = {.op = new_op(), .mailbox = box, .uids = {&r, 1}};
    struct msg_expunge_r out;
    return run(MSG_ID_expunge, &in, &out);
}

static double append(uint64_t box)
{
    static char text[4096];
    struct msg_append in = {.op = new_op(),
                            .mailbox = box,
                            .body = span_of(text, sizeof text),
                            .size = sizeof text,
                            .file = -1,
                            .internal_ms = clock_now_ms(),
                            .msgid_hash = rand_u64(),
                            .envelope = span_of(text, 330),
                            .structure = span_of(text, 110),
                            .headers = span_of(text, 100)};
    struct msg_append_r out;
    return run(MSG_ID_append, &in, &out);
}

static double changes(uint64_t since)
{
    struct msg_changes in = {.since = since, .limit = ROWS};
    struct msg_changes_r out;
    struct fail f;
    int64_t t0 = clock_mono_us();
    if (store_changes(st, 1, &in, &out, &mem, &f) != 0)
        base_die(f.text);
    return (double)(clock_mono_us() - t0) / 1e3;
}

static void fill(uint64_t box, size_t messages)
{
    double ms;
    size_t have = MIN_OF(messages, (size_t)1000);
    for (size_t i = 0; i < have; i++)
        append(box);
    while (have < messages)
        have += copy(box, box, 0, 1, MIN_OF(messages - have, have), &ms).count;
}

static void show(const char *what, const double *v, size_t n)
{
    double least = v[0], sum = 0;
    for (size_t i = 0; i < n; i++) {
        least = MIN_OF(least, v[i]);
        sum += v[i];
    }
    printf(" %s=%.2f/%.2f", what, least, sum / (double)n);
}

/* Each figure: least and mean of TIMES, in ms. */
static void measure(uint64_t box, uint64_t other, size_t messages)
{
    double v[10][TIMES], ms;
    uint64_t at = 1;
    for (int i = 0; i < TIMES; i++) {
        arena_reset(&mem);
        uint64_t since = store_modseq(st, 1);
        at = i % 2 ? at : 1 + rand_below(messages - ROWS + 1); /* twice the same: set, and taken away again */
        v[0][i] = append(box);
        v[1][i] = flags(box, at, at, i % 2 ? FLAGS_REMOVE : FLAGS_ADD, "");
        v[2][i] = flags(box, at, at + ROWS - 1, i % 2 ? FLAGS_REMOVE : FLAGS_ADD, "");
        v[3][i] = flags(box, at, at + ROWS - 1, i % 2 ? FLAGS_REMOVE : FLAGS_ADD, "$Junk mine");
        v[4][i] = changes(since);
        struct msg_copy_r c = copy(box, other, 0, at, at + ROWS - 1, &v[5][i]);
        v[6][i] = expunge(other, c.uid, c.uid + c.count - 1);
        c = copy(box, other, 0, at, at + ROWS - 1, &ms);
        copy(other, box, 1, c.uid, c.uid + c.count - 1, &v[7][i]);
        v[8][i] = expunge(box, at, at);
        copy(box, other, 0, 1, UINT64_MAX, &v[9][i]);
    }
    printf("messages=%zu", messages);
    static const char *const names[] = {"append",    "flag_1",       "flag_1000", "keyword_1000", "changes_1000",
                                        "copy_1000", "expunge_1000", "move_1000", "expunge_1",    "copy_10000"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        show(names[i], v[i], TIMES);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct fail f = {0};
    uint64_t largest = 100000;
    if (argc < 2 || (argc > 2 && num_u64(span_z(argv[2]), 10000000, &largest) != 0)) {
        fprintf(stderr, "usage: store_ops_bench DIR [largest]\n");
        return 2;
    }
    arena_init(&mem);
    st = store_open(argv[1], NULL, &f);
    if (st == NULL)
        base_die(f.text);
    for (uint64_t n = 1000; n <= largest; n *= 10) {
        char name[40];
        snprintf(name, sizeof name, "box %llu", (unsigned long long)n);
        uint64_t box = make(name), other;
        snprintf(name, sizeof name, "other %llu", (unsigned long long)n);
        other = make(name);
        fill(box, n);
        measure(box, other, n);
    }
    store_close(st);
    arena_done(&mem);
    return 0;
}
