/* Tests of plain connections over socket pairs. The peer's side is driven by a coroutine too. */
#include "run/conn.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/conn_inner.h"
#include "run/coro_testing.h"

/* ---- a session at one end, a peer at the other ---- */

static struct conn *conn;
static int peer_fd;
static int alive;
static struct coro *session;

static void end_one(void)
{
    if (--alive == 0)
        loop_stop();
}

static void run_pair(coro_fn *session_fn, coro_fn *peer_fn, void *arg)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    struct conn_addr addr;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(25)};
    conn_addr_from(&addr, &sa);
    assert_int_equal(loop_init(), 0);
    conn = conn_new(fd[0], &addr, &addr);
    conn_limit(conn, 3000);
    peer_fd = fd[1];
    alive = 2;
    session = coro_start(session_fn, arg);
    coro_start(peer_fn, arg);
    loop_run();
    conn_free(conn);
    close(peer_fd);
    loop_done();
    assert_int_equal(coro_count(), 0);
}

static void turns(int n)
{
    while (n-- > 0)
        CHECK(coro_yield() == WAIT_OK);
}

static void say(const char *z)
{
    CHECK(write(peer_fd, z, strlen(z)) == (ssize_t)strlen(z));
}

/* Reads what is there until `want` has come; at most two seconds. */
static void hear(const char *want)
{
    char got[512] = "";
    size_t n = 0;
    for (int i = 0; i < 400 && n < strlen(want); i++) {
        ssize_t r = read(peer_fd, got + n, sizeof got - 1 - n);
        if (r > 0)
            n += (size_t)r;
        else
            CHECK(coro_sleep(5) == WAIT_TIMEOUT);
    }
    got[n] = 0;
    if (strcmp(got, want) != 0)
        fprintf(stderr, "got \"%s\", want \"%s\"\n", got, want);
    CHECK(strcmp(got, want) == 0);
}

/* ---- lines ---- */

struct line_case {
    const char *name, *input;
    size_t max, drop;
    const char *want; /* <line> each; L: too long, then d: rest dropped or D: drop limit reached; C: closed; (rest) */
    bool bytewise;
};

static char trail[512];

static void add_trail(struct span s)
{
    size_t n = strlen(trail);
    CHECK(n + s.n < sizeof trail);
    memcpy(trail + n, s.p, s.n);
    trail[n + s.n] = 0;
}

static void read_lines(void *arg)
{
    const struct line_case *t = arg;
    struct span line;
    int r;
    trail[0] = 0;
    while ((r = conn_line(conn, t->max, &line)) == WAIT_OK || r == CONN_LINE_LONG)
        if (r == WAIT_OK) {
            add_trail(SPAN("<"));
            add_trail(line);
            add_trail(SPAN(">"));
        } else {
            add_trail(SPAN("L"));
            r = conn_drop_line(conn, t->drop);
            add_trail(r == WAIT_OK ? SPAN("d") : r == CONN_LINE_LONG ? SPAN("D") : SPAN("c"));
        }
    CHECK(r == WAIT_CLOSED);
    CHECK(!conn_dead(conn)); /* only the input has ended */
    add_trail(SPAN("C("));
    add_trail(conn_input(conn).n > 0 ? conn_input(conn) : SPAN(""));
    add_trail(SPAN(")"));
    end_one();
}

static void send_lines(void *arg)
{
    const struct line_case *t = arg;
    size_t step = t->bytewise ? 1 : strlen(t->input);
    for (size_t i = 0; i < strlen(t->input); i += step) {
        CHECK(write(peer_fd, t->input + i, step) == (ssize_t)step);
        if (t->bytewise)
            turns(2);
    }
    shutdown(peer_fd, SHUT_WR);
    end_one();
}

static void test_lines(void **state)
{
    static const struct line_case table[] = {
        {"nothing", "", 10, 10, "C()"},
        {"lines", "HELO a\r\nNOOP\n\n\r\n", 10, 10, "<HELO a\r\n><NOOP\n><\n><\r\n>C()"},
        {"end in the middle", "QUIT\r\nNOO", 10, 10, "<QUIT\r\n>C(NOO)"},
        {"as long as allowed", "1234\n12345\n", 5, 9, "<1234\n>LdC()"},
        {"too long", "123456789\nx\n", 5, 9, "Ld<x\n>C()"},
        {"too long, end in the middle", "123456789", 5, 9, "LcC()"},
        {"longer than what is dropped", "123456789abc\nx\n", 5, 4, "LD<abc\n><x\n>C()"},
        {"drop limit just reached", "12345678\nx\n", 5, 4, "Ld<x\n>C()"},
        {"only the line feed is too much", "12345\nx\n", 5, 4, "Ld<x\n>C()"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct line_case t = table[i];
            t.bytewise = bytewise;
            run_pair(read_lines, send_lines, &t);
            if (strcmp(trail, t.want) != 0)
                fail_msg("%s, %s: got %s, want %s", t.name, bytewise ? "bytewise" : "whole", trail, t.want);
        }
}

/* A line as long as the buffer, behind another one, so that the buffer must be moved. */
static void read_full_lines(void *arg)
{
    struct span line;
    for (int i = 0; i < 3; i++) {
        CHECK(conn_line(conn, 16384, &line) == WAIT_OK);
        CHECK(line.n == 5);
        CHECK(conn_line(conn, 16384, &line) == WAIT_OK);
        CHECK(line.n == 16384 && line.p[0] == 'x' && line.p[16382] == 'x');
    }
    CHECK(conn_line(conn, 16384, &line) == CONN_LINE_LONG);
    while (conn_fill(conn) == WAIT_OK)
        ;
    CHECK(conn_input(conn).n == 16384); /* full: no more is taken */
    conn_consume(conn, 16384);
    CHECK(conn_fill(conn) == WAIT_OK);
    end_one();
}

static void send_full_lines(void *arg)
{
    static char big[3 * 16384];
    memset(big, 'x', sizeof big);
    big[16383] = '\n';
    for (int i = 0; i < 3; i++) {
        say("NOOP\n");
        for (size_t at = 0; at < 16384; at += 4096) {
            CHECK(write(peer_fd, big + at, 4096) == 4096);
            turns(3);
        }
    }
    CHECK(write(peer_fd, big + 16384, 2 * 16384) == 2 * 16384);
    turns(20);
    say("x");
    end_one();
}

static void test_full_lines(void **state)
{
    run_pair(read_full_lines, send_full_lines, NULL);
}

/* ---- flushing ---- */

static void answer(void *arg)
{
    struct span line;
    CHECK(conn_writez(conn, "220 hello\r\n") == WAIT_OK); /* no flush: the wait does it */
    while (conn_line(conn, 100, &line) == WAIT_OK) {
        CHECK(conn_printf(conn, "250 %.*s", SPAN_ARGS(line)) == WAIT_OK);
        CHECK(line.n == 5); /* borrowed across output */
        if (line.p[0] == 'Q')
            break;
    }
    CHECK(conn_flush(conn) == WAIT_OK);
    CHECK(conn->in == NULL || conn_input(conn).n == 0);
    end_one();
}

static void ask(void *arg)
{
    hear("220 hello\r\n");
    CHECK(conn->in == NULL && conn->out == NULL); /* an idle connection holds no buffer */
    say("one\r\ntwo\r\nsix\r\n");
    char got[200];
    ssize_t n;
    while ((n = read(peer_fd, got, sizeof got)) < 0)
        turns(1);
    CHECK(n == 27); /* RFC 2920: the answers of a group in one piece */
    say("QUI\r\n");
    shutdown(peer_fd, SHUT_WR);
    hear("250 QUI\r\n");
    end_one();
}

static void test_flush_before_wait(void **state)
{
    run_pair(answer, ask, NULL);
}

/* Input, FIN and all of it in one edge: the short read must not make us wait for another edge. */
static void read_then_end(void *arg)
{
    turns(5);
    CHECK(conn_fill(conn) == WAIT_OK);
    CHECK(conn_input(conn).n == 3);
    int64_t began = clock_mono_ms();
    CHECK(conn_fill(conn) == WAIT_CLOSED);
    CHECK(clock_mono_ms() - began < 1000);
    CHECK(conn_input(conn).n == 3);
    CHECK(conn_writez(conn, "still here\n") == WAIT_OK); /* half closed: answers still go */
    CHECK(conn_fill(conn) == WAIT_CLOSED);               /* and are sent before the end is told */
    CHECK(conn->out == NULL);
    end_one();
}

static void write_and_end(void *arg)
{
    say("abc");
    shutdown(peer_fd, SHUT_WR);
    hear("still here\n");
    end_one();
}

static void test_rdhup(void **state)
{
    run_pair(read_then_end, write_and_end, NULL);
}

static void find_it_gone(void *arg)
{
    CHECK(coro_sleep(20) == WAIT_TIMEOUT);
    CHECK(conn_writez(conn, "x") == WAIT_OK);
    CHECK(conn_flush(conn) == WAIT_CLOSED); /* and no SIGPIPE */
    CHECK(conn_dead(conn));
    struct span line;
    CHECK(conn_line(conn, 10, &line) == WAIT_CLOSED);
    CHECK(conn_fill(conn) == WAIT_CLOSED);
    CHECK(conn_drop_line(conn, 10) == WAIT_CLOSED);
    CHECK(conn_writez(conn, "x") == WAIT_CLOSED);
    CHECK(conn_printf(conn, "x") == WAIT_CLOSED);
    CHECK(conn_flush(conn) == WAIT_CLOSED);
    end_one();
}

static void go_away(void *arg)
{
    say("NOOP\r\n");
    close(peer_fd);
    peer_fd = -1;
    end_one();
}

static void test_gone(void **state)
{
    run_pair(find_it_gone, go_away, NULL);
}

/* ---- large output ---- */

enum { LARGE = 1000003 };
static char large[LARGE];

static void write_large(void *arg)
{
    size_t step = *(size_t *)arg;
    for (size_t at = 0; at < LARGE; at += step)
        CHECK(conn_write(conn, span_of(large + at, MIN_OF(step, LARGE - at))) == WAIT_OK);
    CHECK(conn_flush(conn) == WAIT_OK);
    CHECK(conn->out == NULL);
    end_one();
}

static void read_large(void *arg)
{
    char got[50000];
    size_t at = 0;
    while (at < LARGE) {
        ssize_t n = read(peer_fd, got, sizeof got);
        if (n < 0) {
            turns(1);
            continue;
        }
        CHECK(memcmp(got, large + at, (size_t)n) == 0);
        at += (size_t)n;
    }
    end_one();
}

static void test_large(void **state)
{
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7 + i / 251);
    size_t steps[] = {1, 77, 4096, 16383, 16384, 16385, 100000, LARGE};
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        run_pair(write_large, read_large, &steps[i]);
}

static void write_to_nobody(void *arg)
{
    conn_limit(conn, 50);
    int r = WAIT_OK;
    while (r == WAIT_OK)
        r = conn_write(conn, span_of(large, *(size_t *)arg));
    CHECK(r == WAIT_TIMEOUT);
    CHECK(conn_dead(conn));
    end_one();
}

static void read_nothing(void *arg)
{
    end_one();
}

static void test_write_timeout(void **state)
{
    size_t steps[] = {100, LARGE};
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        run_pair(write_to_nobody, read_nothing, &steps[i]);
}

static void print_too_much(void *arg)
{
    char big[4098];
    memset(big, 'x', sizeof big - 1);
    big[4097] = 0;
    CHECK(conn_printf(conn, "%s", big + 1) == WAIT_OK);
    for (int i = 0; i < 10; i++)
        CHECK(conn_printf(conn, "%s", big + 1) == WAIT_OK);
    CHECK(conn_printf(conn, "%s", big) == WAIT_CLOSED); /* not cut: refused */
    CHECK(conn_dead(conn));
    end_one();
}

static void test_printf_limit(void **state)
{
    run_pair(print_too_much, read_nothing, NULL);
}

/* ---- time and cancel ---- */

static void wait_for_line(void *arg)
{
    struct span line;
    conn_limit(conn, 60);
    int64_t began = clock_mono_ms();
    CHECK(conn_line(conn, 1000, &line) == WAIT_TIMEOUT);
    CHECK(clock_mono_ms() - began >= 60);
    CHECK(!conn_dead(conn)); /* 421 can still be said */
    end_one();
}

static void trickle(void *arg)
{
    while (alive == 2) { /* a byte each 5 ms buys no time */
        say("x");
        CHECK(coro_sleep(5) == WAIT_TIMEOUT);
    }
    end_one();
}

static void test_line_deadline(void **state)
{
    run_pair(wait_for_line, trickle, NULL);
}

static void be_cancelled(void *arg)
{
    struct span line;
    CHECK(conn_line(conn, 1000, &line) == WAIT_CANCELLED);
    CHECK(conn_writez(conn, "421 bye\r\n") == WAIT_OK);
    CHECK(conn_flush(conn) == WAIT_OK); /* goes without waiting */
    CHECK(conn_line(conn, 1000, &line) == WAIT_CANCELLED); /* although a line is at hand in the socket */
    CHECK(conn_writez(conn, "last") == WAIT_OK);           /* sent by conn_free */
    end_one();
}

static void cancel_session(void *arg)
{
    turns(3);
    say("NOOP\r\n");
    coro_cancel(session);
    hear("421 bye\r\n");
    end_one();
}

static void test_cancel(void **state)
{
    run_pair(be_cancelled, cancel_session, NULL);
}

/* Whoever never has to wait for its peer lets others run all the same. */
static void read_flood(void *arg)
{
    int *turns_of_others = arg;
    int fills = 0;
    do {
        CHECK(write(peer_fd, large, 16384) > 0); /* so that there is always something to read */
        int r = conn_fill(conn);
        CHECK(r == WAIT_OK || coro_cancelled());
        conn_consume(conn, conn_input(conn).n);
        fills++;
    } while (!coro_cancelled() && fills < 5000);
    CHECK(coro_cancelled());
    CHECK(*turns_of_others * 20 >= fills);
    CHECK(conn_fill(conn) == WAIT_CANCELLED); /* although there is input */
    end_one();
}

static void take_turns(void *arg)
{
    int *n = arg;
    for (*n = 0; *n < 100; ++*n)
        turns(1);
    coro_cancel(session);
    end_one();
}

static void test_flood(void **state)
{
    int n = 0;
    run_pair(read_flood, take_turns, &n);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    struct conn_addr a;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201), .sin_port = htons(1234)};
    conn_addr_from(&a, &v4);
    assert_string_equal(a.text, "192.0.2.1");
    assert_true(a.v4);
    assert_int_equal(a.port, 1234);

    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)};
    memcpy(&v6.sin6_addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    conn_addr_from(&a, &v6);
    assert_string_equal(a.text, "2001:db8::1");
    assert_false(a.v4);

    memcpy(&v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\2", 16);
    conn_addr_from(&a, &v6);
    assert_string_equal(a.text, "127.0.0.2");
    assert_true(a.v4);
}

static void test_loopback(void **state)
{
    static const struct {
        uint32_t peer, local;
        bool want;
    } table[] = {{0x7f000001, 0x7f000001, true}, {0x7f000102, 0x7f000001, true}, {0xc0000201, 0x7f000001, false},
                 {0x7f000001, 0xc0000201, false}};
    assert_int_equal(loop_init(), 0);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct sockaddr_in p = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(table[i].peer)};
        struct sockaddr_in l = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(table[i].local)};
        struct conn_addr peer, local;
        conn_addr_from(&peer, &p);
        conn_addr_from(&local, &l);
        struct conn *c = conn_new(socket(AF_UNIX, SOCK_STREAM, 0), &peer, &local);
        assert_int_equal(conn_loopback(c), table[i].want);
        assert_memory_equal(conn_peer(c)->ip, peer.ip, 16);
        conn_free(c);
    }
    conn_free(NULL);
    loop_done();
    printf("a connection's struct: %zu bytes\n", sizeof(struct conn));
}

/* ---- conn_wait: input or a wake, whichever comes first ---- */

static void wait_twice(void *arg)
{
    bool input = true;
    CHECK(conn_writez(conn, "hello") == WAIT_OK && conn_flush(conn) == WAIT_OK);
    CHECK(conn_wait(conn, &input) == WAIT_OK && !input); /* woken by the peer's coroutine */
    CHECK(conn_writez(conn, "woken") == WAIT_OK && conn_flush(conn) == WAIT_OK);
    CHECK(conn_wait(conn, &input) == WAIT_OK && input);
    CHECK(span_eq(conn_input(conn), SPAN("DONE\r\n")));
    CHECK(conn_wait(conn, &input) == WAIT_OK && input); /* it is still there */
    conn_consume(conn, conn_input(conn).n);
    conn_limit(conn, 30);
    CHECK(conn_wait(conn, &input) == WAIT_TIMEOUT && !input);
    conn_limit(conn, 3000);
    CHECK(conn_writez(conn, "late") == WAIT_OK && conn_flush(conn) == WAIT_OK);
    CHECK(conn_wait(conn, &input) == WAIT_CLOSED);
    end_one();
}

static void wake_and_say(void *arg)
{
    hear("hello");
    coro_wake(session);
    hear("woken");
    say("DONE\r\n");
    hear("late");
    CHECK(shutdown(peer_fd, SHUT_WR) == 0);
    end_one();
}

static void test_wait(void **state)
{
    run_pair(wait_twice, wake_and_say, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_full_lines),
        cmocka_unit_test(test_flush_before_wait), cmocka_unit_test(test_rdhup),
        cmocka_unit_test(test_gone),          cmocka_unit_test(test_large),
        cmocka_unit_test(test_write_timeout), cmocka_unit_test(test_printf_limit),
        cmocka_unit_test(test_line_deadline), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_flood),         cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_loopback),      cmocka_unit_test(test_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
