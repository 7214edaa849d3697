/* Texts kept for searches: what is found, what is told as unknown, and that any loss of them is only that. */
#include "store/store_testing.h"
#include "store/store_text.h"

#include <fcntl.h>

static struct store *s;
static struct arena mem;
static struct fail f;

static int setup(void **state)
{
    arena_init(&mem);
    return store_testing_setup(state);
}

static int teardown(void **state)
{
    store_close(s);
    s = NULL;
    arena_done(&mem);
    return store_testing_teardown(state);
}

static void put(uint64_t account, uint64_t eid, const char *own, const char *body)
{
    struct str text;
    str_init(&text, &mem);
    str_addc(&text, 0);
    str_addz(&text, own);
    uint32_t at = (uint32_t)text.n;
    str_addc(&text, 0);
    str_addz(&text, body);
    struct store_text_new x = {.eid = eid, .text = {str_span(&text), at, at}};
    store_text_put(s, account, &x, 1);
}

/* What a search of ids first..last says: "12=1 ?13-15" */
static const char *search(uint64_t account, uint64_t first, uint64_t last, enum match_where where, const char *name, const char *text)
{
    struct msg_uid_range ids = {first, last};
    struct msg_scan_needle needle = {where, span_z(name), span_z(text)};
    struct msg_search in = {.needles = {&needle, 1}, .eids = {&ids, 1}};
    struct msg_search_r out;
    struct str said;
    if (store_text_search(s, account, &in, &out, &mem, &f) != 0)
        return f.code;
    str_init(&said, &mem);
    for (uint32_t i = 0; i < out.hits.n; i++)
        str_addf(&said, "%llu=%llx ", (unsigned long long)out.hits.v[i].eid, (unsigned long long)out.hits.v[i].found);
    for (uint32_t i = 0; i < out.unknown.n; i++)
        str_addf(&said, "?%llu-%llu ", (unsigned long long)out.unknown.v[i].first, (unsigned long long)out.unknown.v[i].last);
    str_addc(&said, 0);
    return said.p;
}
#define BODY(account, first, last, text) search(account, first, last, MATCH_BODY, "", text)

static const char *path(uint64_t account)
{
    static char p[300];
    snprintf(p, sizeof p, "%s/text/%016llx", store_testing_dir, (unsigned long long)account);
    return p;
}

static void reopen(void)
{
    store_close(s);
    s = store_testing_open();
}

static void write_at(const char *name, long at, const char *bytes, size_t n)
{
    int fd = open(name, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
    close(fd);
}

static void finds(void **state)
{
    s = store_testing_open();
    assert_string_equal(BODY(1, 10, 14, "x"), "?10-14 ");
    put(1, 12, "subject: hat", "a needle in hay");
    put(1, 10, "subject: needle", "nothing");
    put(2, 11, "subject: b", "needle");
    for (int again = 0; again < 2; again++) {
        assert_string_equal(BODY(1, 10, 14, "needle"), "12=1 ?11-11 ?13-14 ");
        assert_string_equal(search(1, 10, 12, MATCH_TEXT, "", "needle"), "10=1 12=1 ?11-11 ");
        assert_string_equal(search(1, 10, 12, MATCH_HEADER, "subject", "hat"), "12=1 ?11-11 ");
        assert_string_equal(BODY(2, 10, 12, "needle"), "11=1 ?10-10 ?12-12 ");
        assert_string_equal(BODY(3, 10, 12, "needle"), "?10-12 ");
        reopen();
    }
    struct store_text_new none = {.eid = 13, .none = true};
    store_text_put(s, 1, &none, 1);
    assert_string_equal(BODY(1, 13, 13, "x"), "?13-13 "); /* but it is not missing: nobody makes it again */
    struct msg_uid_range ids[] = {{9, 11}, {13, 20}};
    struct msg_search_fill fill = {.eids = {ids, 2}};
    uint64_t eids[4], next;
    assert_int_equal(store_text_missing(s, 1, &fill, 0, eids, 4, &next), 4);
    assert_true(eids[0] == 9 && eids[1] == 11 && eids[2] == 14 && eids[3] == 15 && next == 16);
    assert_int_equal(store_text_missing(s, 1, &fill, 16, eids, 4, &next), 4);
    assert_true(eids[0] == 16 && eids[3] == 19 && next == 20);
    assert_int_equal(store_text_missing(s, 1, &fill, 20, eids, 4, &next), 1);
    assert_true(eids[0] == 20 && next == 0);
}

static void refuses(void **state)
{
    s = store_testing_open();
    assert_string_equal(BODY(1, 1, 8001, "x"), "5.5.4");
    assert_string_equal(BODY(1, 2, 1, "x"), "5.5.4");
    assert_string_equal(BODY(1, 0, UINT64_MAX, "x"), "5.5.4");
    assert_string_equal(BODY(1, 1, 2, "\1"), "5.5.4");
    assert_string_equal(search(1, 1, 2, (enum match_where)7, "", "x"), "5.5.4");
    assert_string_equal(search(1, 1, 2, MATCH_HEADER, "a b", "x"), "5.5.4");
    char *big = arena_alloc(&mem, MATCH_NEEDLE_BYTES + 2);
    memset(big, 'x', MATCH_NEEDLE_BYTES + 1);
    big[MATCH_NEEDLE_BYTES + 1] = 0;
    assert_string_equal(BODY(1, 1, 2, big), "5.5.4");
}

/* A torn or changed record is lost with what follows, and its place used again. */
static void damage(void **state)
{
    s = store_testing_open();
    for (uint64_t eid = 1; eid <= 3; eid++)
        put(1, eid, "a: b", "needle");
    store_close(s);
    long second = STORE_TEXT_HEAD + STORE_TEXT_RECORD + 12, third = second + STORE_TEXT_RECORD + 12;
    write_at(path(1), second + STORE_TEXT_RECORD + 7, "N", 1);
    s = store_testing_open();
    assert_string_equal(BODY(1, 1, 3, "needle"), "1=1 ?2-3 ");
    put(1, 2, "a: b", "needle");
    put(1, 3, "a: b", "needle");
    reopen();
    assert_string_equal(BODY(1, 1, 3, "needle"), "1=1 2=1 3=1 ");
    assert_int_equal(truncate(path(1), third + STORE_TEXT_RECORD + 3), 0);
    reopen();
    assert_string_equal(BODY(1, 1, 3, "needle"), "1=1 2=1 ?3-3 ");
    assert_int_equal(truncate(path(1), third + 5), 0);
    reopen();
    assert_string_equal(BODY(1, 1, 3, "needle"), "1=1 2=1 ?3-3 ");
    assert_int_equal(unlink(path(1)), 0);
    reopen();
    assert_string_equal(BODY(1, 1, 3, "needle"), "?1-3 ");
}

/* Another account's file, another index's, another version's: not this one's texts. */
static void strangers(void **state)
{
    char other[300];
    for (int i = 0; i < 3; i++) {
        s = store_testing_open();
        put(1, 1, "a: b", "needle");
        assert_string_equal(BODY(1, 1, 1, "needle"), "1=1 ");
        store_close(s);
        s = NULL;
        if (i == 0)
            write_at(path(1), 4, "\xFF", 1);
        else if (i == 1)
            write_at(path(1), 8, "\0\0\0\0\0\0\0", 8);
        snprintf(other, sizeof other, "%s", path(2));
        assert_int_equal(i == 2 ? rename(path(1), other) : 0, 0);
        s = store_testing_open();
        uint64_t who = i == 2 ? 2 : 1;
        assert_string_equal(BODY(who, 1, 1, "needle"), "?1-1 ");
        put(who, 1, "a: b", "needle");
        assert_string_equal(BODY(who, 1, 1, "needle"), "1=1 ");
        store_close(s);
        s = NULL;
    }
}

/* More files than stay open, and texts of messages that are gone. */
static void many(void **state)
{
    s = store_testing_open();
    for (uint64_t account = 1; account <= 20; account++)
        put(account, account, "a: b", "needle");
    for (uint64_t account = 1; account <= 20; account++) {
        char want[20];
        snprintf(want, sizeof want, "%llu=1 ", (unsigned long long)account);
        assert_string_equal(BODY(account, account, account, "needle"), want);
    }
    struct store_text_new *x = arena_zalloc(&mem, 1200 * sizeof *x);
    for (uint64_t i = 0; i < 1200; i++)
        x[i] = (struct store_text_new){.eid = i + 1, .text = {SPAN("\0needle"), 0, 0}};
    store_text_put(s, 30, x, 1200);
    assert_string_equal(BODY(30, 1200, 1201, "needle"), "1200=1 ?1201-1201 ");
    reopen(); /* the account has no messages at all */
    assert_string_equal(BODY(30, 1200, 1200, "needle"), "?1200-1200 ");
    assert_int_not_equal(access(path(30), F_OK), 0);
}

static void account_gone(void **state)
{
    struct msg_ingest_r r;
    s = store_testing_open();
    assert_int_equal(store_testing_ingest(s, NULL, 1, 1, SPAN("a: b\r\n\r\nneedle"), &r, &mem, &f), 0);
    put(1, r.results.v[0].eid, "a: b", "needle");
    put(9, 1, "a: b", "of no account");
    assert_int_equal(access(path(1), F_OK), 0);
    struct msg_account_gone gone = {.account = 1};
    assert_int_equal(store_testing_write(s, MSG_ID_account_gone, 1, &gone, NULL, NULL, &f), 0);
    assert_int_not_equal(access(path(1), F_OK), 0);
    assert_string_equal(BODY(1, 1, 1, "needle"), "?1-1 ");
    store_close(s);
    s = store_testing_open();
    store_text_sweep(s);
    assert_int_not_equal(access(path(9), F_OK), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(finds), T(refuses), T(damage), T(strangers), T(many), T(account_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
