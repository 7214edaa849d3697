/* Tests of the queue: what comes in leaves once, in the right order, with the right report, whatever happens between. */
#include "store/store_queue_testing.h"

#include <fcntl.h>
#include <sys/uio.h>

static void clean(void)
{
    struct store_place p;
    store_close(s);
    assert_int_equal(store_verify_open(&p, store_testing_dir, false, &f), 0);
    struct store_verify *v = store_verify_new(p.dir);
    int rc;
    while ((rc = store_verify_step(v, p.db, &f)) == 1)
        ;
    const struct verify_finding *x;
    size_t n = store_verify_findings(v, 0, &x);
    for (size_t i = 0; i < n; i++)
        print_error("%.*s\n", SPAN_ARGS(x[i].text));
    assert_int_equal(rc, 0);
    assert_int_equal(n, 0);
    store_verify_free(v);
    store_verify_close(&p);
    s = store_testing_open();
    store_on_ready(s, on_ready, NULL);
    store_on_report(s, on_report, NULL);
}

/* tmpfs does not. */
static bool says_what_is_cached(void)
{
    char path[200], c;
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    int fd = open(path, O_RDONLY);
    bool yes = preadv2(fd, &(struct iovec){&c, 1}, 1, 0, RWF_NOWAIT) == 1;
    close(fd);
    return yes;
}

/* ---- tests ---- */

static void one_goes_out(void **state)
{
    struct msg_ingest_r r;
    struct msg_ingest_remote v[3] = {to("a@one.test"), to("b@one.test"), to("c@two.test")};
    struct span id = op();
    OK(send_as(id, &plain, v, 3, 5, &r));
    assert_int_equal(r.results.n, 1);
    assert_int_equal(n_told, 2);
    assert_true(span_eq(told[0].domain, SPAN("one.test")) && span_eq(told[1].domain, SPAN("two.test")));
    OK(send_as(id, &plain, v, 3, 5, &r)); /* the same again: nothing more */
    assert_true(r.repeated == 1 && r.results.n == 1 && sql("SELECT count(*) FROM queue_rcpt") == 3);
    assert_int_equal(sql("SELECT refs FROM blob"), 2);
    struct msg_queue_lease_r l = lease("one.test", 10, 10, RELAY);
    assert_true(l.messages.n == 1 && l.rcpts.n == 2 && l.next_due_ms == 0);
    assert_true(span_eq(l.messages.v[0].sender, SPAN("jon@example.org")) && l.messages.v[0].account == 7 && l.messages.v[0].trace.n == 12);
    assert_true(span_eq(l.rcpts.v[1].address, SPAN("b@one.test")));
    assert_int_equal(lease("one.test", 10, 10, RELAY).rcpts.n, 0); /* leased already */
    struct msg_queue_read_r text;
    f = (struct fail){0};
    assert_int_equal(store_queue_read(s, &(struct msg_queue_read){.qid = l.messages.v[0].qid, .offset = 14, .length = 99}, &text, &mem, &f), 0);
    assert_true(text.size == 18 && span_eq(text.data, SPAN("hi\r\n"))); /* neither Return-Path nor Delivered-To */
    OK(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, RELAY));
    if (says_what_is_cached())
        assert_true(span_eq(begun.begun.v[0].text, SPAN("Subject: x\r\n\r\nhi\r\n")));
    else
        assert_int_equal(begun.begun.v[0].text.n, 0);
    OK(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, RELAY)); /* at another place */
    assert_string_equal(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, SECOND), "refused");
    assert_string_equal(attempt(l.messages.v[0].qid + 9, l.rcpts.v[0].rid, RELAY), "refused"); /* of another message */
    OK(result(l.rcpts.v[0].rid, QUEUE_DELIVERED, 0, RELAY));
    OK(result(l.rcpts.v[0].rid, QUEUE_FAILED, 0, RELAY)); /* done already: stays so */
    assert_int_equal(reports_told, 0);
    OK(result(l.rcpts.v[1].rid, QUEUE_DELIVERED, 0, RELAY));
    l = lease("two.test", 10, 10, RELAY);
    OK(result(l.rcpts.v[0].rid, QUEUE_DELIVERED, 0, RELAY));
    assert_int_equal(sql("SELECT (SELECT count(*) FROM queue_rcpt) + (SELECT count(*) FROM queue_message)"), 0);
    assert_int_equal(sql("SELECT refs FROM blob"), 1); /* the local one's */
    assert_int_equal(sql("SELECT count(*) FROM event"), 6);
    clean();
}

static void fresh_before_old(void **state)
{
    send("old@one.test");
    struct msg_queue_lease_r l = lease("one.test", 1, 1, RELAY);
    OK(result(l.rcpts.v[0].rid, QUEUE_DEFERRED, clock_now_ms() + 600000, RELAY));
    l = lease("one.test", 9, 9, RELAY);
    assert_true(l.rcpts.n == 0 && l.next_due_ms > clock_now_ms() + 500000);
    n_told = 0;
    send("new@one.test"); /* earlier than what relay knows of */
    assert_int_equal(n_told, 1);
    pass(700);
    l = lease("one.test", 1, 1, RELAY);
    assert_true(span_eq(l.rcpts.v[0].address, SPAN("new@one.test")) && l.next_due_ms <= clock_now_ms() && l.next_due_ms != 0);
    l = lease("one.test", 1, 1, RELAY);
    assert_true(span_eq(l.rcpts.v[0].address, SPAN("old@one.test")) && l.rcpts.v[0].tries == 1 && l.next_due_ms == 0);
}

static void domains(void **state)
{
    struct msg_queue_domains_r d;
    struct msg_queue_suspend_r u;
    send("a@b.test"), send("b@b.test"), send("c@a.test");
    OK(DO(queue_domains, RELAY, &d, .after = SPAN_NONE));
    assert_true(d.domains.n == 2 && d.more == 0 && span_eq(d.domains.v[0].domain, SPAN("a.test")) && d.domains.v[1].waiting == 2);
    assert_true(d.domains.v[1].due_ms <= clock_now_ms() && d.domains.v[1].suspended == 0);
    int64_t expires = sql("SELECT max(expires_ms) FROM queue_rcpt WHERE domain = x'622e74657374'");
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("b.test"), .on = 1));
    assert_int_equal(u.waiting, 2);
    again();
    assert_int_equal(lease("b.test", 9, 9, RELAY).rcpts.n, 0);
    OK(DO(queue_domains, RELAY, &d, .after = SPAN("a.test")));
    assert_true(d.domains.n == 1 && d.domains.v[0].suspended == 1);
    pass(100000);
    n_told = 0;
    OK(DO(queue_suspend, 0, &u, .domain = SPAN("b.test"), .on = 0));
    assert_int_equal(n_told, 0); /* relay knows that it is due, from the list */
    struct msg_queue_lease_r l = lease("b.test", 9, 9, RELAY);
    assert_true(l.rcpts.n == 2);
    assert_true(sql("SELECT max(expires_ms) FROM queue_rcpt WHERE domain = x'622e74657374'") - expires >= 100000000); /* did not age */
}

/* REL-03: each possible second copy is counted and told. */
static void relay_dies(void **state)
{
    send("a@one.test"), send("b@one.test");
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    OK(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, RELAY));
    again(); /* we die, relay does not: what it tries is not leased to anybody, what it has not begun is free */
    assert_string_equal(attempt(l.messages.v[1].qid, l.rcpts.v[1].rid, RELAY), "refused");
    OK(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, RELAY)); /* its question repeated */
    assert_int_equal(lease("one.test", 9, 9, RELAY).rcpts.n, 1);
    struct store_write w = {.id = (enum msg_id)STORE_QUEUE_PEER, .account = SECOND};
    assert_int_equal(store_wait(s, &w), 0);
    l = lease("one.test", 9, 9, SECOND);
    assert_int_equal(l.rcpts.n, 2);
    uint32_t maybe = l.rcpts.v[0].maybe_sent + l.rcpts.v[1].maybe_sent;
    assert_int_equal(maybe, 1);
    OK(result(l.rcpts.v[0].rid, QUEUE_FAILED, 0, RELAY)); /* from beyond the grave */
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 2);
    struct msg_queue_return ret = {.lease = l.lease, .rids = {&(struct msg_queue_rid){l.rcpts.v[0].rid}, 1}};
    assert_int_equal(store_testing_write(s, MSG_ID_queue_return, RELAY, &ret, NULL, &mem, &f), 0); /* not its own */
    assert_int_equal(lease("one.test", 9, 9, SECOND).rcpts.n, 0);
    assert_int_equal(store_testing_write(s, MSG_ID_queue_return, SECOND, &ret, NULL, &mem, &f), 0);
    assert_int_equal(lease("one.test", 9, 9, SECOND).rcpts.n, 1);
    clean();
}

/* An attempt that is taken back leaves nothing behind: no try, nothing in doubt, due as before; but it stands in the story. */
static void not_begun(void **state)
{
    send("a@one.test");
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    OK(attempt(l.messages.v[0].qid, l.rcpts.v[0].rid, RELAY));
    OK(result(l.rcpts.v[0].rid, QUEUE_UNTRIED, 0, RELAY));
    assert_int_equal(sql("SELECT count(*) FROM event"), 3);
    struct store_write w = {.id = (enum msg_id)STORE_QUEUE_PEER, .account = SECOND};
    assert_int_equal(store_wait(s, &w), 0);
    l = lease("one.test", 9, 9, SECOND);
    assert_int_equal(l.rcpts.n, 1);
    assert_true(l.rcpts.v[0].tries == 0 && l.rcpts.v[0].maybe_sent == 0);
    struct msg_queue_note_r r;
    struct msg_queue_done d = {.rid = l.rcpts.v[0].rid, .place = 1, .outcome = QUEUE_DELIVERED};
    assert_string_equal(DO(queue_note, SECOND, &r, .places = {&place, 1}, .done = {&d, 1}), "5.5.4");
    clean();
}

/* Of several messages in one note each stands for itself; what is told of one is behind its attempt. */
static void many_at_once(void **state)
{
    struct msg_ingest_r in;
    struct msg_ingest_remote v[2] = {to("b@one.test"), to("c@one.test")};
    send("a@one.test");
    OK(send_as(op(), &plain, v, 2, 0, &in));
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    assert_true(l.messages.n == 2 && l.rcpts.n == 3);
    uint64_t qid = l.messages.v[1].qid;
    struct msg_queue_place places[2] = {place, place};
    struct msg_queue_try tries[4] = {{.qid = qid, .rid = l.rcpts.v[1].rid}, {.qid = qid, .rid = l.rcpts.v[2].rid, .place = 1},
                                     {.qid = 999, .rid = 1000}, {.qid = l.messages.v[0].qid, .rid = l.rcpts.v[0].rid}};
    struct msg_queue_done done[2] = {{.rid = l.rcpts.v[0].rid, .outcome = QUEUE_DELIVERED},
                                     {.rid = l.rcpts.v[1].rid, .outcome = QUEUE_DEFERRED, .due_ms = clock_now_ms() + 60000}};
    OK(DO(queue_note, RELAY, &begun, .places = {places, 2}, .tries = {tries, 4}, .done = {done, 2}));
    assert_int_equal(begun.begun.n, 4); /* two sessions have recipients of the second message */
    assert_true(begun.begun.v[0].qid == qid && begun.begun.v[0].refused == 0 && begun.begun.v[1].qid == qid && begun.begun.v[1].refused == 0);
    assert_true(begun.begun.v[2].refused == 1 && begun.begun.v[2].text.n == 0 && begun.begun.v[3].refused == 0);
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 2);
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt WHERE trying = 77"), 1);
    OK(result(l.rcpts.v[2].rid, QUEUE_DELIVERED, 0, RELAY));
    clean();
}

/* The store dies while an attempt is on its way, and its successor leases the recipient to another session of the same relay
 * before the first one asks again: one of the two may hand the message over, not both. */
static void one_session_only(void **state)
{
    send("a@one.test");
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    uint64_t first = l.lease, qid = l.messages.v[0].qid, rid = l.rcpts.v[0].rid;
    again();
    l = lease("one.test", 9, 9, RELAY);
    assert_int_equal(l.rcpts.n, 1);
    uint64_t second = l.lease;
    place.lease = first;
    assert_string_equal(attempt(qid, rid, RELAY), "refused");
    OK(result(rid, QUEUE_DELIVERED, 0, RELAY)); /* nor does what it says count */
    place.lease = second;
    OK(attempt(qid, rid, RELAY));
    OK(attempt(qid, rid, RELAY)); /* told again */
    place.lease = first;
    assert_string_equal(attempt(qid, rid, RELAY), "refused");

    /* the store dies once more: now the attempt says whose it is, for no other session gets it */
    again();
    assert_int_equal(lease("one.test", 9, 9, RELAY).rcpts.n, 0);
    place.lease = second;
    OK(attempt(qid, rid, RELAY));
    OK(result(rid, QUEUE_DELIVERED, 0, RELAY));
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 0);
    clean();
}

static void reports(void **state)
{
    struct store_report rep;
    int64_t wait_ms;
    struct msg_ingest_r r;
    struct msg_ingest_remote v[3] = {to("a@one.test"), to("b@one.test"), to("c@one.test")};
    v[1].notify = DSN_NEVER;
    v[2].notify = DSN_SUCCESS | DSN_FAILURE;
    OK(send_as(op(), &plain, v, 3, 0, &r));
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    for (int i = 0; i < 3; i++)
        OK(result(l.rcpts.v[i].rid, i < 2 ? QUEUE_FAILED : QUEUE_DELIVERED, 0, RELAY));
    assert_int_equal(reports_told, 2);
    assert_int_equal(store_report_next(s, &rep, &wait_ms, &mem, &f), 0);
    assert_true(wait_ms > 0 && wait_ms <= 2000);
    pass(3);
    again();
    assert_int_equal(store_report_next(s, &rep, &wait_ms, &mem, &f), 1);
    assert_true(rep.n == 2 && rep.rows[0].action == DSN_FAILED && rep.rows[1].action == DSN_RELAYED && span_eq(rep.report, SPAN("jon@example.org")));
    /* the text is there as long as a report may want it */
    struct msg_queue_read_r text;
    assert_int_equal(store_queue_read(s, &(struct msg_queue_read){.qid = rep.qid, .length = 99}, &text, &mem, &f), 0);
    struct store_queue_done done[2] = {{rep.rows[0].rid, rep.rows[0].action}, {rep.rows[1].rid, rep.rows[1].action}};
    struct store_extra x = {.keywords = SPAN("$bounce"), .done = done, .n_done = 2, .about = rep.qid};
    struct msg_ingest_target t = {.account = 7, .address = SPAN("jon@example.org")};
    struct msg_ingest in = {.op = op(), .size = 6, .body = SPAN("report"), .file = -1, .targets = {&t, 1}};
    OK(code(store_testing_write_extra(s, MSG_ID_ingest, 0, &in, &x, &r, &mem, &f)));
    assert_int_equal(sql("SELECT (SELECT count(*) FROM queue_report) + (SELECT count(*) FROM queue_message)"), 0);
    assert_int_equal(store_report_next(s, &rep, &wait_ms, &mem, &f), 0);
    assert_int_equal(wait_ms, -1);
    struct msg_member_scan_r rows;
    OK(GET(member_scan, 7, &rows, .mailbox = r.results.v[0].mailbox, .first = 1, .last = 9, .limit = 9));
    assert_true(rows.rows.n == 1 && span_eq_nocase(rows.rows.v[0].keywords, SPAN("$bounce")));
    clean();
}

static void delayed_once_then_expired(void **state)
{
    send("a@one.test");
    pass(5 * 3600);
    for (int i = 0; i < 3; i++) {
        struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
        assert_int_equal(l.rcpts.n, 1);
        assert_int_equal(l.rcpts.v[0].tries, i);
        OK(result(l.rcpts.v[0].rid, QUEUE_DEFERRED, clock_now_ms() + 1000, RELAY));
        assert_int_equal(sql("SELECT count(*) FROM queue_report WHERE action = 1"), 1);
        pass(i == 1 ? 5 * 86400 : 2);
    }
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 0); /* the third try came too late */
    assert_int_equal(sql("SELECT count(*) FROM queue_report WHERE action = 0"), 1);
    assert_int_equal(sql("SELECT count(*) FROM queue_message"), 1);
    clean();
}

/* Nobody tries it, for its destination is left alone: it expires all the same. Nothing else does. */
static void forgotten(void **state)
{
    send("a@one.test");
    pass(5 * 86400 - 100);
    send("b@one.test");
    pass(4000);
    struct store_write w = {.id = (enum msg_id)STORE_QUEUE_TIDY};
    assert_int_equal(store_wait(s, &w), 0);
    assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 1);
    assert_int_equal(sql("SELECT count(*) FROM queue_report"), 1);
    clean();
}

/* REL-06: a wall clock that jumps, while we run or over a restart, makes nothing too old and nothing due. */
static void clock_jumps(void **state)
{
    static const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    send("a@one.test");
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    OK(result(l.rcpts.v[0].rid, QUEUE_DEFERRED, clock_now_ms() + 600000, RELAY));
    for (int i = 0; i < 4; i++) {
        page.wall_offset_ms += i % 2 == 0 ? year_ms : -2 * year_ms;
        l = lease("one.test", 9, 9, RELAY);
        assert_int_equal(l.rcpts.n, 0);
        assert_true(l.next_due_ms > clock_now_ms() + 590000 && l.next_due_ms <= clock_now_ms() + 600000); /* as clocks now say */
        if (i == 1 || i == 2) {
            struct store_write w = {.id = (enum msg_id)STORE_QUEUE_TIDY};
            assert_int_equal(store_wait(s, &w), 0);
            again();
        }
    }
    page.wall_offset_ms += year_ms; /* unseen: while we were away */
    again();
    l = lease("one.test", 9, 9, RELAY);
    if (l.rcpts.n == 1) { /* a day at most has passed for it */
        OK(result(l.rcpts.v[0].rid, QUEUE_DEFERRED, clock_now_ms() + 600000, RELAY));
        assert_int_equal(sql("SELECT count(*) FROM queue_rcpt"), 1);
    }
    pass(700);
    assert_int_equal(lease("one.test", 9, 9, RELAY).rcpts.n, 1);
}

static void people(void **state)
{
    struct msg_queue_list_r l;
    struct msg_queue_change_r c;
    for (int i = 0; i < 10; i++)
        send((const char *)arena_printf(&mem, "u%d@%s.test", i, i % 2 ? "odd" : "even").p);
    f = (struct fail){0};
    assert_int_equal(store_queue_list(s, &(struct msg_queue_list){.domain = SPAN("odd.test"), .limit = 3}, &l, &mem, &f), 0);
    assert_true(l.rows.n == 3 && l.next != 0 && span_eq(l.rows.v[2].address, SPAN("u5@odd.test")));
    uint64_t next = l.next;
    assert_int_equal(store_queue_list(s, &(struct msg_queue_list){.address = SPAN("*@ODD.test"), .limit = 3, .after = next}, &l, &mem, &f), 0);
    assert_true(l.rows.n == 2 && l.next == 0);
    assert_string_equal(DO(queue_change, 0, &c, .action = QUEUE_DROP), "5.5.4"); /* all, by mistake */
    OK(DO(queue_change, 0, &c, .action = QUEUE_HOLD, .domain = SPAN("odd.test"), .until_ms = clock_now_ms() + 60000));
    assert_int_equal(c.changed, 5);
    assert_int_equal(lease("odd.test", 9, 9, RELAY).rcpts.n, 0);
    pass(61);
    struct store_write w = {.id = (enum msg_id)STORE_QUEUE_TIDY};
    assert_int_equal(store_wait(s, &w), 0);
    assert_int_equal(lease("odd.test", 9, 9, RELAY).rcpts.n, 5);
    assert_int_equal(store_queue_list(s, &(struct msg_queue_list){.state = 1 + QUEUE_LEASED}, &l, &mem, &f), 0);
    assert_int_equal(l.rows.n, 5);
    OK(DO(queue_change, 0, &c, .action = QUEUE_HOLD, .all = 1));
    assert_int_equal(c.changed, 10);
    OK(DO(queue_change, 0, &c, .action = QUEUE_RELEASE, .address = SPAN("u2@even.test")));
    assert_int_equal(c.changed, 1);
    OK(DO(queue_change, 0, &c, .action = QUEUE_ROUTE, .address = SPAN("u2@even.test"), .route = SPAN("192.0.2.9:25")));
    struct msg_queue_lease_r one = lease("even.test", 9, 9, RELAY);
    assert_true(one.rcpts.n == 1 && span_eq(one.messages.v[0].route, SPAN("192.0.2.9:25")));
    OK(DO(queue_change, 0, &c, .action = QUEUE_BOUNCE, .address = SPAN("u4@even.test")));
    OK(DO(queue_change, 0, &c, .action = QUEUE_DROP, .sender = SPAN("*@example.org")));
    assert_int_equal(c.changed, 9);
    assert_int_equal(sql("SELECT count(*) FROM queue_report"), 1);
    assert_int_equal(sql("SELECT count(*) FROM blob"), 1);
    clean();
}

static void sending_is_counted(void **state)
{
    struct msg_ingest_r r;
    struct msg_send_check_r c;
    int64_t before[2] = {LIMIT(SEND_MESSAGES), LIMIT(SEND_NEW_RCPTS)};
    limit_value[LIMIT_SEND_MESSAGES] = 4;
    limit_value[LIMIT_SEND_NEW_RCPTS] = 2;
    send("a@one.test"), send("A@one.test"), send("b@one.test");
    assert_int_equal(store_send_check(s, 7, &(struct msg_send_check){.address = SPAN("b@one.test")}, &c, &f), 0);
    assert_int_equal(c.refused, SEND_OK);
    assert_int_equal(store_send_check(s, 7, &(struct msg_send_check){.address = SPAN("c@one.test")}, &c, &f), 0);
    assert_true(c.refused == SEND_NEW_RCPTS && c.again_ms > clock_now_ms() && c.again_ms <= clock_now_ms() + 86400000);
    assert_int_equal(store_send_check(s, 8, &(struct msg_send_check){.address = SPAN("c@one.test")}, &c, &f), 0);
    assert_int_equal(c.refused, SEND_OK);
    struct msg_ingest_remote one = to("c@one.test");
    assert_string_equal(send_as(op(), &plain, &one, 1, 0, &r), "4.7.1");
    send("a@one.test");
    one = to("a@one.test");
    assert_string_equal(send_as(op(), &plain, &one, 1, 0, &r), "4.7.1");
    assert_int_equal(store_send_check(s, 7, &(struct msg_send_check){.address = SPAN("a@one.test")}, &c, &f), 0);
    assert_int_equal(c.refused, SEND_MESSAGES);
    pass(86400);
    send("c@one.test");
    limit_value[LIMIT_SEND_MESSAGES] = before[0];
    limit_value[LIMIT_SEND_NEW_RCPTS] = before[1];
    clean();
}

static void forwards(void **state)
{
    struct msg_ingest_r r;
    struct store_queue_as as = {.sender = SPAN("SRS0=x@example.org"), .report = SPAN("admin@example.org"), .account = 1,
                                .before = SPAN("Delivered-To: list@example.org\r\n")};
    struct msg_ingest_remote v[2] = {to("a@one.test"), to("b@one.test")};
    v[0].via = v[1].via = SPAN("list@example.org");
    OK(send_as(op(), &as, v, 2, 5, &r));
    struct msg_queue_lease_r l = lease("one.test", 9, 9, RELAY);
    assert_true(l.messages.n == 1 && l.rcpts.n == 2 && span_eq(l.messages.v[0].sender, as.sender));
    struct msg_queue_read_r text;
    assert_int_equal(store_queue_read(s, &(struct msg_queue_read){.qid = l.messages.v[0].qid, .length = 999}, &text, &mem, &f), 0);
    assert_true(span_eq(text.data, SPAN("Delivered-To: list@example.org\r\nSubject: x\r\n\r\nhi\r\n")) && text.size == text.data.n);
    clean();
}

int main(void)
{
#define Q(fn) cmocka_unit_test_setup_teardown(fn, queue_setup, teardown)
    const struct CMUnitTest tests[] = {
        Q(one_goes_out), Q(fresh_before_old), Q(domains), Q(relay_dies), Q(one_session_only), Q(not_begun), Q(many_at_once), Q(reports), Q(delayed_once_then_expired), Q(forgotten),
        Q(clock_jumps), Q(people), Q(sending_is_counted), Q(forwards)};
    return cmocka_run_group_tests_name("store_queue", tests, NULL, NULL);
}
