/* Tests that a file with two names is never overwritten under the one because of the other. A power cut leaves such
 * files where the file system makes half of a rename or an unlink durable; a refused operation leaves a link. */
#include "store/store_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct arena mem;
static char body[60000];

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

static const char *path(const char *name) { return arena_z(&mem, arena_printf(&mem, "%s/%s", store_testing_dir, name)); }

static void wait_for(const char *name)
{
    for (int i = 0; i < 30000 && access(path(name), F_OK) != 0; i++) /* a busy machine makes spare files late */
        usleep(1000);
    assert_int_equal(access(path(name), F_OK), 0);
}

static ino_t inode(const char *name)
{
    struct stat st;
    assert_int_equal(stat(path(name), &st), 0);
    return st.st_ino;
}

/* Each message is filled with a letter of its own; all of them must still be so. */
static unsigned stored;

static void store_some(struct store *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct msg_ingest_r out;
        struct fail f = {0};
        memset(body, 'a' + (int)(stored++ % 26), sizeof body);
        assert_int_equal(store_testing_ingest(s, NULL, 1, 1, span_of(body, sizeof body), &out, &mem, &f), 0);
    }
}

static void all_there(struct store *s)
{
    for (unsigned i = 0; i < stored; i++) {
        struct span text = store_testing_read(s, 1, i + 1, &mem);
        assert_non_null(text.p);
        for (size_t k = text.n - sizeof body; k < text.n; k++)
            assert_int_equal(text.p[k], 'a' + i % 26);
    }
}

/* `ahead` came to be by a rename of which the old name is still there: writing the next one began with that file. */
static void ahead_has_its_old_name(void **state)
{
    struct store *s = store_testing_open();
    stored = 0;
    store_some(s, 1);
    wait_for("ahead");
    store_close(s);
    assert_int_equal(link(path("ahead"), path("ahead.tmp")), 0);
    s = store_testing_open();
    store_some(s, 20); /* into the next segment: 17 fit */
    wait_for("ahead");
    all_there(s);
    store_close(s);
}

/* A segment came to be by such a rename: `ahead` is in use already. */
static void segment_has_its_old_name(void **state)
{
    struct store *s = store_testing_open();
    stored = 0;
    store_some(s, 1);
    wait_for("ahead");
    store_close(s);
    s = store_testing_open();
    store_some(s, 2); /* the first segment was not zeroed ahead: left at once */
    wait_for("ahead");
    store_close(s);
    assert_int_equal(unlink(path("ahead")), 0);
    assert_int_equal(link(path("seg-00000002"), path("ahead")), 0);
    s = store_testing_open();
    store_some(s, 20);
    wait_for("seg-00000003");
    assert_true(inode("seg-00000003") != inode("seg-00000002"));
    all_there(s);
    store_close(s);
}

/* A spooled message is refused after it got its final name; that name's number goes to another one, of another way in. */
static void refused_spool_keeps_its_bytes(void **state)
{
    struct op_id op = rand_op_id();
    char *big = arena_alloc(&mem, 200000), *other = arena_alloc(&mem, 200000);
    memset(big, 's', 200000);
    memset(other, 'x', 200000);
    store_testing_fault(FAULT_LINK, 0, 0, false);
    struct store *s = store_testing_open();
    struct msg_ingest_target target = {.account = 1, .address = SPAN("u@example.test")};
    struct msg_ingest in = {.op = span_of(op.b, 16), .size = 200000, .file = -1, .spool = 1, .targets = {&target, 1}};
    struct msg_ingest_r out;
    struct fail f = {0};
    for (size_t at = 0; at < 200000; at += 50000) {
        struct msg_spool_write x = {.op = span_of(op.b, 16), .offset = at, .data = span_of(big + at, 50000)};
        struct msg_spool_write_r w;
        assert_int_equal(store_spool_write(s, &x, &w, &f), 0);
    }
    store_testing_fault(FAULT_LOG_WRITE, 1, ENOSPC, true);
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), -1);
    store_testing_fault_none();
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, span_of(other, 200000), &out, &mem, &f), 0);
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), 0);
    struct span text = store_testing_read(s, 1, out.results.v[0].eid, &mem);
    assert_non_null(text.p);
    assert_int_equal(text.p[text.n - 200000], 's');
    assert_int_equal(store_testing_check(s, 1), 2);
    store_close(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(ahead_has_its_old_name), T(segment_has_its_old_name), T(refused_spool_keeps_its_bytes)};
    return cmocka_run_group_tests_name("store_alias", tests, NULL, NULL);
}
