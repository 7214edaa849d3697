/* Tests of what stands beside mailboxes: quota, threads, uploads, values, the age of tombstones. */
#include "store/store_ops_testing.h"
#include "store/store_thread.h"

#include <errno.h>

/* ---- quota ---- */

static void quota(void **state)
{
    struct msg_quota_set_r q;
    struct msg_quota_get_r g;
    struct msg_append_r a;
    struct msg_copy_r c;
    OK(DO(quota_set, 0, &q, .account = 1, .limit_bytes = 10, .limit_messages = 3));
    reopen();
    OK(DO(append, 1, &a, .op = op(), .body = SPAN("12345"), .size = 5, .file = -1));
    assert_string_equal(DO(append, 1, &a, .op = op(), .body = SPAN("123456"), .size = 6, .file = -1), "5.2.2");
    OK(DO(append, 1, &a, .op = op(), .body = SPAN("12345"), .size = 5, .file = -1)); /* to the last byte */
    uint64_t box = row_of(1, 0).mailbox, to = make(1, 0, SPAN("to"));
    assert_string_equal(DO(copy, 1, &c, .op = op(), .from = box, .to = to, .uids = UIDS(1, 1)), "5.2.2");
    OK(DO(copy, 1, &c, .op = op(), .from = box, .to = to, .move = 1, .uids = UIDS(1, 1))); /* needs nothing */
    OK(DO(quota_set, 0, &q, .account = 1, .limit_bytes = -1, .limit_messages = -2));
    assert_true(q.bytes == 10 && q.messages == 2 && q.limit_bytes == -1 && q.limit_messages == 3);
    OK(DO(append, 1, &a, .op = op(), .body = SPAN("x"), .size = 1, .file = -1));
    assert_string_equal(DO(append, 1, &a, .op = op(), .file = -1), "5.2.2"); /* the fourth */
    assert_string_equal(DO(quota_set, 0, &q, .account = 1, .limit_bytes = -3, .limit_messages = -2), "5.5.4");
    assert_int_equal(store_quota_get(s, 1, &g, &f), 0);
    assert_true(g.bytes == 11 && g.messages == 3 && g.mailboxes == 2 && g.limit_bytes == -1 && g.limit_messages == 3);
    assert_int_equal(store_quota_get(s, 77, &g, &f), 0);
    assert_true(g.bytes == 0 && g.limit_bytes == -1);
    assert_string_equal(DO(recount, 0, &(struct msg_recount_r){0}, .account = 77), "5.2.0");
}

/* ---- threads ---- */

static struct span refs(unsigned n, const uint64_t *v)
{
    return arena_copy(&mem, span_of(v, n * 8));
}
#define REFS(...) refs(sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static uint64_t thread_of(uint64_t account, uint64_t eid)
{
    struct msg_email_get_r g;
    struct msg_email_id id = {eid};
    OK(GET(email_get, account, &g, .ids = {&id, 1}));
    assert_int_equal(g.emails.n, 1);
    return g.emails.v[0].thread;
}

static void threads(void **state)
{
    uint64_t a = APPEND(1, 0, SPAN("a"), .msgid = 100).eid;
    uint64_t b = APPEND(1, 0, SPAN("b"), .msgid = 101, .refs = REFS(100)).eid;
    uint64_t other = APPEND(2, 0, SPAN("o"), .msgid = 102, .refs = REFS(100)).eid; /* another account */
    uint64_t none = APPEND(1, 0, SPAN("n")).eid, none2 = APPEND(1, 0, SPAN("n")).eid;
    assert_true(thread_of(1, a) == a && thread_of(1, b) == a && thread_of(2, other) == other);
    assert_true(thread_of(1, none) == none && thread_of(1, none2) == none2);
    reopen();
    /* siblings whose parent never came; the nearest known reference decides; no thread is ever merged */
    uint64_t c = APPEND(1, 0, SPAN("c"), .msgid = 200, .refs = REFS(999)).eid;
    uint64_t d = APPEND(1, 0, SPAN("d"), .msgid = 201, .refs = REFS(999)).eid;
    uint64_t e = APPEND(1, 0, SPAN("e"), .msgid = 202, .refs = REFS(201, 101)).eid;
    assert_true(thread_of(1, c) == c && thread_of(1, d) == c && thread_of(1, e) == c && thread_of(1, b) == a);
    struct msg_thread_get_r t;
    struct msg_email_id ids[] = {{a}, {c}, {other}};
    OK(GET(thread_get, 1, &t, .threads = {ids, 3}));
    assert_true(t.done == 3 && t.emails.n == 5 && t.emails.v[0].eid == a && t.emails.v[1].eid == b &&
                t.emails.v[4].eid == e);
    assert_true(t.emails.v[0].visible == 1);
    /* the first is removed: the thread keeps its name; with the last one its keys go */
    struct msg_expunge_r x;
    struct msg_flags_set_r fl;
    OK(DO(flags_set, 1, &fl, .op = op(), .mailbox = 0, .flags = FLAG_DELETED, .uids = UIDS(b, b)));
    OK(DO(expunge, 1, &x, .op = op(), .mailbox = 0, .uids = UIDS(a, a)));
    OK(GET(thread_get, 1, &t, .threads = {ids, 1}));
    assert_true(t.emails.n == 1 && t.emails.v[0].eid == b && t.emails.v[0].visible == 0 && thread_of(1, b) == a);
    uint64_t late = APPEND(1, 0, SPAN("late"), .msgid = 103, .refs = REFS(100)).eid;
    assert_int_equal(thread_of(1, late), a);
    OK(DO(expunge, 1, &x, .op = op(), .mailbox = 0, .uids = UIDS(late, late)));
    OK(DO(expunge, 1, &x, .op = op(), .mailbox = 0, .uids = UIDS(b, b)));
    uint64_t anew = APPEND(1, 0, SPAN("new"), .msgid = 104, .refs = REFS(100)).eid;
    assert_int_equal(thread_of(1, anew), anew);
    assert_true(rows_of(1, row_of(1, 0).mailbox, WANT_THREAD).rows.v[2].thread == c);
    struct msg_changes_r ch;
    OK(GET(changes, 1, &ch, .since = x.modseq - 1, .limit = 1));
    assert_true(ch.rows.v[0].eid == b && ch.rows.v[0].thread == a);
    /* a copy is the same email, and stays in its thread when one of them goes */
    struct msg_copy_r cp;
    uint64_t box = make(1, 0, SPAN("copy"));
    OK(DO(copy, 1, &cp, .op = op(), .from = 0, .to = box, .uids = UIDS(c, c)));
    OK(DO(expunge, 1, &x, .op = op(), .mailbox = box, .uids = ALL));
    assert_int_equal(thread_of(1, c), c);
    verify_clean();
}

static void background_threads(void **state)
{
    struct msg_ingest_r r;
    for (int i = 0; i < 50; i++)
        assert_int_equal(store_testing_ingest(s, NULL, 1, 3, SPAN("x"), &r, &mem, &f), 0);
    for (int i = 0; i < 100 && store_thread_behind(s) > 0; i++)
        usleep(20000); /* the committer has nothing else to do */
    assert_int_equal(store_thread_behind(s), 0);
    reopen();
    assert_int_equal(store_thread_behind(s), 0);
}

/* What a commit that failed had found out is found out again. */
static void threads_after_a_full_disk(void **state)
{
    store_testing_fault(FAULT_LINK, 0, 0, false); /* installs the shims */
    reopen();
    uint64_t a = APPEND(1, 0, SPAN("a"), .msgid = 1).eid, b = APPEND(1, 0, SPAN("b"), .msgid = 2, .refs = REFS(1)).eid;
    struct msg_thread_get_r t;
    struct msg_email_id id = {a};
    store_testing_fault(FAULT_DB_WRITE, 1, ENOSPC, true);
    assert_string_equal(GET(thread_get, 1, &t, .threads = {&id, 1}), "4.3.1");
    store_testing_fault_none();
    OK(GET(thread_get, 1, &t, .threads = {&id, 1}));
    assert_true(t.emails.n == 2 && t.emails.v[1].eid == b);
    assert_int_equal(store_testing_broken.kind, FAIL_NONE);
}

/* ---- uploads and values ---- */

static void uploads(void **state)
{
    struct msg_blob_put_r p, again;
    struct msg_blob_get_r g;
    struct span big = {arena_zalloc(&mem, 100000), 100000}, o = op();
    memset((char *)(uintptr_t)big.p, 'b', big.n);
    OK(DO(blob_put, 1, &p, .op = o, .body = SPAN("small one"), .size = 9, .file = -1));
    reopen();
    OK(DO(blob_put, 1, &again, .op = o, .body = SPAN("small one"), .size = 9, .file = -1));
    assert_true(p.blob == again.blob && p.expires_s == again.expires_s);
    uint64_t small = p.blob;
    OK(DO(blob_put, 1, &p, .op = op(), .body = big, .size = big.n, .file = -1));
    OK(GET(blob_get, 1, &g, .blob = small, .offset = 6, .length = 100));
    assert_true(g.size == 9 && span_eq(g.data, SPAN("one")));
    OK(GET(blob_get, 1, &g, .blob = p.blob, .offset = 99990, .length = 65536));
    assert_true(g.size == 100000 && g.data.n == 10);
    assert_string_equal(GET(blob_get, 2, &g, .blob = small), "5.2.0");
    struct msg_append_r a = APPEND(1, 0, SPAN(""), .upload = small), b = APPEND(1, 0, SPAN(""), .upload = p.blob);
    assert_true(span_eq(store_testing_read(s, 1, a.eid, &mem), SPAN("small one")));
    assert_true(span_eq(store_testing_read(s, 1, b.eid, &mem), big));
    struct msg_append_r other;
    assert_string_equal(DO(append, 2, &other, .op = op(), .file = -1, .upload = small), "5.2.0");
    int64_t most = LIMIT(UPLOADS);
    limit_value[LIMIT_UPLOADS] = 2;
    assert_string_equal(DO(blob_put, 1, &again, .op = op(), .body = SPAN("x"), .size = 1, .file = -1), "5.2.36");
    limit_value[LIMIT_UPLOADS] = most;

    verify_clean();
    page.mono_offset_ms += (LIMIT(UPLOAD_S) + 10) * 1000;
    assert_string_equal(GET(blob_get, 1, &g, .blob = small), "5.2.0");
    struct msg_store_stats_r stats = {.blobs = 99};
    APPEND(1, 0, SPAN("wakes it"));
    for (int i = 0; i < 100 && stats.blobs != 3; i++) {
        usleep(20000);
        assert_int_equal(store_stats(s, &stats, &f), 0);
    }
    assert_int_equal(stats.blobs, 3); /* the uploads went, what was made of them stays */
    assert_true(span_eq(store_testing_read(s, 1, a.eid, &mem), SPAN("small one")));
    assert_true(span_eq(store_testing_read(s, 1, b.eid, &mem), big));
    reopen();
    assert_int_equal(store_stats(s, &stats, &f), 0);
    assert_int_equal(stats.blobs, 3);
}

static void values(void **state)
{
    struct msg_kv_set_r r;
    struct msg_kv_get_r g;
    struct msg_kv_list_r l;
    OK(DO(kv_set, 1, &r, .key = SPAN("push/1"), .value = SPAN("one")));
    OK(DO(kv_set, 1, &r, .key = SPAN("push/2"), .value = SPAN("two"), .ttl_s = 60));
    OK(DO(kv_set, 1, &r, .key = SPAN("qush"), .value = SPAN("three")));
    OK(DO(kv_set, 0, &r, .key = SPAN("push/1"), .value = SPAN("everybody's")));
    OK(DO(kv_set, 1, &r, .key = SPAN("push/1"), .value = SPAN("uno")));
    reopen();
    OK(GET(kv_get, 1, &g, .key = SPAN("push/1")));
    assert_true(g.found == 1 && span_eq(g.value, SPAN("uno")) && g.expires_s == 0);
    OK(GET(kv_get, 0, &g, .key = SPAN("push/1")));
    assert_true(g.found == 1 && span_eq(g.value, SPAN("everybody's")));
    OK(GET(kv_get, 2, &g, .key = SPAN("push/1")));
    assert_int_equal(g.found, 0);
    OK(GET(kv_list, 1, &l, .prefix = SPAN("push/")));
    assert_true(l.rows.n == 2 && l.more == 0 && span_eq(l.rows.v[1].key, SPAN("push/2")) &&
                span_eq(l.rows.v[1].value, SPAN("two")));
    OK(GET(kv_list, 1, &l, .prefix = SPAN("push/"), .after = SPAN("push/1")));
    assert_int_equal(l.rows.n, 1);
    page.mono_offset_ms += 61000;
    OK(GET(kv_get, 1, &g, .key = SPAN("push/2")));
    assert_int_equal(g.found, 0);
    OK(DO(kv_set, 1, &r, .key = SPAN("push/1"), .remove = 1));
    OK(GET(kv_list, 1, &l, .prefix = SPAN("")));
    assert_true(l.rows.n == 1 && span_eq(l.rows.v[0].key, SPAN("qush")));
    assert_string_equal(DO(kv_set, 1, &r, .key = SPAN("")), "5.5.4");
    assert_string_equal(DO(kv_set, 1, &r, .key = SPAN("k"), .value = {"", (size_t)LIMIT(KV_VALUE_BYTES) + 1}),
                        "5.2.36");
    struct msg_account_gone gone = {.account = 1};
    assert_int_equal(store_testing_write(s, MSG_ID_account_gone, 1, &gone, NULL, NULL, &f), 0);
    OK(GET(kv_get, 1, &g, .key = SPAN("qush")));
    assert_int_equal(g.found, 0);
}

/* ---- tombstones ---- */

static void tombstones_age(void **state)
{
    struct msg_expunge_r x, later;
    struct msg_changes_r ch;
    for (int i = 0; i < 5; i++)
        APPEND(1, 0, SPAN("x"));
    uint64_t box = row_of(1, 0).mailbox;
    OK(DO(expunge, 1, &x, .op = op(), .mailbox = box, .uids = UIDS(1, 2)));
    page.mono_offset_ms += (LIMIT(TOMBSTONE_S) - 100) * 1000;
    OK(DO(expunge, 1, &later, .op = op(), .mailbox = box, .uids = UIDS(3, 3)));
    page.mono_offset_ms += 200 * 1000;
    APPEND(2, 0, SPAN("wakes it"));
    ch.floor = 0;
    for (int i = 0; i < 100 && ch.floor == 0; i++) {
        usleep(20000);
        OK(GET(changes, 1, &ch, .since = x.modseq));
    }
    assert_int_equal(ch.floor, x.modseq); /* whoever has seen those misses nothing */
    assert_true(ch.rows.n == 1 && ch.rows.v[0].uid == 3);
    OK(GET(changes, 1, &ch, .since = x.modseq - 1));
    assert_true(ch.rows.n == 0 && ch.floor == x.modseq);
    reopen();
    OK(GET(changes, 1, &ch, .since = x.modseq));
    assert_true(ch.floor == x.modseq && ch.rows.n == 1 && ch.modseq == later.modseq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(quota),   T(threads), T(background_threads), T(threads_after_a_full_disk),
        T(uploads), T(values),  T(tombstones_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
