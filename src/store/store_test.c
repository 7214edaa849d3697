/* Tests of the store's operations. */
#include "base/clock.h"
#include "store/db_schema.h"
#include "store/store_testing.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct arena mem;
static struct store *s;

static int setup(void **state)
{
    arena_init(&mem);
    if (store_testing_setup(state) != 0)
        return -1;
    s = store_testing_open();
    return 0;
}

static int teardown(void **state)
{
    store_close(s);
    arena_done(&mem);
    return store_testing_teardown(state);
}

static void reopen(void)
{
    store_close(s);
    s = store_testing_open();
}

static struct span body_of(size_t n, unsigned seed)
{
    char *p = arena_alloc(&mem, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + (i * 7 + seed + i / 251) % 26);
    return span_of(p, n);
}

static struct msg_ingest_r ingest(uint64_t first, uint32_t n, struct span body)
{
    struct msg_ingest_r r = {0};
    struct fail f = {0};
    if (store_testing_ingest(s, NULL, first, n, body, &r, &mem, &f) != 0)
        fail_msg("ingest: %s %s", f.code, f.text);
    assert_int_equal(r.results.n, n);
    return r;
}

static struct span delivered(unsigned account, struct span body)
{
    return arena_printf(&mem, "Return-Path: <a@example.org>\r\nDelivered-To: user%u@example.test\r\n%.*s", account,
                        SPAN_ARGS(body));
}

static void one_and_many_targets(void **state)
{
    struct span body = body_of(3000, 1);
    struct msg_ingest_r one = ingest(7, 1, body), many = ingest(1, 20, body);
    assert_int_equal(one.results.v[0].uid, 1);
    for (uint32_t i = 0; i < 20; i++) {
        const struct msg_ingest_result *r = &many.results.v[i];
        assert_int_equal(r->account, i + 1);
        assert_int_equal(r->uid, i + 1 == 7 ? 2 : 1);
        assert_true(span_eq(store_testing_read(s, i + 1, r->eid, &mem), delivered(i + 1, body)));
        assert_null(store_testing_read(s, i + 2, r->eid, &mem).p); /* another account's */
        assert_int_equal(store_testing_check(s, i + 1), i + 1 == 7 ? 2 : 1);
    }
    struct msg_store_stats_r st;
    assert_int_equal(store_stats(s, &st, NULL), 0);
    assert_int_equal(st.emails, 21);
    assert_int_equal(st.blobs, 2); /* the message for 20 is kept once */
    assert_int_equal(st.accounts, 20);
}

static void order_of_uids(void **state)
{
    uint64_t uid = 0, modseq = 0, eid = 0;
    for (unsigned i = 0; i < 300; i++) {
        struct msg_ingest_r r = ingest(3, 1, body_of(i * 11, i));
        assert_true(r.results.v[0].uid == uid + 1 && r.results.v[0].modseq > modseq && r.results.v[0].eid > eid);
        uid = r.results.v[0].uid;
        modseq = r.results.v[0].modseq;
        eid = r.results.v[0].eid;
        if (i % 100 == 50)
            reopen();
    }
    assert_int_equal(store_modseq(s, 3), modseq);
    assert_int_equal(store_modseq(s, 4), 0);
    assert_int_equal(store_testing_check(s, 3), 300);
    struct msg_mailbox_row box = store_testing_inbox(s, 3, &mem);
    assert_int_equal(box.uidnext, 301);
    assert_true(box.uidvalidity > 0 && box.uidvalidity <= UINT32_MAX);
}

static void repeated_operations(void **state)
{
    struct op_id op = rand_op_id();
    struct msg_ingest_r a = {0}, b = {0};
    struct fail f = {0};
    assert_int_equal(store_testing_ingest(s, &op, 1, 3, SPAN("x"), &a, &mem, &f), 0);
    assert_int_equal(a.repeated, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_testing_ingest(s, &op, 1, 3, SPAN("x"), &b, &mem, &f), 0);
        assert_int_equal(b.repeated, 1);
        assert_int_equal(b.results.n, 3);
        assert_memory_equal(a.results.v, b.results.v, 3 * sizeof *a.results.v);
        reopen();
    }
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(store_testing_check(s, i), 1);
    /* the id of one operation is no result for another */
    struct msg_uid_range all = {1, 9};
    struct msg_expunge in = {.op = span_of(op.b, 16), .mailbox = a.results.v[0].mailbox, .uids = {&all, 1}};
    struct msg_expunge_r out;
    assert_int_equal(store_testing_write(s, MSG_ID_expunge, 1, &in, &out, &mem, &f), -1);
    assert_int_equal(f.kind, FAIL_PERM);
    assert_int_equal(store_testing_check(s, 1), 1);
}

/* A write among many in flight. */
struct twin {
    struct store_write w;
    struct msg_ingest in;
    struct msg_ingest_r out;
    struct arena mem;
};
static _Atomic int twins_done;
static void twin_done(struct store_write *w)
{
    twins_done++;
}

enum { BURST_MOST = 2500 };

/* n messages for one account, all under way at once. */
static void burst(uint64_t account, int n, struct span body)
{
    static struct twin t[BURST_MOST];
    static struct op_id op[BURST_MOST];
    struct msg_ingest_target target = {.account = account, .address = SPAN("u@example.test")};
    twins_done = 0;
    for (int i = 0; i < n; i++) {
        op[i] = rand_op_id();
        t[i].in = (struct msg_ingest){
            .op = span_of(op[i].b, 16), .body = body, .size = body.n, .file = -1, .targets = {&target, 1}};
        t[i].w = (struct store_write){
            .id = MSG_ID_ingest, .in = &t[i].in, .out = &t[i].out, .mem = &t[i].mem, .done = twin_done};
        store_submit(s, &t[i].w);
    }
    while (twins_done < n)
        usleep(1000);
    for (int i = 0; i < n; i++) {
        assert_int_equal(t[i].w.result, 0);
        arena_done(&t[i].mem);
    }
}

/* Batches that go over from one segment into the next: every byte accounted for, every message readable. */
static void segments(void **state)
{
    for (int i = 0; i < 5; i++)
        burst(1 + (uint64_t)i % 2, 300, body_of(4000, 1));
    assert_true(store_testing_sql("SELECT count(*) FROM segment") >= 5);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM segment WHERE live > end OR live < end - 2000"), 0);
    assert_int_equal(store_testing_check(s, 1), 900);
    reopen();
    assert_int_equal(store_testing_check(s, 2), 600);
}

/* The same operation many times in one batch is done once. */
static void repeated_within_a_batch(void **state)
{
    enum { N = 64 };
    static struct twin t[N];
    struct op_id op[4];
    struct msg_ingest_target target = {.account = 5, .address = SPAN("u@example.test")};
    twins_done = 0;
    for (int i = 0; i < 4; i++)
        op[i] = rand_op_id();
    for (int i = 0; i < N; i++) {
        t[i].in = (struct msg_ingest){
            .op = span_of(op[i % 4].b, 16), .body = SPAN("twin"), .size = 4, .file = -1, .targets = {&target, 1}};
        t[i].w = (struct store_write){
            .id = MSG_ID_ingest, .in = &t[i].in, .out = &t[i].out, .mem = &t[i].mem, .done = twin_done};
        store_submit(s, &t[i].w);
    }
    while (twins_done < N)
        usleep(1000);
    int fresh = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(t[i].w.result, 0);
        assert_int_equal(t[i].out.results.v[0].uid, t[i % 4].out.results.v[0].uid);
        fresh += t[i].out.repeated == 0;
    }
    for (int i = 0; i < N; i++)
        arena_done(&t[i].mem);
    assert_int_equal(fresh, 4);
    assert_int_equal(store_testing_check(s, 5), 4);
}

static void flags(void **state)
{
    struct msg_flags_set_r r;
    struct fail f = {0};
    struct msg_ingest_r in = {0};
    for (int i = 0; i < 10; i++)
        in = ingest(1, 1, body_of(100, 0));
    uint64_t box = in.results.v[0].mailbox, before = in.results.v[0].modseq;
    assert_int_equal(store_testing_flags(s, 1, box, 2, 5, FLAGS_ADD, FLAG_SEEN | FLAG_FLAGGED, 0, &r, &mem, &f), 0);
    assert_int_equal(r.changed, 4);
    assert_int_equal(r.modseq, before + 4);
    assert_int_equal(store_testing_flags(s, 1, box, 1, UINT64_MAX, FLAGS_ADD, FLAG_SEEN, 0, &r, &mem, &f), 0);
    assert_int_equal(r.changed, 6); /* the others have it */
    assert_int_equal(store_testing_flags(s, 1, box, 3, 3, FLAGS_REMOVE, FLAG_SEEN, 0, &r, &mem, &f), 0);
    assert_int_equal(store_testing_flags(s, 1, box, 4, 4, FLAGS_REPLACE, FLAG_DELETED, 0, &r, &mem, &f), 0);
    store_testing_check(s, 1);
    struct msg_mailbox_row row = store_testing_inbox(s, 1, &mem);
    assert_int_equal(row.unseen, 2);
    assert_int_equal(row.deleted, 1);
    /* RFC 7162 3.1.3: 2..5 and 1, 6..10 have changed since their arrival */
    assert_int_equal(store_testing_flags(s, 1, box, 1, 10, FLAGS_ADD, FLAG_ANSWERED, before, &r, &mem, &f), 0);
    assert_int_equal(r.changed, 0);
    assert_int_equal(r.modified.n, 1);
    assert_true(r.modified.v[0].first == 1 && r.modified.v[0].last == 10);
    assert_int_equal(store_testing_flags(s, 1, box, 1, 10, FLAGS_ADD, FLAG_ANSWERED, before + 4, &r, &mem, &f), 0);
    assert_int_equal(r.changed, 2); /* 2 and 5; 3 and 4 changed once more */
    assert_int_equal(r.modified.n, 3);
    assert_true(r.modified.v[1].first == 3 && r.modified.v[1].last == 4);
    assert_int_equal(store_testing_flags(s, 1, box, 1, 10, FLAGS_ADD, 64, 0, &r, &mem, &f), -1);
    assert_int_equal(store_testing_flags(s, 1, box, 1, 10, 7, FLAG_SEEN, 0, &r, &mem, &f), -1);
    assert_int_equal(store_testing_flags(s, 1, box, 5, 4, FLAGS_ADD, FLAG_SEEN, 0, &r, &mem, &f), -1);
    assert_int_equal(store_testing_flags(s, 2, box, 1, 10, FLAGS_ADD, FLAG_SEEN, 0, &r, &mem, &f), -1); /* not theirs */
    assert_int_equal(f.kind, FAIL_PERM);
}

static void ranges_in_any_order(void **state)
{
    struct msg_uid_range v[] = {{8, 9}, {1, 3}, {2, 2}, {3, 4}, {9, 9}};
    struct op_id op = rand_op_id();
    struct msg_ingest_r in = {0};
    struct msg_expunge_r out;
    for (int i = 0; i < 10; i++)
        in = ingest(1, 1, body_of(100, 0));
    struct msg_expunge x = {.op = span_of(op.b, 16), .mailbox = in.results.v[0].mailbox, .uids = {v, COUNT_OF(v)}};
    assert_int_equal(store_testing_write(s, MSG_ID_expunge, 1, &x, &out, &mem, NULL), 0);
    assert_int_equal(out.removed, 6);
    assert_int_equal(store_testing_check(s, 1), 4);
}

static void gather(uint64_t account, uint64_t since, uint32_t limit, struct msg_change_row *v, size_t *n, size_t cap)
{
    struct msg_changes in = {.since = since, .limit = limit};
    struct msg_changes_r out;
    *n = 0;
    do {
        assert_int_equal(store_changes(s, account, &in, &out, &mem, NULL), 0);
        for (uint32_t i = 0; i < out.rows.n; i++) {
            assert_true(out.rows.v[i].modseq > in.since);
            in.since = out.rows.v[i].modseq;
            assert_true(*n < cap);
            v[(*n)++] = out.rows.v[i];
        }
    } while (out.more);
}

static void changes_and_tombstones(void **state)
{
    static struct msg_change_row v[200];
    size_t n;
    struct msg_ingest_r in = {0};
    struct msg_flags_set_r fr;
    struct msg_expunge_r er;
    for (int i = 0; i < 20; i++)
        in = ingest(1, 1, body_of(50, 0));
    uint64_t box = in.results.v[0].mailbox, since = in.results.v[0].modseq;
    for (uint32_t limit = 1; limit < 30; limit += 7) {
        gather(1, 0, limit, v, &n, COUNT_OF(v));
        assert_int_equal(n, 21);
        assert_int_equal(v[0].kind, CHANGE_MAILBOX_ADDED);
        for (size_t i = 1; i < n; i++)
            assert_true(v[i].kind == CHANGE_ADDED && v[i].uid == i);
    }
    assert_int_equal(store_testing_flags(s, 1, box, 3, 12, FLAGS_ADD, FLAG_SEEN, 0, &fr, &mem, NULL), 0);
    assert_int_equal(store_testing_expunge(s, 1, box, 5, 6, &er, &mem, NULL), 0);
    assert_int_equal(er.removed, 2);
    gather(1, 0, 1000, v, &n, COUNT_OF(v));
    assert_int_equal(n, 1 + 18 + 2); /* what arrived and was flagged since is one row, with its present flags */
    assert_true(v[3].kind == CHANGE_ADDED && v[3].uid == 3 && v[3].flags == FLAG_SEEN);
    in = ingest(1, 1, body_of(50, 0));
    for (uint32_t limit = 1; limit < 30; limit += 3) {
        gather(1, since, limit, v, &n, COUNT_OF(v));
        assert_int_equal(n, 8 + 2 + 1);
        assert_true(v[0].kind == CHANGE_FLAGS && v[0].uid == 3 && v[0].flags == FLAG_SEEN);
        assert_true(v[8].kind == CHANGE_EXPUNGED && v[8].uid == 5 && v[9].uid == 6 && v[9].mailbox == box);
        assert_true(v[10].kind == CHANGE_ADDED && v[10].uid == 21);
    }
    gather(1, store_modseq(s, 1), 10, v, &n, COUNT_OF(v));
    assert_int_equal(n, 0);
    assert_int_equal(store_testing_check(s, 1), 19);
    reopen();
    assert_int_equal(store_testing_check(s, 1), 19);
    assert_int_equal(ingest(1, 1, SPAN("")).results.v[0].uid, 22); /* a uid never comes again */
}

static void expunge_frees(void **state)
{
    struct msg_expunge_r er;
    struct msg_store_stats_r st;
    struct msg_ingest_r in = ingest(1, 2, body_of(500, 0));
    struct msg_ingest_r big = ingest(1, 1, body_of(100000, 0));
    struct stat file;
    char path[200];
    snprintf(path, sizeof path, "%s/big/%016x", store_testing_dir, 2u);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_size, 100000);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(store_testing_expunge(s, 1, in.results.v[0].mailbox, 1, 2, &er, &mem, NULL), 0);
    assert_int_equal(er.removed, 2);
    assert_int_equal(stat(path, &file), -1);
    assert_null(store_testing_read(s, 1, big.results.v[0].eid, &mem).p);
    assert_non_null(store_testing_read(s, 2, in.results.v[1].eid, &mem).p); /* the other account's copy stands */
    assert_int_equal(store_stats(s, &st, NULL), 0);
    assert_true(st.emails == 1 && st.blobs == 1);
    assert_int_equal(store_testing_expunge(s, 2, in.results.v[1].mailbox, 1, 9, &er, &mem, NULL), 0);
    assert_int_equal(store_stats(s, &st, NULL), 0);
    assert_true(st.emails == 0 && st.blobs == 0);
    assert_int_equal(store_testing_sql("SELECT sum(live) FROM segment"), 0); /* no byte of the log is referred to */
}

static void account_gone(void **state)
{
    struct msg_account_gone in = {.account = 1};
    struct msg_store_stats_r st;
    burst(1, 2500, SPAN("x")); /* more than one step */
    ingest(2, 1, SPAN("y"));
    assert_int_equal(store_testing_write(s, MSG_ID_account_gone, 1, &in, NULL, &mem, NULL), 0);
    assert_int_equal(store_stats(s, &st, NULL), 0);
    assert_true(st.emails == 1 && st.blobs == 1 && st.accounts == 1 && st.mailboxes == 1);
    assert_int_equal(store_modseq(s, 1), 0);
    assert_int_equal(store_testing_check(s, 2), 1);
    assert_int_equal(store_testing_write(s, MSG_ID_account_gone, 1, &in, NULL, &mem, NULL), 0); /* again: nothing */
    struct msg_mailbox_row box = store_testing_inbox(s, 1, &mem);
    assert_int_equal(box.total, 0);
}

static void windows_of_a_message(void **state)
{
    const size_t sizes[] = {0, 1, 200, 65535, 65536, 65537, 200000};
    for (size_t k = 0; k < COUNT_OF(sizes); k++) {
        struct span body = body_of(sizes[k], (unsigned)k);
        struct msg_ingest_r in = ingest(9, 1, body);
        struct span whole = delivered(9, body);
        for (size_t off = 0; off <= whole.n + 1; off += off < 100 ? 1 : whole.n / 5 + 1)
            for (uint32_t len = 1; len <= 65536; len = len * 9 + 1) {
                struct msg_email_read q = {.eid = in.results.v[0].eid, .offset = off, .length = len};
                struct msg_email_read_r out;
                assert_int_equal(store_email_read(s, 9, &q, &out, &mem, NULL), 0);
                assert_int_equal(out.size, whole.n);
                assert_true(span_eq(out.data, span_sub(whole, off, len)));
            }
    }
    assert_int_equal(store_testing_check(s, 9), COUNT_OF(sizes));
}

/* The same stretches many at once, as many as fit; with what is not there, and what is another account's. */
static void slices_of_messages(void **state)
{
    enum { N = 60 };
    struct msg_email_slice ask[N];
    struct span want[N] = {{0}};
    struct fail f;
    for (unsigned k = 0; k < N; k++) {
        struct span body = body_of(1000 + k * 100, k);
        struct msg_ingest_r in = ingest(k % 7 == 3 ? 8 : 9, 1, body);
        ask[k] = (struct msg_email_slice){in.results.v[0].eid + (k % 7 == 5 ? 100000 : 0), k * 10, 500 + k * 200};
        if (k % 7 != 3 && k % 7 != 5)
            want[k] = span_sub(delivered(9, body), ask[k].offset, ask[k].length);
    }
    for (unsigned first = 0, steps = 0; first < N; steps++) {
        struct msg_email_slices in = {.slices = {ask + first, N - first}};
        struct msg_email_slices_r out;
        size_t bytes = 0;
        assert_int_equal(store_email_slices(s, 9, &in, &out, &mem, &f), 0);
        assert_true(out.got.n > 0 && out.got.n <= N - first && steps < 4);
        for (uint32_t i = 0; i < out.got.n; i++, first++) {
            assert_int_equal(out.got.v[i].there, want[first].p != NULL);
            assert_true(span_eq(out.got.v[i].data, want[first]));
            bytes += out.got.v[i].data.n;
        }
        assert_true(bytes <= 200000);
    }
}

static void bodies_by_file_and_spool(void **state)
{
    struct msg_ingest_target target = {.account = 4, .address = SPAN("user4@example.test")};
    const size_t sizes[] = {5000, 64 * 1024, 64 * 1024 + 1, 300000};
    for (size_t k = 0; k < COUNT_OF(sizes); k++) {
        struct op_id op = rand_op_id();
        struct span body = body_of(sizes[k], 3);
        int fd = memfd_create("body", MFD_CLOEXEC);
        struct msg_ingest_r out;
        assert_int_equal(write(fd, body.p, body.n), body.n);
        struct msg_ingest in = {.op = span_of(op.b, 16),
                                .sender = SPAN("a@example.org"),
                                .size = body.n,
                                .file = fd,
                                .targets = {&target, 1}};
        assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, NULL), 0);
        assert_true(span_eq(store_testing_read(s, 4, out.results.v[0].eid, &mem), delivered(4, body)));
        in.size++; /* said to be longer than it is */
        op = rand_op_id();
        assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, NULL), -1);
        close(fd);
    }
    struct op_id op = rand_op_id();
    struct span id = span_of(op.b, 16), body = body_of(400000, 5);
    struct msg_spool_write_r w;
    struct msg_spool_lend_r lent;
    for (size_t at = 0; at < body.n; at += 50000) {
        struct msg_spool_write x = {.op = id, .offset = at, .data = span_sub(body, at, 60000)};
        assert_int_equal(store_spool_write(s, &x, &w, NULL), 0); /* overlapping: what is there already is skipped */
        assert_int_equal(w.size, MIN_OF(at + 60000, body.n));
    }
    struct msg_spool_write gap = {.op = id, .offset = body.n + 1, .data = SPAN("x")};
    assert_int_equal(store_spool_write(s, &gap, &w, NULL), -1);
    assert_int_equal(store_spool_lend(s, id, &lent, NULL), 0);
    assert_int_equal(lent.size, body.n);
    assert_int_equal(fcntl(lent.file, F_GETFL) & O_ACCMODE, O_RDONLY);
    close(lent.file);
    struct msg_ingest in = {
        .op = id, .sender = SPAN("a@example.org"), .size = body.n, .file = -1, .spool = 1, .targets = {&target, 1}};
    struct msg_ingest_r out;
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, NULL), 0);
    assert_true(span_eq(store_testing_read(s, 4, out.results.v[0].eid, &mem), delivered(4, body)));
    assert_int_equal(store_spool_lend(s, id, &lent, NULL), -1); /* used up */
    reopen();
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, NULL), 0);
    assert_int_equal(out.repeated, 1);
    op = rand_op_id();
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, NULL), -1); /* nothing spooled */
    assert_int_equal(store_testing_check(s, 4), COUNT_OF(sizes) + 1);
}

static void refusals_disturb_nobody(void **state)
{
    struct fail f = {0};
    struct msg_ingest_r out;
    struct op_id op = rand_op_id();
    struct msg_ingest_target t[2] = {{.account = 1, .address = SPAN("u@example.test")}, {.account = 2, .mailbox = 999}};
    struct msg_ingest in = {.op = span_of(op.b, 16), .size = 1, .body = SPAN("x"), .file = -1, .targets = {t, 2}};
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1); /* all or nothing */
    assert_int_equal(f.kind, FAIL_PERM);
    assert_int_equal(store_modseq(s, 1), 0);
    t[1] = (struct msg_ingest_target){.account = 2, .address = SPAN("u\r\nX: y@example.test")};
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
    t[1] = (struct msg_ingest_target){.account = 2, .flags = 1024};
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
    in.targets.n = 0;
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
    in.targets.n = 1;
    in.op.n = 15;
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
    in.op.n = 16;
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f),
                     0); /* a refusal is not remembered */
    assert_int_equal(store_testing_check(s, 1), 1);
    assert_int_equal(store_testing_broken.kind, FAIL_NONE);
}

/* Packed it is the same as in rows, in windows of any size, with sets of keywords. */
static void packed_view(void **state)
{
    static const char *const words[] = {"", "$Junk", "$Junk work", "work"};
    enum { N = 50 };
    struct fail f;
    for (unsigned k = 0; k < N; k++)
        ingest(9, 1, body_of(100, k));
    uint64_t box = store_testing_inbox(s, 9, &mem).mailbox;
    for (unsigned k = 0; k < N; k++) {
        struct msg_uid_range uid = {k + 1, k + 1};
        struct op_id op = rand_op_id();
        struct msg_flags_set in = {.op = span_of(op.b, sizeof op.b), .mailbox = box, .mode = FLAGS_ADD, .flags = k % 32,
                                   .keywords = span_z(words[k / 3 % 4]), .uids = {&uid, 1}};
        struct msg_flags_set_r r;
        assert_int_equal(store_testing_write(s, MSG_ID_flags_set, 9, &in, &r, &mem, &f), 0);
    }
    struct msg_member_scan all = {.mailbox = box, .first = 1, .last = UINT64_MAX};
    struct msg_member_scan_r rows;
    assert_int_equal(store_member_scan(s, 9, &all, &rows, &mem, &f), 0);
    assert_int_equal(rows.rows.n, N);
    for (uint32_t limit = 1; limit < 60; limit = limit * 2 + 5)
        for (uint64_t at = 0, next = 1; next != 0;) {
            struct msg_member_view in = {.mailbox = box, .first = next, .last = UINT64_MAX, .limit = limit};
            struct msg_member_view_r out;
            assert_int_equal(store_member_view(s, 9, &in, &out, &mem, &f), 0);
            assert_true(out.n > 0 && out.n <= limit && out.rows.n == out.n * 24);
            for (uint32_t i = 0; i < out.n; i++, at++) {
                const unsigned char *p = (const unsigned char *)out.rows.p + i * 24;
                const struct msg_member_row *row = &rows.rows.v[at];
                struct span left = out.words, set = SPAN("");
                for (uint32_t n = p[21] + p[22] * 256u; n > 0; n--)
                    set = span_split(&left, '\n');
                uint64_t modseq, eid;
                uint32_t uid;
                memcpy(&modseq, p, 8), memcpy(&eid, p + 8, 8), memcpy(&uid, p + 16, 4);
                assert_true(le64toh(modseq) == row->modseq && le64toh(eid) == row->eid && le32toh(uid) == row->uid);
                assert_true(p[20] == row->flags && span_eq(set, row->keywords));
            }
            next = out.next;
            assert_true(next != 0 || at == N);
        }
    assert_int_equal(store_member_view(s, 8, &(struct msg_member_view){.mailbox = box}, &(struct msg_member_view_r){0}, &mem, &f), -1);
}

static void listing_in_windows(void **state)
{
    struct msg_ingest_r in = {0};
    for (int i = 0; i < 100; i++)
        in = ingest(1, 1, body_of(10, 0));
    struct msg_member_scan q = {
        .mailbox = in.results.v[0].mailbox, .first = 1, .last = 90, .limit = 7, .want = WANT_ENVELOPE};
    struct msg_member_scan_r r;
    uint64_t uid = 0;
    do {
        assert_int_equal(store_member_scan(s, 1, &q, &r, &mem, NULL), 0);
        assert_true(r.rows.n <= 7);
        for (uint32_t i = 0; i < r.rows.n; i++) {
            assert_int_equal(r.rows.v[i].uid, ++uid);
            assert_true(span_eq(r.rows.v[i].envelope, SPAN("(ENV)")));
            assert_int_equal(r.rows.v[i].structure.n, 0);
        }
        q.first = r.next;
    } while (r.next != 0);
    assert_int_equal(uid, 90);
    struct fail f = {0};
    assert_int_equal(store_member_scan(s, 2, &q, &r, &mem, &f), -1);
    assert_int_equal(f.kind, FAIL_PERM);
}

/* A byte of the log changes on disk: told, never delivered. */
static void damage_is_found(void **state)
{
    struct msg_ingest_r small = ingest(1, 1, body_of(3000, 0)), big = ingest(1, 1, body_of(90000, 0));
    char path[200];
    reopen();
    snprintf(path, sizeof path, "%s/seg-%08u", store_testing_dir, 1u);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "!", 1, 2000), 1);
    close(fd);
    snprintf(path, sizeof path, "%s/big/%016x", store_testing_dir, 2u);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "!", 1, 80000), 1);
    close(fd);
    struct msg_email_read q = {.eid = small.results.v[0].eid, .length = 10, .offset = 1000};
    struct msg_email_read_r out;
    struct fail f = {0};
    assert_int_equal(store_email_read(s, 1, &q, &out, &mem, &f), -1);
    assert_true(f.kind == FAIL_TEMP && strcmp(f.code, "4.3.0") == 0);
    q.eid = big.results.v[0].eid;
    assert_int_equal(store_email_read(s, 1, &q, &out, &mem, &f), -1);
}

static void second_process_and_newer_schema(void **state)
{
    struct fail f = {0};
    char path[200];
    sqlite3 *db;
    assert_null(store_open(store_testing_dir, NULL, &f));
    assert_int_equal(f.kind, FAIL_TEMP);
    store_close(s);
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    assert_null(store_open(store_testing_dir, NULL, &f));
    assert_int_equal(f.kind, FAIL_PERM);
    char back[40];
    snprintf(back, sizeof back, "PRAGMA user_version=%zu", db_schema_version);
    assert_int_equal(sqlite3_exec(db, back, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = store_testing_open();
}

static void quota(void **state)
{
    char path[200];
    sqlite3 *db;
    struct fail f = {0};
    struct msg_ingest_r out;
    ingest(1, 1, body_of(1000, 0));
    store_close(s);
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE account SET quota = 2500", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = store_testing_open();
    ingest(1, 1, body_of(1000, 0));
    assert_int_equal(store_testing_ingest(s, NULL, 1, 2, body_of(1000, 0), &out, &mem, &f), -1);
    assert_true(f.kind == FAIL_PERM && strcmp(f.code, "5.2.2") == 0);
    assert_int_equal(store_modseq(s, 2), 0); /* all or nothing */
    assert_int_equal(store_testing_check(s, 1), 2);
}

/* ---- readers beside the writer ---- */

static _Atomic bool reading;
static void *reader(void *arg)
{
    struct arena a;
    size_t seen = 0;
    arena_init(&a);
    while (reading) {
        struct msg_mailbox_list_r boxes;
        assert_int_equal(store_mailbox_list(s, 1, SPAN_NONE, &boxes, &a, NULL), 0);
        struct msg_member_scan q = {.mailbox = boxes.mailboxes.v[0].mailbox, .first = seen + 1, .last = UINT64_MAX};
        struct msg_member_scan_r r;
        assert_int_equal(store_member_scan(s, 1, &q, &r, &a, NULL), 0);
        for (uint32_t i = 0; i < r.rows.n; i++) {
            assert_int_equal(r.rows.v[i].uid, ++seen); /* no gap, no lower uid later */
            assert_int_equal(store_testing_read(s, 1, r.rows.v[i].eid, &a).n, r.rows.v[i].size);
        }
        arena_reset(&a);
    }
    arena_done(&a);
    return NULL;
}

static void concurrent_readers(void **state)
{
    pthread_t t[3];
    ingest(1, 1, SPAN("first"));
    reading = true;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, reader, NULL), 0);
    for (unsigned i = 0; i < 600; i++)
        ingest(1, 1, body_of(4000, i));
    reading = false;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(store_testing_check(s, 1), 601);
}

static struct msg_changed fed[8];
static _Atomic size_t n_fed;
static void on_changed(void *arg, const struct msg_changed *c, size_t n)
{
    for (size_t i = 0; i < n && n_fed < COUNT_OF(fed); i++) {
        fed[n_fed] = c[i];
        n_fed++; /* who waits for it may look now */
    }
}

static void change_feed(void **state)
{
    n_fed = 0;
    store_on_changed(s, on_changed, NULL);
    struct msg_ingest_r r = ingest(3, 2, SPAN("x"));
    ingest(9, 1, SPAN("y"));
    while (n_fed < 3)
        usleep(1000);
    assert_true(fed[0].account == 3 && fed[0].modseq == r.results.v[0].modseq && fed[1].account == 4 &&
                fed[2].account == 9);
    store_on_changed(s, NULL, NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(one_and_many_targets),
        T(order_of_uids),
        T(repeated_operations),
        T(repeated_within_a_batch),
        T(segments),
        T(flags),
        T(ranges_in_any_order),
        T(changes_and_tombstones),
        T(expunge_frees),
        T(account_gone),
        T(windows_of_a_message),
        T(slices_of_messages),
        T(bodies_by_file_and_spool),
        T(refusals_disturb_nobody),
        T(listing_in_windows),
        T(packed_view),
        T(damage_is_found),
        T(second_process_and_newer_schema),
        T(quota),
        T(concurrent_readers),
        T(change_feed),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
