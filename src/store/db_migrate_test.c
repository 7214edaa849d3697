/* Tests of migration: every released format opens; a migration killed at any moment goes on and does each row once. */
#include "store/db_migrate.h"
#include "store/store_io.h"
#include "store/store_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ROWS = 30000 };

static const struct db_step steps[] = {
    {"tables", "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER NOT NULL);", NULL},
    /* not idempotent on purpose: a row done twice shows */
    {"count up", "ALTER TABLE t ADD COLUMN w INTEGER NOT NULL DEFAULT 0",
     "UPDATE t SET v = v + 1, w = id WHERE id IN (SELECT id FROM t WHERE id > ?1 ORDER BY id LIMIT ?2) RETURNING id"},
    {"an index", "CREATE INDEX t_v ON t(v)", NULL},
};

static sqlite3 *open_at(const char *name)
{
    char path[200];
    sqlite3 *h;
    snprintf(path, sizeof path, "%s/%s", store_testing_dir, name);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_busy_timeout(h, 5000);
    return h;
}

static int64_t number(sqlite3 *h, const char *sql)
{
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

static void fill(sqlite3 *h)
{
    struct fail f = {0};
    char sql[200];
    assert_int_equal(db_migrate(h, steps, 1, &f), 0);
    snprintf(sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                              " INSERT INTO t SELECT i * 3, 100 FROM n", ROWS);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Killed wherever it happens to be until it has come through; then every row was counted up exactly once. */
static void killed_in_the_middle(void **state)
{
    struct fail f = {0};
    sqlite3 *h = open_at("killed.db");
    fill(h);
    sqlite3_close(h);
    unsigned in_rows = 0;
    for (useconds_t wait = 1000;; wait += 1500) {
        pid_t pid = fork();
        if (pid == 0) {
            h = open_at("killed.db");
            _exit(db_migrate(h, steps, COUNT_OF(steps), &f) == 0 ? 0 : 1);
        }
        usleep(wait);
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        h = open_at("killed.db");
        in_rows += number(h, "SELECT count(*) FROM sqlite_master WHERE name = 'migration'") == 1;
        sqlite3_close(h);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
    }
    assert_true(in_rows > 0); /* at least once it died between two pieces */
    h = open_at("killed.db");
    assert_int_equal(number(h, "PRAGMA user_version"), COUNT_OF(steps));
    assert_int_equal(number(h, "SELECT count(*) FROM t WHERE v = 101 AND w = id"), ROWS);
    assert_int_equal(number(h, "SELECT count(*) FROM sqlite_master WHERE name IN ('migration', 't_v')"), 1);
    sqlite3_close(h);
}

static void newer_is_refused(void **state)
{
    struct fail f = {0};
    sqlite3 *h = open_at("newer.db");
    fill(h);
    assert_int_equal(db_migrate(h, steps, COUNT_OF(steps), &f), 0);
    assert_int_equal(db_migrate(h, steps, 2, &f), -1);
    assert_int_equal(f.kind, FAIL_PERM);
    assert_string_equal(f.text, "index has format 3, this program knows up to 2: use a newer one");
    sqlite3_close(h);
}

static void fault_leaves_the_version(void **state)
{
    const struct db_step bad[] = {steps[0], {"wrong", "CREATE TABLE u(a); CREATE TABLE t(a)", NULL}};
    struct fail f = {0};
    sqlite3 *h = open_at("fault.db");
    assert_int_equal(db_migrate(h, bad, 2, &f), -1);
    assert_int_equal(f.kind, FAIL_TEMP);
    assert_int_equal(number(h, "PRAGMA user_version"), 1);
    assert_int_equal(number(h, "SELECT count(*) FROM sqlite_master WHERE name = 'u'"), 0);
    assert_int_equal(db_migrate(h, steps, COUNT_OF(steps), &f), 0); /* with no rows at all */
    assert_int_equal(number(h, "PRAGMA user_version"), 3);
    sqlite3_close(h);
}

/* ---- what was released ---- */

static void copy(const char *from_dir, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    int from = open(path, O_RDONLY);
    snprintf(path, sizeof path, "%s/%s", store_testing_dir, name);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(from >= 0 && to >= 0);
    char buf[65536];
    for (ssize_t n; (n = read(from, buf, sizeof buf)) != 0;)
        assert_true(n > 0 && write(to, buf, (size_t)n) == n);
    close(from);
    close(to);
}

/* What tests/formats/make_store.py put in: alice has messages 0, 2, 3, bob has 2. */
static void format_opens(unsigned version)
{
    char from[200], big[200];
    snprintf(from, sizeof from, FORMATS "/store-%u", version);
    snprintf(big, sizeof big, "%s/big", store_testing_dir);
    assert_int_equal(mkdir(big, 0700), 0);
    copy(from, "index.db");
    copy(from, "seg-00000001");
    copy(from, "seg-00000002");
    copy(from, "big/0000000000000004");
    struct store *s = store_testing_open();
    uint64_t alice = (uint64_t)store_testing_sql("SELECT min(account) FROM account");
    assert_int_equal(store_testing_check(s, alice), 3);
    assert_int_equal(store_testing_check(s, alice + 1), 1);
    struct arena mem;
    arena_init(&mem);
    struct msg_ingest_r out;
    assert_int_equal(store_testing_ingest(s, NULL, alice, 2, SPAN("Subject: new\r\n\r\nnew\r\n"), &out, &mem, NULL), 0);
    assert_int_equal(out.results.v[0].uid, 5); /* uid 2 was used, and is not used again */
    assert_int_equal(store_testing_check(s, alice), 4);
    arena_done(&mem);
    store_close(s);
}

static void format_1_opens(void **state) { format_opens(1); }
static void format_2_opens(void **state) { format_opens(2); }
static void format_3_opens(void **state) { format_opens(3); }
static void format_4_opens(void **state) { format_opens(4); }
static void format_5_opens(void **state) { format_opens(5); }

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, store_testing_setup, store_testing_teardown)
    const struct CMUnitTest tests[] = {T(killed_in_the_middle), T(newer_is_refused), T(fault_leaves_the_version), T(format_1_opens),
                                       T(format_2_opens), T(format_3_opens), T(format_4_opens),
                                       T(format_5_opens)};
    return cmocka_run_group_tests_name("db_migrate", tests, NULL, NULL);
}
