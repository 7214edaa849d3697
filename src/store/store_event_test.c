/* Tests of delivery events: what is found by what, and that an account is told its own mail's story and no other's. */
#include "store/store_event.h"
#include "store/store_queue_testing.h"

enum { ALICE = 7, BOB = 5, CAROL = 6, EVE = 8 };

#define FOUND_BY(who, out, ...)                                                                                             \
    (f = (struct fail){0},                                                                                             \
     assert_int_equal(store_event_read(s, who, &(struct msg_events){__VA_ARGS__}, out, &mem, &f), 0))

/* The kinds of the rows, a letter each, in order. */
static const char *kinds(const struct msg_events_r *r)
{
    static const char letters[] = "?rsqadDfxRhlopmFnt";
    char *out = arena_zalloc(&mem, r->rows.n + 1);
    for (uint32_t i = 0; i < r->rows.n; i++)
        out[i] = r->rows.v[i].kind < sizeof letters - 1 ? letters[r->rows.v[i].kind] : '?';
    return out;
}

/* Alice writes to bob and carol here and to two elsewhere, of whom one gets it. */
static struct span story(void)
{
    struct msg_ingest_r r;
    struct msg_ingest_target t[2] = {{.account = BOB, .address = SPAN("bob@example.org")}, {.account = CAROL, .address = SPAN("carol@example.org")}};
    struct msg_ingest_remote v[2] = {to("a@one.test"), to("b@two.test")};
    struct store_queue_as as[2] = {plain, plain};
    struct store_extra x = {.as = as, .sender = ALICE};
    struct msg_ingest in = {.op = op(), .sender = SPAN("jon@example.org"), .size = 18, .body = SPAN("Subject: x\r\n\r\nhi\r\n"), .file = -1,
        .received_ms = clock_now_ms(), .msgid_hash = 4711, .peer = SPAN("client [192.0.2.7]"), .tls = SPAN("TLSv1.2"),
        .login = SPAN("jon@example.org"), .targets = {t, 2}, .remotes = {v, 2}};
    OK(code(store_testing_write_extra(s, MSG_ID_ingest, 0, &in, &x, &r, &mem, &f)));
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    struct msg_queue_tried before = {.host = SPAN("mx1.one.test [192.0.2.1]"), .tls = SPAN("DANE"),
                                     .status = SPAN("4.7.5"), .text = SPAN("no")};
    OK(DO(queue_note, RELAY, &begun, .tried = {&before, 1}, .places = {&place, 1},
          .tries = {&(struct msg_queue_try){.qid = l.messages.v[0].qid, .rid = l.rcpts.v[0].rid}, 1}));
    OK(result(l.rcpts.v[0].rid, QUEUE_DELIVERED, 0, RELAY));
    OK(result(lease("two.test", 9, 9, RELAY).rcpts.v[0].rid, QUEUE_FAILED, 0, RELAY));
    return arena_copy(&mem, l.messages.v[0].trace);
}

static void found_by(void **state)
{
    struct msg_events_r r;
    struct span trace = story();
    send("other@three.test");
    FOUND_BY(0, &r, .trace = trace);
    assert_string_equal(kinds(&r), "rssqqtadf");
    assert_true(span_eq(r.rows.v[0].host, SPAN("client [192.0.2.7]")) && r.rows.v[0].size == 18);
    assert_true(span_eq(r.rows.v[6].host, SPAN("mx.example.test [192.0.2.1]")) && span_eq(r.rows.v[6].tls, SPAN("TLSv1.3")));
    assert_true(r.rows.v[7].code == 250 && span_eq(r.rows.v[8].address, SPAN("b@two.test")) && r.rows.v[8].code == 450);
    assert_true(span_eq(r.rows.v[5].host, SPAN("mx1.one.test [192.0.2.1]")) && span_eq(r.rows.v[5].tls, SPAN("DANE")) && r.rows.v[5].address.n == 0);
    FOUND_BY(0, &r, .msgid_hash = 4711);
    assert_string_equal(kinds(&r), "rssqqtadf");
    FOUND_BY(0, &r, .address = SPAN("B@two.test")); /* a recipient: what is its own and everybody's */
    assert_string_equal(kinds(&r), "rqf");
    FOUND_BY(0, &r, .address = SPAN("*@one.test"));
    assert_string_equal(kinds(&r), "rqtad");
    FOUND_BY(0, &r, .address = SPAN("jon@example.org")); /* the sender of both messages */
    assert_string_equal(kinds(&r), "rssqqtadfrq");
    FOUND_BY(0, &r, .last = 1);
    assert_string_equal(kinds(&r), "rq");
    FOUND_BY(0, &r, .last = 2, .address = SPAN("*@example.org"));
    assert_string_equal(kinds(&r), "rssqqtadfrq");
    FOUND_BY(0, &r, .from_ms = clock_now_ms() + 1000);
    assert_int_equal(r.rows.n, 0);
    FOUND_BY(0, &r, .from_ms = clock_now_ms() - 60000, .to_ms = clock_now_ms());
    assert_string_equal(kinds(&r), "rssqqtadfrq");
    pass(3600);
    send("later@three.test");
    FOUND_BY(0, &r, .from_ms = clock_now_ms() - 1800 * 1000);
    assert_string_equal(kinds(&r), "rq");
    FOUND_BY(0, &r, .to_ms = clock_now_ms() - 1800 * 1000);
    assert_string_equal(kinds(&r), "rssqqtadfrq");
}

/* An account sees what it sent whole; of what others sent, that it came to itself; nothing else, whatever it asks for. */
static void an_account_sees_its_own(void **state)
{
    struct msg_events_r r;
    struct span trace = story();
    const struct msg_events asks[] = {
        {.trace = trace}, {.msgid_hash = 4711}, {.address = SPAN("jon@example.org")}, {.last = 9}, {.after = 0}};
    for (size_t i = 0; i < COUNT_OF(asks); i++) {
        static const struct { uint64_t who; const char *want; } want[] = {{ALICE, "rssqqtadf"}, {BOB, "rs"}, {CAROL, "rs"}, {EVE, ""}};
        for (size_t k = 0; k < COUNT_OF(want); k++) {
            assert_int_equal(store_event_read(s, want[k].who, &asks[i], &r, &mem, &f), 0);
            assert_string_equal(kinds(&r), want[k].want);
            for (uint32_t n = 0; n < r.rows.n && want[k].who != ALICE; n++)
                assert_true((r.rows.v[n].kind != EVENT_STORED || r.rows.v[n].account == want[k].who) && r.rows.v[n].host.n == 0 &&
                            r.rows.v[n].tls.n == 0 && r.rows.v[n].text.n == 0); /* nor from where she wrote */
        }
    }
    static const char *const others[] = {"a@one.test", "*@one.test", "b@two.test", "carol@example.org"};
    for (size_t i = 0; i < COUNT_OF(others); i++) { /* who else got it is the sender's to know */
        FOUND_BY(BOB, &r, .address = span_z(others[i]));
        assert_string_equal(kinds(&r), "");
        FOUND_BY(EVE, &r, .address = span_z(others[i]));
        assert_string_equal(kinds(&r), "");
        FOUND_BY(ALICE, &r, .address = span_z(others[i]));
        assert_true(r.rows.n >= 2);
    }
    FOUND_BY(BOB, &r, .address = SPAN("bob@example.org"));
    assert_string_equal(kinds(&r), "rs");
}

/* A refusal is the account's that was refused. */
static void refusals(void **state)
{
    struct msg_events_r r;
    struct msg_event_note note = {.trace = SPAN("aaaaaaaaaaaa"), .kind = EVENT_REFUSED, .sender = SPAN("jon@example.org"),
                                  .address = SPAN("x@far.test"), .code = 550, .status = SPAN("5.1.2"), .text = SPAN("no such domain")};
    OK(code(store_testing_write(s, MSG_ID_event_note, ALICE, &note, NULL, &mem, &f)));
    note.kind = EVENT_DELIVERED; /* nothing else may be noted from outside */
    assert_string_equal(code(store_testing_write(s, MSG_ID_event_note, ALICE, &note, NULL, &mem, &f)), "5.5.4");
    FOUND_BY(ALICE, &r, .last = 1);
    assert_string_equal(kinds(&r), "n");
    assert_true(r.rows.v[0].code == 550 && span_eq(r.rows.v[0].text, SPAN("no such domain")));
    FOUND_BY(EVE, &r, .trace = SPAN("aaaaaaaaaaaa"));
    assert_int_equal(r.rows.n, 0);
}

/* What happened longer ago than the limit goes, also of a store that is never idle, and what is younger stays. */
static void kept_for_so_long(void **state)
{
    struct msg_events_r r;
    story();
    page.mono_offset_ms += (LIMIT(EVENT_DAYS) - 1) * 86400000;
    send("young@three.test");
    page.mono_offset_ms += 2 * 86400000;
    for (int i = 0; i < 30; i++) {
        page.mono_offset_ms += 61000;
        send("now@three.test");
    }
    FOUND_BY(0, &r, .address = SPAN("young@three.test"));
    assert_string_equal(kinds(&r), "rq");
    FOUND_BY(0, &r, .address = SPAN("a@one.test"));
    assert_string_equal(kinds(&r), "");
}

int main(void)
{
#define Q(fn) cmocka_unit_test_setup_teardown(fn, queue_setup, teardown)
    const struct CMUnitTest tests[] = {Q(found_by), Q(an_account_sees_its_own), Q(refusals), Q(kept_for_so_long)};
    return cmocka_run_group_tests_name("store_event", tests, NULL, NULL);
}
