/* Tests of rebuild: what the log holds comes back and nothing else, whatever was swept, cut off, or forged. */
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_meta.h"
#include "store/store_ops_testing.h"
#include "store/store_rebuild.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct store_rebuild_report report;

/* ---- helpers ---- */

static const char *path(const char *name)
{
    static char text[200];
    snprintf(text, sizeof text, "%s/%s", store_testing_dir, name);
    return text;
}

static void lose_index(void)
{
    unlink(path("index.db"));
    unlink(path("index.db-wal"));
    unlink(path("index.db-shm"));
}

static bool summary(void *arg, struct span message, struct summary *out, struct arena *in)
{
    summarize(message, out, in);
    return true;
}

/* The store is closed, its index lost (unless base is one), made again; then it is open. */
static void rebuild(int base)
{
    store_close(s);
    lose_index();
    struct store_rebuild *r = store_rebuild_new(store_testing_dir, &f);
    if (r == NULL || store_rebuild_look(r, &f) != 0 || store_rebuild_run(r, base, summary, NULL, &f) != 0)
        fail_msg("%s", f.text);
    report = *store_rebuild_report(r);
    store_rebuild_free(r);
    s = store_testing_open();
    verify_clean();
}

static uint64_t deliver(uint64_t account, struct span body)
{
    struct msg_ingest_r out;
    assert_int_equal(store_testing_ingest(s, NULL, account, 1, body, &out, &mem, &f), 0);
    return out.results.v[0].eid;
}

/* ---- swept and removed ---- */

static unsigned segments(void) { return (unsigned)store_testing_sql("SELECT count(*) FROM segment"); }

static void swept_and_removed(void **state)
{
    enum { N = 900 };
    char body[3000];
    struct msg_expunge_r er;
    struct msg_mailbox_create_r made;
    memset(body, 'x', sizeof body);
    OK(DO(mailbox_create, 1, &made, .op = op(), .name = SPAN("Kept")));
    reopen(); /* the log is told of it now, and in a segment that will be rewritten */
    for (unsigned i = 0; i < N; i++) {
        snprintf(body, 12, "%010u", i);
        deliver(1, span_of(body, sizeof body));
    }
    unsigned before = segments();
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    for (unsigned uid = 1; uid < N; uid += 10) /* every tenth stays */
        assert_int_equal(store_testing_expunge(s, 1, box, uid, uid + 8, &er, &mem, &f), 0);
    int64_t until = clock_mono_ms() + 20000;
    while (segments() >= before || store_testing_sql("SELECT count(*) FROM tree_due") != 0) {
        assert_true(clock_mono_ms() < until);
        usleep(20000);
    }
    struct msg_mailbox_row inbox = store_testing_inbox(s, 1, &mem);
    for (int round = 0; round < 2; round++) { /* what a rebuild made can be made again */
        rebuild(-1);
        struct msg_mailbox_row now = store_testing_inbox(s, 1, &mem);
        assert_int_equal(store_testing_check(s, 1), N / 10);
        assert_int_equal(now.uidvalidity, inbox.uidvalidity);
        assert_true(now.uidnext > inbox.uidnext && now.modseq > inbox.modseq);
        assert_int_equal(store_testing_sql("SELECT count(*) FROM member WHERE uid % 10 <> 0"), 0);
        assert_int_equal(store_testing_sql("SELECT count(*) FROM mailbox WHERE name = 'Kept'"), 1);
        assert_int_equal(report.conflicts, 0);
        inbox = now;
    }
}

/* The note that a message has gone lies in a segment that is rewritten, the message in one that is not. */
static void note_is_carried_on(void **state)
{
    char body[3000];
    struct msg_expunge_r er;
    memset(body, 'x', sizeof body);
    for (unsigned i = 0; i < 800; i++)
        deliver(1, span_of(body, sizeof body));
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    assert_int_equal(store_testing_expunge(s, 1, box, 200, 204, &er, &mem, &f), 0);
    store_close(s); /* writes the note */
    s = store_testing_open();
    int64_t noted = store_testing_sql("SELECT max(seg) FROM segment");
    for (unsigned i = 0; i < 700; i++)
        deliver(1, span_of(body, sizeof body));
    unsigned before = segments();
    assert_int_equal(store_testing_expunge(s, 1, box, 400, 1400, &er, &mem, &f), 0);
    int64_t until = clock_mono_ms() + 20000;
    while (segments() >= before || store_testing_sql("SELECT min(live * 2 >= end) FROM segment WHERE seg < (SELECT max(seg) FROM segment)") == 0) {
        assert_true(clock_mono_ms() < until);
        usleep(20000);
    }
    char name[200];
    snprintf(name, sizeof name, "SELECT count(*) FROM segment WHERE seg = %lld", (long long)noted);
    assert_int_equal(store_testing_sql(name), 0);
    assert_int_equal(store_testing_sql("SELECT (SELECT seg FROM blob WHERE bid = 199) = (SELECT seg FROM blob WHERE bid = 205)"), 1);
    rebuild(-1);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM member WHERE uid BETWEEN 200 AND 204"), 0);
    assert_int_equal(store_testing_check(s, 1), 1500 - 5 - 1001);
}

/* An address that is not ASCII in front of a header that is: the header is none of ASCII, then as before. */
static void addresses_in_front(void **state)
{
    struct op_id one = rand_op_id();
    struct span body = SPAN("Subject: a\r\n\r\n");
    struct msg_ingest_target target = {.account = 1, .address = SPAN("x@example.test")};
    struct msg_ingest in = {.op = span_of(one.b, 16), .sender = SPAN("\xc3\xbc@example.org"), .size = body.n, .body = body,
                            .file = -1, .date_s = INT64_MIN, .targets = {&target, 1}};
    struct msg_ingest_r out;
    deliver(1, body);
    assert_int_equal(store_testing_write(s, MSG_ID_ingest, 0, &in, &out, &mem, &f), 0);
    assert_int_equal(store_testing_sql("SELECT sum(flags & 4) FROM email"), SUMMARY_UTF8);
    rebuild(-1);
    assert_int_equal(store_testing_sql("SELECT sum(flags & 4) FROM email"), SUMMARY_UTF8);
    assert_int_equal(store_testing_check(s, 1), 2);
}

/* ---- an index that is not there ---- */

static void no_index_no_start(void **state)
{
    deliver(1, SPAN("Subject: a\r\n\r\n"));
    store_close(s);
    lose_index();
    s = store_open(store_testing_dir, NULL, &f);
    assert_null(s);
    assert_non_null(strstr(f.text, "the index is empty, but there is mail in the log"));
    s = store_open(store_testing_dir, NULL, &f); /* not the second time either: now there is an empty one */
    assert_null(s);
    struct store_rebuild *r = store_rebuild_new(store_testing_dir, &f);
    assert_non_null(r);
    store_rebuild_free(r);
    rebuild(-1);
    assert_int_equal(store_testing_check(s, 1), 1);
}

/* ---- what lies behind the end ---- */

static void record(struct str *out, uint64_t bid, const unsigned char op_id[16], struct span meta, struct span body)
{
    unsigned char h[MSGLOG_HEADER] = "PLOG";
    h[4] = 1;
    h[6] = MSGLOG_HEADER;
    msglog_put32(h + 8, (uint32_t)meta.n);
    msglog_put32(h + 12, crc32c(0, body.p, body.n));
    msglog_put64(h + 16, body.n);
    msglog_put64(h + 24, bid);
    memcpy(h + 32, op_id, 16);
    msglog_put32(h + 60, crc32c(crc32c(0, h, 60), meta.p, meta.n));
    str_add(out, span_of(h, sizeof h));
    str_add(out, meta);
    str_add(out, body);
}

static struct span arrival(uint64_t account, uint64_t mailbox, uint64_t uid, uint64_t eid)
{
    struct str out;
    struct store_meta m = {.kind = META_INGEST, .n = 1};
    str_init(&out, &mem);
    store_meta_put(&out, &m);
    store_meta_put_target(&out, &(struct store_meta_target){.account = account, .mailbox = mailbox, .uid = uid, .eid = eid,
                                                           .modseq = 50, .address = SPAN("x@example.test")});
    return str_span(&out);
}

/* A batch that was written, planned again with other numbers, and written shorter. */
static void written_twice(void **state)
{
    struct op_id one = rand_op_id();
    struct msg_ingest_r out;
    struct str stale;
    char name[MSGLOG_NAME];
    for (int i = 0; i < 5; i++)
        deliver(1, SPAN("Subject: a\r\n\r\n"));
    assert_int_equal(store_testing_ingest(s, &one, 1, 1, SPAN("Subject: b\r\n\r\n"), &out, &mem, &f), 0);
    store_close(s);
    s = NULL;
    msglog_name((uint32_t)store_testing_sql("SELECT max(seg) FROM segment"), name);
    str_init(&stale, &mem);
    record(&stale, 7, one.b, arrival(1, out.results.v[0].mailbox, 7, 7), SPAN("Subject: b\r\n\r\n"));
    int fd = open(path(name), O_WRONLY);
    assert_int_equal(pwrite(fd, stale.p, stale.n, (off_t)store_testing_sql("SELECT end FROM segment ORDER BY seg DESC LIMIT 1")), stale.n);
    close(fd);
    rebuild(-1);
    assert_int_equal(report.repeated, 1);
    assert_int_equal(store_testing_check(s, 1), 6);
}

/* ---- what a sender can do ---- */

/* A message holds records; its own header is damaged, so that they are found. They must not stand in for other messages, nor
 * take any away. */
static void forged(void **state)
{
    struct str body, gone;
    static const unsigned char no_op[16], some_op[16] = "forged-operatio";
    char name[MSGLOG_NAME];
    uint64_t first = deliver(1, SPAN("Subject: true\r\n\r\n"));
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    str_init(&gone, &mem);
    store_meta_put(&gone, &(struct store_meta){.kind = META_GONE, .seg = 99, .n = 1});
    store_meta_put_eid(&gone, first);
    str_init(&body, &mem);
    str_addz(&body, "Subject: forged\r\n\r\n");
    record(&body, 0, no_op, str_span(&gone), SPAN(""));
    record(&body, 1, some_op, arrival(1, box, 1, first), SPAN("Subject: not true\r\n\r\n"));
    record(&body, 900, some_op, arrival(1, box, 1, first), SPAN("Subject: not true either\r\n\r\n"));
    record(&body, 901, some_op, arrival(2, box, 9, 5), SPAN("Subject: into another's\r\n\r\n"));
    deliver(1, str_span(&body));
    deliver(1, SPAN("Subject: behind it\r\n\r\n"));
    msglog_name((uint32_t)store_testing_sql("SELECT seg FROM blob WHERE bid = 2"), name);
    off_t at = (off_t)store_testing_sql("SELECT off FROM blob WHERE bid = 2");
    store_close(s);
    s = NULL;
    int fd = open(path(name), O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, at + 17), 1);
    close(fd);
    lose_index();
    struct store_rebuild *r = store_rebuild_new(store_testing_dir, &f);
    assert_int_equal(store_rebuild_look(r, &f), 0);
    assert_int_equal(store_rebuild_run(r, -1, summary, NULL, &f), 0);
    report = *store_rebuild_report(r);
    store_rebuild_free(r);
    s = store_testing_open();
    assert_int_equal(report.bad_places, 1); /* what he put there leads up to the next true record */
    assert_int_equal(store_testing_check(s, 1), 2);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM email"), 2);
    struct span text = store_testing_read(s, 1, first, &mem);
    assert_true(span_find(text, SPAN("Subject: true")) >= 0);
}

/* ---- accounts, uploads, a backup's index ---- */

static void accounts_and_uploads(void **state)
{
    struct msg_blob_put_r put;
    struct msg_blob_get_r got;
    deliver(1, SPAN("Subject: a\r\n\r\n"));
    deliver(2, SPAN("Subject: a\r\n\r\n"));
    OK(DO(blob_put, 1, &put, .op = op(), .body = SPAN("bytes of an upload"), .size = 18, .file = -1));
    OK(DO(account_gone, 2, NULL, .account = 2));
    rebuild(-1);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM account"), 1);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM email"), 1);
    OK(GET(blob_get, 1, &got, .blob = put.blob, .length = 100));
    assert_true(span_eq(got.data, SPAN("bytes of an upload")));
}

static void rename_box(uint64_t box, struct span name)
{
    struct msg_mailbox_set_r set;
    OK(DO(mailbox_set, 1, &set, .op = op(), .mailbox = box, .what = MAILBOX_SET_NAME, .name = name));
}

/* A copy of the index; the store is closed. */
static int snapshot(void)
{
    char buf[65536];
    int from = open(path("index.db"), O_RDONLY), to = open(path("base.db"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (ssize_t n; (n = read(from, buf, sizeof buf)) != 0;)
        assert_true(n > 0 && write(to, buf, (size_t)n) == n);
    close(from);
    assert_int_equal(lseek(to, 0, SEEK_SET), 0);
    return to;
}

static void on_a_backup(void **state)
{
    struct msg_mailbox_create_r a, b, c;
    struct msg_copy_r copied;
    struct msg_flags_set_r set;
    struct msg_expunge_r er;
    OK(DO(mailbox_create, 1, &a, .op = op(), .name = SPAN("A")));
    OK(DO(mailbox_create, 1, &b, .op = op(), .name = SPAN("B")));
    OK(DO(mailbox_create, 1, &c, .op = op(), .name = SPAN("C")));
    uint64_t box = store_testing_inbox(s, 1, &mem).mailbox;
    for (int i = 0; i < 10; i++)
        deliver(1, SPAN("Subject: a\r\n\r\n"));
    OK(DO(copy, 1, &copied, .op = op(), .from = box, .to = a.mailbox, .uids = UIDS(1, 3)));
    OK(DO(flags_set, 1, &set, .op = op(), .mailbox = box, .mode = FLAGS_ADD, .flags = FLAG_SEEN, .uids = UIDS(4, 5)));
    store_close(s);
    int base = snapshot();
    s = store_testing_open();
    rename_box(a.mailbox, SPAN("T"));
    rename_box(b.mailbox, SPAN("A"));
    rename_box(a.mailbox, SPAN("B"));
    struct msg_mailbox_remove_r removed;
    OK(DO(mailbox_remove, 1, &removed, .op = op(), .mailbox = c.mailbox));
    assert_int_equal(store_testing_expunge(s, 1, box, 10, 10, &er, &mem, &f), 0);
    deliver(1, SPAN("Subject: after\r\n\r\n"));
    rebuild(base);
    close(base);
    assert_int_equal(store_testing_check(s, 1), 10);
    assert_int_equal(report.kept, 9 + 3);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM member m JOIN mailbox b USING(mailbox) WHERE b.name = 'B'"), 3);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM mailbox WHERE name = 'A' AND total = 0"), 1);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM mailbox"), 3);
    assert_int_equal(store_testing_sql("SELECT count(*) FROM member WHERE flags = 1"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(swept_and_removed), T(note_is_carried_on), T(no_index_no_start), T(written_twice), T(forged),
                                       T(accounts_and_uploads), T(on_a_backup), T(addresses_in_front)};
    return cmocka_run_group_tests_name("store_rebuild", tests, NULL, NULL);
}
