/* Tests of verify: a whole store is clean, and for each damage it says exactly what, where and whose; repair mends what
 * it says it mends, and verify is then clean but for what is lost. */
#include "store/store_testing.h"
#include "store/store_text.h"
#include "store/store_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

enum { MESSAGES = 1200, BODY = 2000 };

static struct arena mem;

static bool span_ends(struct span s, struct span end)
{
    return s.n >= end.n && span_eq(span_from(s, s.n - end.n), end);
}

/* Two accounts; every fifth message is for both; two big ones for account 1 (blobs 1201 and 1202); three expunged. */
/* Of blob 8, which is expunged: where its record was. */
static unsigned dead_seg;
static int64_t dead_at, dead_body;

static int setup(void **state)
{
    static char body[100000];
    struct msg_ingest_r out;
    struct msg_expunge_r er;
    arena_init(&mem);
    if (store_testing_setup(state) != 0)
        return -1;
    struct store *s = store_testing_open();
    memset(body, 'x', sizeof body);
    for (unsigned i = 1; i <= MESSAGES; i++)
        assert_int_equal(store_testing_ingest(s, NULL, 1, i % 5 == 0 ? 2 : 1, span_of(body, BODY), &out, &mem, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_testing_ingest(s, NULL, 1, 1, span_of(body, sizeof body), &out, &mem, NULL), 0);
    dead_seg = (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 8");
    dead_at = store_testing_sql("SELECT off FROM blob WHERE bid = 8");
    dead_body = store_testing_sql("SELECT off + 64 + meta FROM blob WHERE bid = 8");
    assert_int_equal(store_testing_expunge(s, 1, 1, 7, 9, &er, &mem, NULL), 0);
    store_close(s);
    return 0;
}

static int teardown(void **state)
{
    arena_done(&mem);
    return store_testing_teardown(state);
}

static void sql(const char *text)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void flip(const char *name, int64_t at)
{
    char path[100], c;
    snprintf(path, sizeof path, "%s/%s", store_testing_dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void flip_blob(unsigned bid, int64_t plus)
{
    char q[100], name[40];
    snprintf(q, sizeof q, "SELECT seg FROM blob WHERE bid = %u", bid);
    snprintf(name, sizeof name, "seg-%08u", (unsigned)store_testing_sql(q));
    snprintf(q, sizeof q, "SELECT off FROM blob WHERE bid = %u", bid);
    flip(name, store_testing_sql(q) + plus);
}

static struct store_verify *look(struct store_place *p)
{
    struct fail f = {0};
    struct store_verify *v = store_verify_new(p->dir);
    int rc;
    unsigned steps = 0;
    do {
        rc = store_verify_step(v, p->db, &f);
        struct verify_progress at = store_verify_progress(v);
        assert_true(at.done <= at.total);
        steps++;
    } while (rc == 1);
    if (rc != 0)
        fail_msg("verify: %s", f.text);
    assert_true(steps > 8);
    return v;
}

/* Whether what was found is exactly `want` (in any order; "..." at its end stands for any rest), NULL-terminated. */
static void expect(struct store_verify *v, const char *const *want)
{
    const struct verify_finding *x;
    size_t n = store_verify_findings(v, 0, &x), n_want = 0;
    while (want[n_want] != NULL)
        n_want++;
    bool bad = n != n_want;
    for (size_t w = 0; w < n_want && !bad; w++) {
        struct span text = span_z(want[w]);
        bool any = span_ends(text, SPAN("..."));
        size_t hits = 0;
        for (size_t i = 0; i < n; i++)
            hits += any ? span_starts(x[i].text, span_sub(text, 0, text.n - 3)) : span_eq(x[i].text, text);
        bad = hits == 0;
        if (bad)
            print_error("wanted: %s\n", want[w]);
    }
    for (size_t i = 0; i < n && bad; i++)
        print_error("found: %.*s\n", SPAN_ARGS(x[i].text));
    assert_false(bad);
}

/* Damage is done; want: what verify must say; after: what is left once repaired. */
static void damage(const char *const *want, const char *const *after)
{
    struct store_place p;
    struct fail f = {0};
    const struct verify_finding *x;
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), 0);
    struct store_verify *v = look(&p);
    expect(v, want);
    store_verify_free(v);
    store_verify_close(&p);
    if (store_verify_open(&p, store_testing_dir, true, &f) != 0)
        fail_msg("%s", f.text);
    for (int round = 0; round < 4; round++) {
        v = look(&p);
        size_t n = store_verify_findings(v, 0, &x);
        if (n > 0)
            assert_int_equal(store_verify_repair(p.db, x, n, &f), 0);
        store_verify_free(v);
    }
    v = look(&p);
    expect(v, after);
    store_verify_free(v);
    store_verify_close(&p);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(,) NULL})
#define NOTHING ((const char *const[]){NULL})

static void clean(void **state) { damage(NOTHING, NOTHING); }

/* ---- bits of each kind of file ---- */

static void flips_in_the_log(void **state)
{
    char body[100], head[100], lost[100], dead[100];
    snprintf(body, sizeof body, "seg-%08u at %d: body checksum: account 1: INBOX uid 10 (email 11)",
             (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 10"), (int)store_testing_sql("SELECT off FROM blob WHERE bid = 10"));
    snprintf(head, sizeof head, "seg-%08u at %d: header checksum; ...",
             (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 13"), (int)store_testing_sql("SELECT off FROM blob WHERE bid = 13"));
    snprintf(lost, sizeof lost, "seg-%08u at %d: header checksum: account 1: INBOX uid 13 (email 15)",
             (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 13"), (int)store_testing_sql("SELECT off FROM blob WHERE bid = 13"));
    snprintf(dead, sizeof dead, "seg-%08u at %d: body checksum, in a record that no message uses", dead_seg, (int)dead_at);
    flip_blob(10, 1000);
    flip_blob(13, 70);      /* its meta data */
    char name[40];
    snprintf(name, sizeof name, "seg-%08u", dead_seg);
    flip(name, dead_body + 1000);
    /* blob 10 is a message of both accounts */
    char both[100];
    snprintf(both, sizeof both, "%.*s account 2: INBOX uid 2 (email 12)", (int)(strstr(body, ": account") - body) + 1, body);
    const char *const *all = LIST(body, both, head, lost, dead);
    damage(all, all);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM email WHERE flags & 512"), 3); /* marked */
}

static void flip_in_a_big_file(void **state)
{
    flip("big/00000000000004b1", 50000);
    const char *const *all = LIST("big/00000000000004b1: body checksum: account 1: INBOX uid 1201 (email 1441)");
    damage(all, all);
}

static void flip_in_the_index(void **state)
{
    sql("PRAGMA wal_checkpoint(TRUNCATE)");
    /* the type of a page inside */
    int64_t page = store_testing_sql("SELECT rootpage FROM sqlite_master WHERE name = 'member_eid'");
    flip("index.db", (page - 1) * 4096);
    struct store_place p;
    struct fail f = {0};
    const struct verify_finding *x;
    bool told = false;
    if (store_verify_open(&p, store_testing_dir, false, &f) != 0)
        return; /* it may well not open at all */
    struct store_verify *v = store_verify_new(p.dir);
    int rc;
    while ((rc = store_verify_step(v, p.db, &f)) == 1)
        ;
    size_t n = store_verify_findings(v, 0, &x);
    for (size_t i = 0; i < n; i++)
        told |= x[i].kind == VERIFY_INDEX_DAMAGED;
    assert_true(told || rc < 0);
    store_verify_free(v);
    store_verify_close(&p);
}

/* ---- files ---- */

/* Nothing is lost with a text: it is told, and needs no repair. */
static void texts(void **state)
{
    struct store *s = store_testing_open();
    for (uint64_t eid = 1; eid <= 3; eid++) {
        struct store_text_new x = {.eid = eid, .text = {SPAN("\0a: b"), 5, 5}};
        store_text_put(s, 1, &x, 1);
    }
    store_close(s);
    damage(NOTHING, NOTHING);
    flip("text/0000000000000001", STORE_TEXT_HEAD + STORE_TEXT_RECORD + 2);
    const char *const *torn = LIST("text/0000000000000001: damaged behind byte 24 of 111: the next search makes that text again");
    damage(torn, torn);
    flip("text/0000000000000001", 9);
    const char *const *other = LIST("text/0000000000000001: of another index or version: the next search makes it again");
    damage(other, other);
}

static void missing_segment(void **state)
{
    char path[100];
    snprintf(path, sizeof path, "%s/seg-%08u", store_testing_dir, (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 600"));
    assert_int_equal(unlink(path), 0);
    struct store_place p;
    struct fail f = {0};
    const struct verify_finding *x;
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), 0);
    struct store_verify *v = look(&p);
    size_t n = store_verify_findings(v, 0, &x);
    int64_t blobs = store_testing_sql("SELECT count(*) FROM email WHERE bid IN (SELECT bid FROM blob WHERE seg = (SELECT seg FROM blob WHERE bid = 600))");
    assert_int_equal(n, 1 + blobs); /* the file, and each message in it */
    assert_true(span_ends(x[0].text, SPAN(": the file is missing")));
    assert_int_equal(x[0].kind, VERIFY_FILE);
    for (size_t i = 1; i < n; i++)
        assert_true(x[i].kind == VERIFY_BODY && span_find(x[i].text, SPAN(": segment is missing: account ")) > 0);
    store_verify_free(v);
    store_verify_close(&p);
}

static void cut_segment(void **state)
{
    char path[100], whole[100];
    unsigned seg = (unsigned)store_testing_sql("SELECT seg FROM blob WHERE bid = 600");
    snprintf(path, sizeof path, "%s/seg-%08u", store_testing_dir, seg);
    snprintf(whole, sizeof whole, "seg-%08u: the file has 0 bytes, ...", seg);
    assert_int_equal(truncate(path, 0), 0);
    struct store_place p;
    struct fail f = {0};
    const struct verify_finding *x;
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), 0);
    struct store_verify *v = look(&p);
    assert_true(store_verify_findings(v, 0, &x) > 100);
    assert_true(span_starts(x[0].text, span_sub(span_z(whole), 0, strlen(whole) - 3)));
    store_verify_free(v);
    store_verify_close(&p);
}

static void missing_big_file(void **state)
{
    char path[100];
    snprintf(path, sizeof path, "%s/big/00000000000004b2", store_testing_dir);
    assert_int_equal(unlink(path), 0);
    const char *const *all = LIST("big/00000000000004b2: file is missing: account 1: INBOX uid 1202 (email 1442)");
    damage(all, all);
}

static void cut_big_file(void **state)
{
    char path[100];
    snprintf(path, sizeof path, "%s/big/00000000000004b2", store_testing_dir);
    assert_int_equal(truncate(path, 99999), 0);
    const char *const *all = LIST("big/00000000000004b2: file has another size: account 1: INBOX uid 1202 (email 1442)");
    damage(all, all);
}

/* ---- rows ---- */

static void wrong_counters(void **state)
{
    sql("UPDATE mailbox SET total = total + 1, unseen = 3, deleted = 4, unread = 7, size = size - 1, uidnext = 5, highmodseq = 6 WHERE account = 1;"
        "UPDATE segment SET live = live + 7 WHERE seg = 1;"
        "UPDATE segment SET emails = 1, blobs = 2, next_eid = 3, next_bid = 4, next_mailbox = 1 WHERE seg = (SELECT max(seg) FROM segment);"
        "UPDATE blob SET refs = 9 WHERE bid = 20;");
    damage(LIST("account 1: INBOX counts 1200 messages, there are 1199", "account 1: INBOX counts 3 unseen, there are 1199",
                "account 1: INBOX counts 4 deleted, there are 0",
                "account 1: INBOX counts 7 unread, there are 1199", "account 1: INBOX counts ...",
                "account 1: INBOX: the next uid is to be 5, which is taken up to 1202",
                "account 1: INBOX: modseq 6 is below a message's 1203", "account 1: modseq 6 is below a tombstone's 1206",
                "seg-00000001 counts ...", "the store counts 1 emails, there are 1439", "the store counts 2 blobs, there are 1199",
                "the next email is to be 3, which is taken up to 1442", "the next blob is to be 4, which is taken up to 1202",
                "the next mailbox is to be 1, which is taken up to 2", "blob 20 counts 9 references, there are 2"), NOTHING);
    struct store *s = store_testing_open();
    assert_int_equal(store_testing_check(s, 1), 1199);
    store_close(s);
}

static void deleted_rows(void **state)
{
    sql("DELETE FROM email WHERE eid = 2;"              /* blob 2, uid 2 of account 1 */
        "DELETE FROM blob WHERE bid = 4;"
        "DELETE FROM member WHERE mailbox = 1 AND uid = 11;"
        "UPDATE segment SET emails = emails - 1, blobs = blobs - 1 WHERE seg = (SELECT max(seg) FROM segment);"
        "DELETE FROM mailbox WHERE account = 2;");
    damage(LIST("account 1: INBOX uid 2 has no email (it was 2)", "blob 2 has no email and no upload", "email 4 of account 1 has no blob (it was 4)",
                "email 13 of account 1 is in no mailbox", "account 1: INBOX counts 1199 messages, there are 1198",
                "account 1: INBOX counts 1199 unseen, there are 1198", "account 1: INBOX counts 26...",
                "account 1: INBOX counts 1199 unread, there are 1198",
                "mailbox 2 has messages and does not exist", "seg-0000000..."), NOTHING);
    /* what went has a tombstone; the others are as they were */
    assert_int_equal(store_testing_sql("SELECT count(*) FROM gone WHERE account = 1 AND uid IN (2, 4)"), 2);
    assert_int_equal(store_testing_sql("SELECT count(DISTINCT modseq) FROM gone"), 5);
    struct store *s = store_testing_open();
    assert_int_equal(store_testing_check(s, 1), 1199 - 2); /* uid 11's email came back as the newest */
    assert_int_equal(store_testing_sql("SELECT max(uid) FROM member WHERE mailbox = 1"), 1203);
    assert_int_equal(store_testing_sql("SELECT total FROM mailbox WHERE account = 2 AND name = 'Recovered 2'"), 240);
    store_close(s);
}

static void wrong_rows(void **state)
{
    sql("UPDATE email SET size = 5 WHERE eid = 1; UPDATE member SET size = 6 WHERE mailbox = 1 AND uid = 3;"
        "UPDATE email SET edits = x'0105' WHERE eid = 4;"
        "UPDATE blob SET off = off + 1 WHERE bid = 5; UPDATE blob SET len = len - 1 WHERE bid = 6;"
        "UPDATE blob SET seg = 77 WHERE bid = 11;"
        "UPDATE account SET floor = 99999 WHERE account = 1; DELETE FROM account WHERE account = 2;"
        "INSERT INTO gone(account, modseq, mailbox, uid, eid) VALUES(55, 1, 1, 1, 1);"
        "INSERT INTO thread_email VALUES(99999, 5); INSERT INTO upload VALUES(99999, 5, 1, 1, 1);"
        "UPDATE op SET result = x'00' WHERE op = (SELECT min(op) FROM op);");
    struct store_place p;
    struct fail f = {0};
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), 0);
    struct store_verify *v = look(&p);
    const struct verify_finding *x;
    size_t n = store_verify_findings(v, 0, &x);
    const char *const want[] = {
        "email 1 of account 1 says 5 octets, it has 20", "account 1: INBOX uid 1 says ", "account 1: INBOX uid 3 says 6 octets, its email 20",
        "email 4 of account 1: its edit list cannot be read", ": account 1: INBOX uid 5 (email 5)",
        ": another record than the index says: account 1: INBOX uid 6 (email 7)", ": segment is not in the index: account 1: INBOX uid 11 (email 13)",
        "account 1: the floor of its tombstones is 99999, above its modseq 1206", "account 2 has mailboxes and no row",
        "account 55 has tombstones and does not exist", "1 remembered results of operations cannot be read",
        "email 99999 has a thread and does not exist", "upload 99999 of account 5 has no blob", " live bytes, there are ",
    };
    for (size_t w = 0; w < COUNT_OF(want); w++) {
        bool hit = false;
        for (size_t i = 0; i < n; i++)
            hit |= span_find(x[i].text, span_z(want[w])) >= 0;
        if (!hit)
            fail_msg("not told: %s", want[w]);
    }
    store_verify_free(v);
    store_verify_close(&p);
}

/* While serving: never a false word, and the committer does not wait. */
static void while_serving(void **state)
{
    struct store *s = store_testing_open();
    struct msg_ingest_r out;
    struct msg_expunge_r er;
    struct fail f = {0};
    const struct verify_finding *x;
    char body[3000];
    memset(body, 'y', sizeof body);
    unsigned uid = 10;
    for (int round = 0; round < 3; round++) {
        struct store_verify *v = store_verify_of(s);
        int rc;
        do {
            rc = store_verify_serving(s, v, &f);
            struct arena one;
            arena_init(&one);
            for (int i = 0; i < 5; i++)
                assert_int_equal(store_testing_ingest(s, NULL, 1, 2, span_of(body, sizeof body), &out, &one, NULL), 0);
            assert_int_equal(store_testing_expunge(s, 1, 1, uid, uid + 20, &er, &one, NULL), 0);
            uid += 20;
            arena_done(&one);
        } while (rc == 1);
        assert_int_equal(rc, 0);
        size_t n = store_verify_findings(v, 0, &x);
        for (size_t i = 0; i < n; i++)
            print_error("found: %.*s\n", SPAN_ARGS(x[i].text));
        assert_int_equal(n, 0);
        store_verify_free(v);
    }
    store_close(s);
}

static void locked(void **state)
{
    struct store *s = store_testing_open();
    struct store_place p;
    struct fail f = {0};
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), -1);
    assert_non_null(strstr(f.text, "another process has the store"));
    store_close(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {T(clean), T(flips_in_the_log), T(flip_in_a_big_file), T(flip_in_the_index), T(texts), T(missing_segment),
        T(cut_segment), T(missing_big_file), T(cut_big_file), T(wrong_counters), T(deleted_rows), T(wrong_rows), T(while_serving), T(locked)};
    return cmocka_run_group_tests_name("store_verify", tests, NULL, NULL);
}
