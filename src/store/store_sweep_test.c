/* Tests of the sweep: what is dead gives its space back, what is live stays readable at every moment, whatever fails. */
#include "base/clock.h"
#include "base/limits.h"
#include "store/store_testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MESSAGES = 1500, BODY = 3000 };

static struct arena mem;

static int setup(void **state)
{
    arena_init(&mem);
    limit_value[LIMIT_SWEEP_STEP_BYTES] = 100000; /* several steps a segment */
    return store_testing_setup(state);
}

static int teardown(void **state)
{
    limit_value[LIMIT_SWEEP_STEP_BYTES] = limit_table[LIMIT_SWEEP_STEP_BYTES].def;
    limit_value[LIMIT_ORPHAN_S] = limit_table[LIMIT_ORPHAN_S].def;
    arena_done(&mem);
    return store_testing_teardown(state);
}

/* The body tells its number, so that a reader knows what it must get. */
static void body_of(unsigned n, char out[BODY])
{
    memset(out, 'a' + (int)(n % 26), BODY);
    snprintf(out, 12, "%010u", n);
    out[10] = '\n';
}

static void fill(struct store *s, unsigned from, unsigned n)
{
    char body[BODY];
    struct msg_ingest_r out;
    struct fail f = {0};
    for (unsigned i = from; i < from + n; i++) {
        struct arena one;
        arena_init(&one);
        body_of(i, body);
        if (store_testing_ingest(s, NULL, 1, 1, span_of(body, BODY), &out, &one, &f) != 0)
            fail_msg("message %u: %s", i, f.text);
        arena_done(&one);
    }
}

/* Keeps every tenth message. */
static void thin(struct store *s, unsigned n)
{
    struct msg_expunge_r er;
    struct fail f = {0};
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    for (unsigned uid = 1; uid < n; uid += 10)
        assert_int_equal(store_testing_expunge(s, 1, box, uid, uid + 8, &er, &mem, &f), 0);
}

static unsigned files(const char *below, const char *prefix)
{
    char path[100];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/%s", store_testing_dir, below);
    DIR *d = opendir(path);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.' && span_starts(span_z(e->d_name), span_z(prefix));
    closedir(d);
    return n;
}

/* Waits until no full segment is sparse and the files are gone. */
static void swept(void)
{
    int64_t until = clock_mono_ms() + 30000;
    const char *sparse = "SELECT count(*) FROM segment WHERE live * 2 < end AND seg < (SELECT max(seg) FROM segment)";
    while (store_testing_sql(sparse) != 0 || files("", "seg-") != store_testing_sql("SELECT count(*) FROM segment")) {
        assert_true(clock_mono_ms() < until);
        usleep(20000);
    }
}

/* What is live by its own record, against the counters. */
static void check_live(void)
{
    assert_int_equal(store_testing_sql("SELECT count(*) FROM segment s WHERE live <> (SELECT coalesce(sum(64 + meta + len * (1 - big)), 0)"
                                       " FROM blob b WHERE b.seg = s.seg)"), 0);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM blob WHERE seg NOT IN (SELECT seg FROM segment)"), 0);
}

/* ---- readers beside it ---- */

struct reader { pthread_t thread; struct store *s; const struct msg_member_row *rows; size_t n; _Atomic bool *stop; unsigned reads, bad; };

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    for (size_t i = 0; !*r->stop; i = (i + 7) % r->n) {
        struct arena one;
        arena_init(&one);
        struct msg_email_read in = {.eid = r->rows[i].eid, .length = 65536};
        struct msg_email_read_r out;
        struct fail f = {0};
        r->bad += store_email_read(r->s, 1, &in, &out, &one, &f) != 0 || out.data.n != r->rows[i].size;
        r->reads++;
        arena_done(&one);
    }
    return NULL;
}

static void rewritten_under_readers(void **state)
{
    enum { READERS = 3 };
    struct reader r[READERS];
    _Atomic bool stop = false;
    struct store *s = store_testing_open();
    fill(s, 0, MESSAGES);
    unsigned before = files("", "seg-");
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    struct msg_member_scan in = {.mailbox = box, .first = 1, .last = UINT64_MAX};
    struct msg_member_scan_r all;
    VEC(struct msg_member_row) kept = {0};
    do {
        assert_int_equal(store_member_scan(s, 1, &in, &all, &mem, NULL), 0);
        for (uint32_t i = 0; i < all.rows.n; i++)
            if (all.rows.v[i].uid % 10 == 0)
                *VEC_PUSH(&kept) = all.rows.v[i];
        in.first = all.next;
    } while (all.next != 0);
    for (size_t i = 0; i < READERS; i++) {
        r[i] = (struct reader){.s = s, .rows = kept.v, .n = kept.n, .stop = &stop};
        pthread_create(&r[i].thread, NULL, reader_main, &r[i]);
    }
    thin(s, MESSAGES);
    swept();
    fill(s, MESSAGES, 50); /* writes go on as usual */
    stop = true;
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(r[i].thread, NULL);
        assert_int_equal(r[i].bad, 0);
        assert_true(r[i].reads > 100);
    }
    VEC_FREE(&kept);
    assert_int_equal(store_testing_check(s, 1), MESSAGES / 10 + 50);
    check_live();
    assert_true(files("", "seg-") * 2 < before);
    store_close(s);
    s = store_testing_open();
    assert_int_equal(store_testing_check(s, 1), MESSAGES / 10 + 50);
    store_close(s);
}

/* A reader that looked before holds the file; a backup holds all files. */
static void files_wait(void **state)
{
    char body[100000];
    struct msg_ingest_r out;
    struct msg_expunge_r er;
    struct msglog_pin pin;
    struct store *s = store_testing_open();
    memset(body, 'b', sizeof body);
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_testing_ingest(s, NULL, 1, 1, span_of(body, sizeof body), &out, &mem, NULL), 0);
    uint64_t box = out.results.v[0].mailbox;
    msglog_pin(s->log, &pin);
    assert_int_equal(store_testing_expunge(s, 1, box, 1, 1, &er, &mem, NULL), 0);
    usleep(500000);
    assert_int_equal(files("big", ""), 2);
    msglog_unpin(s->log, &pin);
    for (int i = 0; i < 100 && files("big", "") != 1; i++)
        usleep(20000);
    assert_int_equal(files("big", ""), 1);
    store_sweep_pin(s, true);
    assert_int_equal(store_testing_expunge(s, 1, box, 2, 2, &er, &mem, NULL), 0);
    usleep(500000);
    assert_int_equal(files("big", ""), 1);
    store_sweep_pin(s, false);
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("wakes the committer"), &out, &mem, NULL), 0);
    for (int i = 0; i < 100 && files("big", "") != 0; i++)
        usleep(20000);
    assert_int_equal(files("big", ""), 0);
    store_close(s);
}

static void touch(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", store_testing_dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void orphans_go_by_age(void **state)
{
    struct store *s = store_testing_open();
    fill(s, 0, 900); /* three segments */
    struct msg_ingest_r out;
    char body[100000];
    memset(body, 'b', sizeof body);
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, span_of(body, sizeof body), &out, &mem, NULL), 0);
    thin(s, 900);
    swept();
    assert_int_equal(store_testing_sql("SELECT count(*) FROM segment WHERE seg = 1"), 0);
    store_close(s);
    touch("seg-00000001");              /* rewritten, and then the power went */
    touch("seg-00000099");              /* of a batch to come: the log will take it */
    touch("big/0000000000000001");
    touch("big/0000000000ffffff");      /* a blob id not given yet */
    touch("big/notes");
    unsigned segs = files("", "seg-"), bigs = files("big", "");
    s = store_testing_open();
    usleep(600000);
    assert_int_equal(files("", "seg-"), segs); /* not old enough */
    assert_int_equal(files("big", ""), bigs);
    store_close(s);
    limit_value[LIMIT_ORPHAN_S] = 0;
    s = store_testing_open();
    for (int i = 0; i < 100 && (files("", "seg-") == segs || files("big", "") == bigs); i++)
        usleep(20000);
    assert_int_equal(files("", "seg-"), segs - 1);
    assert_int_equal(files("big", ""), bigs - 1);
    assert_int_equal(store_testing_check(s, 1), 91);
    store_close(s);
}

static void damaged_segment_is_left(void **state)
{
    struct store *s = store_testing_open();
    fill(s, 0, 900);
    /* message 100 is kept by thin() */
    int64_t seg = store_testing_sql("SELECT seg FROM blob WHERE bid = 100"), off = store_testing_sql("SELECT off FROM blob WHERE bid = 100");
    const char *others = "SELECT count(*) FROM segment WHERE live * 2 < end AND seg < (SELECT max(seg) FROM segment)"
                         " AND seg <> (SELECT seg FROM blob WHERE bid = 100)";
    char path[100];
    snprintf(path, sizeof path, "%s/seg-%08u", store_testing_dir, (unsigned)seg);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "X", 1, off + 400), 1);
    close(fd);
    thin(s, 900);
    for (int i = 0; i < 500 && store_testing_sql(others) != 0; i++)
        usleep(20000);
    assert_int_equal(store_testing_sql(others), 0); /* went on with the others */
    assert_int_equal(store_testing_sql("SELECT seg FROM blob WHERE bid = 100"), seg);
    for (int i = 0; i < 100 && files("", "seg-") != store_testing_sql("SELECT count(*) FROM segment"); i++)
        usleep(20000);
    assert_int_equal(files("", "seg-"), store_testing_sql("SELECT count(*) FROM segment"));
    check_live();
    store_close(s);
}

static void full_disk(void **state)
{
    store_testing_fault(FAULT_LINK, 0, 0, false);
    struct store *s = store_testing_open();
    fill(s, 0, 900);
    store_testing_fault(FAULT_LOG_WRITE, 1, ENOSPC, true);
    thin(s, 900);
    usleep(800000);
    assert_true(store_testing_calls(FAULT_LOG_WRITE) > 0); /* it tried */
    assert_int_equal(store_testing_check(s, 1), 90);
    store_testing_fault_none();
    assert_int_equal(store_testing_broken.kind, FAIL_NONE);
    store_close(s);
    s = store_testing_open(); /* a minute later, or after a restart */
    swept();
    assert_int_equal(store_testing_check(s, 1), 90);
    check_live();
    store_close(s);
}

static void killed(void **state)
{
    struct store *s = store_testing_open();
    fill(s, 0, MESSAGES);
    thin(s, MESSAGES);
    store_close(s);
    limit_value[LIMIT_SWEEP_STEP_BYTES] = 65536;
    for (int i = 0; i < 15; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            s = store_testing_open();
            pause();
        }
        usleep((useconds_t)(150000 + rand_below(300000)));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        s = store_testing_open();
        assert_int_equal(store_testing_check(s, 1), MESSAGES / 10);
        check_live();
        store_close(s);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(rewritten_under_readers), T(files_wait), T(orphans_go_by_age), T(damaged_segment_is_left),
                                       T(full_disk), T(killed)};
    return cmocka_run_group_tests_name("store_sweep", tests, NULL, NULL);
}
