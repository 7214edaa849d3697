/* Tests of what the store answers when a file operation fails at the nth call (REL-04; T4, T5 of the requirements). */
#include "store/store_testing.h"

#include <errno.h>

static struct arena mem;

static int setup(void **state)
{
    arena_init(&mem);
    return store_testing_setup(state);
}

static int teardown(void **state)
{
    arena_done(&mem);
    return store_testing_teardown(state);
}

struct want {
    bool broken;
    const char *code;
};

/* Which answer is right: only missing space leaves the store in service, and never after a sync. */
static struct want want_of(enum fault kind, int err)
{
    bool sync = kind == FAULT_LOG_SYNC || kind == FAULT_DIR_SYNC || kind == FAULT_DB_SYNC;
    return (struct want){.broken = sync || err != ENOSPC,
                         .code = err == ENOSPC && kind != FAULT_DB_SYNC ? "4.3.1" : "4.3.0"};
}

/* One store, messages of three kinds, a fault at the nth call. What was acknowledged is there afterwards and whole,
 * what was refused may be repeated and is then there once. */
static void one(enum fault kind, unsigned nth, int err, bool *hit)
{
    enum { N = 6 };
    const size_t sizes[] = {300, 90000, 40000};
    struct op_id op[N];
    bool ok[N];
    char *body = arena_alloc(&mem, 90000);
    memset(body, 'b', 90000);
    store_testing_fault_none();
    store_testing_fault(FAULT_LINK, 0, 0, false); /* installs the shims */
    struct store *s = store_testing_open();
    store_testing_broken = (struct fail){0};
    store_testing_fault(kind, nth, err, false);
    unsigned n_ok = 0;
    for (unsigned i = 0; i < N; i++) {
        struct msg_ingest_r out;
        struct fail f = {0};
        op[i] = rand_op_id();
        bool was_broken = store_testing_broken.kind != FAIL_NONE;
        ok[i] = store_testing_ingest(s, &op[i], 1, 1, span_of(body, sizes[i % 3]), &out, &mem, &f) == 0;
        n_ok += ok[i];
        if (!ok[i] && !was_broken) {
            struct want want = want_of(kind, err);
            assert_int_equal(f.kind, FAIL_TEMP);
            if (strcmp(f.code, want.code) != 0)
                fail_msg("fault %d at call %u, errno %d: %s %s", kind, nth, err, f.code, f.text);
            assert_int_equal(store_testing_broken.kind != FAIL_NONE, want.broken);
        }
        if (was_broken)
            assert_false(ok[i]);
    }
    *hit = n_ok < N || store_testing_broken.kind != FAIL_NONE || (err == 0 && store_testing_calls(kind) >= nth);
    store_testing_fault_none();
    bool broken = store_testing_broken.kind != FAIL_NONE;
    if (broken) {
        store_close(s); /* the role exits and starts again */
        s = store_testing_open();
    }
    for (unsigned i = 0; i < N; i++) {
        struct msg_ingest_r out;
        struct fail f = {0};
        if (store_testing_ingest(s, &op[i], 1, 1, span_of(body, sizes[i % 3]), &out, &mem, &f) != 0)
            fail_msg("fault %d at call %u, errno %d: afterwards %s %s", kind, nth, err, f.code, f.text);
        if (ok[i])
            assert_int_equal(out.repeated, 1);
    }
    assert_int_equal(store_testing_check(s, 1) % N, 0);
    store_close(s);
}

static void nth_call_fails(void **state)
{
    const struct {
        enum fault kind;
        int err;
    } rows[] = {
        {FAULT_LOG_WRITE, EIO}, {FAULT_LOG_WRITE, ENOSPC}, {FAULT_LOG_WRITE, 0},
        {FAULT_LOG_SYNC, EIO},  {FAULT_LOG_SYNC, ENOSPC},  {FAULT_DIR_SYNC, EIO},
        {FAULT_DB_WRITE, EIO},  {FAULT_DB_WRITE, ENOSPC},  {FAULT_DB_SYNC, EIO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned hits = 0;
        for (unsigned nth = 1; nth <= 12; nth++) {
            bool hit;
            one(rows[i].kind, nth, rows[i].err, &hit);
            hits += hit;
        }
        if (hits < 2)
            fail_msg("fault %d errno %d was hardly ever met", rows[i].kind, rows[i].err);
    }
}

/* T5: the disk is full for a while. New mail is refused 4.3.1, reading and removing go on, then all works by itself. */
static void full_disk(void **state)
{
    struct msg_ingest_r out;
    struct msg_flags_set_r fr;
    struct msg_expunge_r er;
    struct fail f = {0};
    store_testing_fault(FAULT_LINK, 0, 0, false);
    struct store *s = store_testing_open();
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("kept"), &out, &mem, &f), 0);
    uint64_t box = out.results.v[0].mailbox;
    store_testing_fault(FAULT_LOG_WRITE, 1, ENOSPC, true);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("lost"), &out, &mem, &f), -1);
        assert_string_equal(f.code, "4.3.1");
        assert_int_equal(store_testing_check(s, 1), 3);
    }
    assert_int_equal(store_testing_flags(s, 1, box, 1, 1, FLAGS_ADD, FLAG_SEEN, 0, &fr, &mem, &f), 0);
    assert_int_equal(store_testing_expunge(s, 1, box, 2, 2, &er, &mem, &f), 0);
    store_testing_fault_none();
    store_testing_fault(FAULT_DB_WRITE, 1, ENOSPC, true);
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("lost"), &out, &mem, &f), -1);
    assert_string_equal(f.code, "4.3.1");
    assert_int_equal(store_testing_check(s, 1), 2);
    store_testing_fault_none();
    int64_t end = store_testing_sql("SELECT end FROM segment ORDER BY seg DESC LIMIT 1");
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("again"), &out, &mem, &f), 0);
    int64_t grown = store_testing_sql("SELECT end FROM segment ORDER BY seg DESC LIMIT 1") - end;
    assert_in_range(grown, 64, 250);           /* one record: what was refused left nothing in the log */
    assert_int_equal(out.results.v[0].uid, 4); /* no uid was used up */
    assert_int_equal(store_testing_check(s, 1), 3);
    assert_int_equal(store_testing_broken.kind, FAIL_NONE);
    store_close(s);
}

/* A spooled message whose transaction fails can be stored by the same operation later. */
static void spool_survives_a_refusal(void **state)
{
    struct op_id op = rand_op_id();
    char *body = arena_alloc(&mem, 200000);
    memset(body, 's', 200000);
    store_testing_fault(FAULT_LINK, 0, 0, false);
    struct store *s = store_testing_open();
    struct msg_spool_write x = {.op = span_of(op.b, 16), .data = span_of(body, 200000)};
    struct msg_spool_write_r w;
    struct msg_ingest_target target = {.account = 1, .address = SPAN("u@example.test")};
    struct msg_ingest in = {.op = span_of(op.b, 16), .size = 200000, .file = -1, .spool = 1, .targets = {&target, 1}};
    struct msg_ingest_r out;
    struct fail f = {0};
    assert_int_equal(store_spool_write(s, &x, &w, &f), 0);
    const enum fault kinds[] = {FAULT_LINK, FAULT_LOG_WRITE, FAULT_DB_WRITE};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        store_testing_fault(kinds[i], 1, ENOSPC, true);
        assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
        assert_string_equal(f.code, "4.3.1");
        store_testing_fault_none();
    }
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), 0);
    assert_int_equal(store_testing_check(s, 1), 1);
    store_close(s);
    s = store_testing_open();
    assert_int_equal(store_testing_check(s, 1), 1);
    store_close(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(nth_call_fails), T(full_disk), T(spool_survives_a_refusal)};
    return cmocka_run_group_tests_name("store_fault", tests, NULL, NULL);
}
