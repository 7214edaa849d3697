/* store_ops_bench: the operations of which the benchmark tells the costs (see the header). */
#include "base/clock.h"
#include "base/rand.h"
#include "store/store_bench.h"

enum { WINDOW = 50 };

static void must(bool as_it_should, const char *what)
{
    if (!as_it_should)
        base_die(what);
}

static void write_one(struct store_bench *b, enum msg_id id, const void *in, void *out)
{
    struct store_write w = {.id = id, .account = 1, .in = in, .out = out, .mem = &b->mem};
    if (store_wait(b->s, &w) != 0)
        base_die(w.fail.text);
    arena_reset(&b->mem);
}

static struct span new_op(void)
{
    static struct op_id op;
    op = rand_op_id();
    return span_of(op.b, 16);
}

static uint64_t make(struct store_bench *b, const char *name)
{
    struct msg_mailbox_create in = {.op = new_op(), .name = span_z(name)};
    struct msg_mailbox_create_r out;
    write_one(b, MSG_ID_mailbox_create, &in, &out);
    return out.mailbox;
}

void store_ops_bench_start(struct store_bench *b)
{
    struct msg_mailbox_list_r boxes;
    struct fail f = {0};
    if (store_mailbox_list(b->s, 1, SPAN_NONE, &boxes, &b->mem, &f) != 0)
        base_die(f.text);
    b->inbox = boxes.mailboxes.v[0].mailbox;
    b->copy = make(b, "Copy");
    b->other = make(b, "Other");
}

/* ---- reading ---- */

static void scan(struct store_bench *b)
{
    struct msg_member_scan in = {.mailbox = b->inbox, .first = b->first, .last = b->first + b->n - 1};
    struct msg_member_scan_r r;
    struct fail f = {0};
    size_t n = 0;
    do {
        must(store_member_scan(b->s, 1, &in, &r, &b->mem, &f) == 0, f.text);
        for (uint32_t i = 0; i < r.rows.n; i++)
            b->eids[n++] = r.rows.v[i].eid;
        in.first = r.next;
        arena_reset(&b->mem);
    } while (r.next != 0);
    must(n == b->n, "rows are missing");
}

static void bodies(struct store_bench *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct msg_email_read in = {.eid = b->eids[i], .length = 65536};
        struct msg_email_read_r r;
        struct fail f = {0};
        must(store_email_read(b->s, 1, &in, &r, &b->mem, &f) == 0, f.text);
        arena_reset(&b->mem);
    }
}

static void changes(struct store_bench *b)
{
    struct msg_changes in = {.since = b->since};
    struct msg_changes_r r;
    struct fail f = {0};
    size_t n = 0;
    do {
        must(store_changes(b->s, 1, &in, &r, &b->mem, &f) == 0, f.text);
        n += r.rows.n;
        in.since = r.rows.n > 0 ? r.rows.v[r.rows.n - 1].modseq : 0;
        arena_reset(&b->mem);
    } while (r.more);
    must(n == b->n, "changes are missing");
}

static void status(struct store_bench *b)
{
    struct msg_mailbox_list_r r;
    struct fail f = {0};
    must(store_mailbox_list(b->s, 1, SPAN_NONE, &r, &b->mem, &f) == 0, f.text);
    arena_reset(&b->mem);
}

static void quota(struct store_bench *b)
{
    struct msg_quota_get_r r;
    struct fail f = {0};
    must(store_quota_get(b->s, 1, &r, &f) == 0, f.text);
}

static void window(struct store_bench *b)
{
    struct msg_member_scan in = {.mailbox = b->inbox, .first = b->first, .last = UINT64_MAX, .limit = WINDOW,
                                 .want = WANT_ENVELOPE};
    struct msg_member_scan_r r;
    struct fail f = {0};
    must(store_member_scan(b->s, 1, &in, &r, &b->mem, &f) == 0 && r.rows.n == WINDOW, "a window is not full");
    arena_reset(&b->mem);
}

/* ---- writing ---- */

static void set(struct store_bench *b, uint32_t mode, uint32_t flags, struct span keywords)
{
    struct msg_uid_range r = {b->first, b->first + b->n - 1};
    struct msg_flags_set in = {.op = new_op(), .mailbox = b->inbox, .mode = mode, .flags = flags, .keywords = keywords,
                               .uids = {&r, 1}};
    struct msg_flags_set_r out = {0};
    b->since = store_modseq(b->s, 1);
    write_one(b, MSG_ID_flags_set, &in, &out);
    must(out.changed == b->n, "flags were not changed");
}

static void flags(struct store_bench *b) { set(b, FLAGS_ADD, FLAG_SEEN, SPAN_NONE); }
static void keywords(struct store_bench *b) { set(b, FLAGS_ADD, 0, SPAN("$Junk mine")); }

static void transfer(struct store_bench *b, uint64_t from, uint64_t to, bool move, uint64_t first)
{
    uint64_t count = 0, next = first;
    while (next != 0) {
        struct msg_uid_range r = {next, first + b->n - 1};
        struct msg_copy in = {.op = new_op(), .from = from, .to = to, .move = move, .uids = {&r, 1}};
        struct msg_copy_r out = {0};
        write_one(b, MSG_ID_copy, &in, &out);
        count += out.count;
        next = out.next;
    }
    must(count == b->n, "messages were not copied");
}

static void copy(struct store_bench *b) { transfer(b, b->inbox, b->copy, false, b->first); }
static void move(struct store_bench *b) { transfer(b, b->copy, b->other, true, 1); }

static void expunge(struct store_bench *b, uint64_t mailbox, uint64_t first)
{
    struct msg_uid_range r = {first, first + b->n - 1};
    struct msg_expunge in = {.op = new_op(), .mailbox = mailbox, .uids = {&r, 1}};
    struct msg_expunge_r out = {0};
    write_one(b, MSG_ID_expunge, &in, &out);
    must(out.removed == b->n, "messages were not removed");
}

static void expunge_copied(struct store_bench *b) { expunge(b, b->inbox, b->first); }
static void expunge_last(struct store_bench *b) { expunge(b, b->other, 1); }

static void append(struct store_bench *b)
{
    static char text[4096];
    struct msg_append in = {.op = new_op(), .body = span_of(text, sizeof text), .size = sizeof text, .file = -1,
                            .internal_ms = clock_now_ms(), .msgid_hash = rand_u64(), .date_s = clock_now_s(),
                            .envelope = span_of(text, 330), .structure = span_of(text, 110), .headers = span_of(text, 100)};
    struct msg_append_r out;
    write_one(b, MSG_ID_append, &in, &out);
}

static void copy_one(struct store_bench *b)
{
    struct msg_uid_range r = {1, 1};
    struct msg_copy in = {.op = new_op(), .from = b->inbox, .to = b->inbox, .uids = {&r, 1}};
    struct msg_copy_r out = {0};
    write_one(b, MSG_ID_copy, &in, &out);
}

static void expunge_one(struct store_bench *b)
{
    expunge(b, b->inbox, b->first);
    b->first++;
}

/* ---- tables ---- */

const struct store_ops_bench_row store_ops_bench_many[] = {
    {"row listed", scan, true},       {"body read", bodies, true}, {"flags set", flags, false},
    {"change told", changes, true},   {"keywords set", keywords, false},
    {"copied", copy, false},          {"moved", move, false},
    {"expunged, copied before", expunge_copied, false}, {"expunged, with its text", expunge_last, false},
};
const size_t store_ops_bench_n_many = COUNT_OF(store_ops_bench_many);

/* About one message (b->n is 1) in the middle of a mailbox: what a session does all day. */
const struct store_ops_bench_row store_ops_bench_one[] = {
    {"one appended", append, false},      {"flags of one", flags, false}, {"what changed since", changes, true},
    {"window of 50", window, true},       {"status", status, true},       {"quota", quota, true},
    {"one copied", copy_one, false},      {"one expunged", expunge_one, false},
};
const size_t store_ops_bench_n_one = COUNT_OF(store_ops_bench_one);
