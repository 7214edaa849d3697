/* A peer that has fallen (SEC-24): whatever it sends that its row does not allow, or that is no frame, ends the channel. */
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "run/ipc_chan.h"
#include "run/ipc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

static int wire = -1; /* the hostile end */
static unsigned served, closes;

/* ---- the honest side: a store, or somebody who calls one ---- */

static void on_ingest(struct ipc_req *req)
{
    served++;
    ipc_reply(req, &(struct msg_ingest_r){.repeated = 1});
}

static struct ipc_req *kept[64];
static void on_write(struct ipc_req *req) { kept[served++] = req; } /* answered when the channel is gone */

static char big[60000];
static void on_read(struct ipc_req *req)
{
    served++;
    ipc_reply(req, &(struct msg_email_read_r){.size = 1, .data = span_of(big, sizeof big)});
}

static void on_drop(const struct ipc_peer *peer, const void *in) { served++; }

static const struct ipc_handler rows[] = {
    {.id = MSG_ID_ingest, .call = on_ingest},
    {.id = MSG_ID_spool_write, .call = on_write},
    {.id = MSG_ID_email_read, .call = on_read},
    {.id = MSG_ID_spool_drop, .post = on_drop},
    {.id = MSG_ID_session_add, .post = on_drop},
};

static void on_close(struct ipc_peer peer, bool calls) { closes++; }

static void open_wire(enum role_kind self, enum role_kind peer, bool calls, bool serves)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    wire = ends[1];
    served = closes = 0;
    ipc_self(self);
    ipc_attach(ends[0], (struct ipc_peer){peer, 0, 1}, calls, serves);
}

/* Lets the other side work, then tells whether it has hung up. */
static bool was_cut(void)
{
    char c[4096];
    ssize_t n;
    coro_sleep(2);
    while ((n = recv(wire, c, sizeof c, 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

static void close_wire(void)
{
    close(wire);
    coro_sleep(2);
    CHECK(closes == 1);
}

static void put(struct span s)
{
    CHECK(send(wire, s.p, s.n, MSG_NOSIGNAL) == (ssize_t)s.n);
}

static void put_fds(struct span s, unsigned n)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } c = {0};
    struct iovec iov = {(void *)(uintptr_t)s.p, s.n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    c.h.cmsg_level = SOL_SOCKET;
    c.h.cmsg_type = SCM_RIGHTS;
    c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
    for (unsigned i = 0; i < n; i++) {
        int fd = 0;
        memcpy(CMSG_DATA(&c.h) + i * sizeof fd, &fd, sizeof fd);
    }
    CHECK(sendmsg(wire, &m, MSG_NOSIGNAL) == (ssize_t)s.n);
}

/* ---- frames ---- */

static void frame(struct str *out, uint32_t call, unsigned id, unsigned kind, struct span body)
{
    unsigned char head[IPC_HEAD];
    ipc_code_put32(head, (uint32_t)(IPC_HEAD - 4 + body.n));
    ipc_code_put32(head + 4, call);
    ipc_code_put32(head + 8, id | kind << 16);
    str_add(out, span_of(head, sizeof head));
    str_add(out, body);
}

static struct arena mem;

static struct span message(enum msg_id id, bool reply, const void *msg)
{
    struct str s;
    str_init(&s, &mem);
    ipc_encode(&s, id, reply, msg);
    return str_span(&s);
}

static struct span framed(enum msg_id id, unsigned kind, uint32_t call, const void *msg)
{
    struct str s;
    str_init(&s, &mem);
    frame(&s, call, id, kind, message(id, kind == IPC_KIND_REPLY, msg));
    return str_span(&s);
}

static struct span raw_frame(enum msg_id id, unsigned kind, struct span body)
{
    struct str s;
    str_init(&s, &mem);
    frame(&s, 0, id, kind, body);
    return str_span(&s);
}

static const struct msg_ingest no_file = {.op = SPAN("0123456789abcdef"), .file = -1};
static const struct msg_ingest with_file = {.op = SPAN("0123456789abcdef"), .file = 0};
static const struct msg_spool_drop drop = {.op = SPAN("0123456789abcdef")};

/* ---- frames that a store must not take from front-mx ---- */

static void one_cut(const char *what, struct span bytes)
{
    open_wire(ROLE_STORE, ROLE_FRONT_MX, false, true);
    put(bytes);
    bool cut = was_cut();
    if (!cut || served != 0)
        fprintf(stderr, "taken: %s\n", what);
    CHECK(cut && served == 0);
    close_wire();
}

static void bad_frames(void)
{
    static const struct msg_rcpt_check rcpt = {.address = SPAN("a@b.test")};
    static const struct msg_member_scan scan = {.handle = SPAN("h")};
    static const struct msg_session_add add = {.handle = SPAN("h"), .account = 1};
    static const struct msg_ctl_stop stop;
    static const struct msg_watch_r watched;
    one_cut("a call for another role", framed(MSG_ID_rcpt_check, IPC_KIND_CALL, 1, &rcpt));
    one_cut("a call this peer may not make", framed(MSG_ID_member_scan, IPC_KIND_CALL, 1, &scan));
    one_cut("a session handle that auth did not tell", framed(MSG_ID_session_add, IPC_KIND_POST, 0, &add));
    one_cut("a word of master's", framed(MSG_ID_ctl_stop, IPC_KIND_POST, 0, &stop));
    one_cut("a call as a post", framed(MSG_ID_ingest, IPC_KIND_POST, 0, &no_file));
    one_cut("a post as a call", framed(MSG_ID_spool_drop, IPC_KIND_CALL, 1, &drop));
    one_cut("a post with a call id", framed(MSG_ID_spool_drop, IPC_KIND_POST, 1, &drop));
    one_cut("a reply without a call", framed(MSG_ID_watch, IPC_KIND_REPLY, 4096, &watched));
    one_cut("an unknown message", raw_frame((enum msg_id)MSG_ID_COUNT, IPC_KIND_CALL, SPAN("")));
    one_cut("an unknown kind", raw_frame(MSG_ID_ingest, IPC_KIND_COUNT, SPAN("")));
    one_cut("a length too small", SPAN("\7\0\0\0abcdefg"));
    one_cut("a length too large", SPAN("\xff\xff\xff\xff"));
    one_cut("a length just too large", SPAN("\xfd\x7f\3\0")); /* 224 KiB - 3 */
    one_cut("nothing in it", raw_frame(MSG_ID_ingest, IPC_KIND_CALL, SPAN("")));
    one_cut("a count it does not hold", raw_frame(MSG_ID_spool_drop, IPC_KIND_POST, SPAN("\xff\xff\xff\xff")));
    one_cut("a byte too much", raw_frame(MSG_ID_spool_drop, IPC_KIND_POST, SPAN("\1\0\0\0ab")));
    one_cut("a descriptor that did not come", framed(MSG_ID_ingest, IPC_KIND_CALL, 1, &with_file));
    arena_done(&mem);
}

static void bad_frames_cut(void **state) { assert_int_equal(ipc_testing_run(bad_frames), 0); }

static int lowest_free_fd(void)
{
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(fd);
    return fd;
}

static void bad_fds(void)
{
    int before = lowest_free_fd();
    static const struct {
        const struct msg_ingest *in;
        unsigned fds;
        bool fine;
    } cases[] = {{&with_file, 1, true}, {&no_file, 1, false}, {&with_file, 2, false}, {&with_file, 12, false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        open_wire(ROLE_STORE, ROLE_FRONT_MX, false, true);
        put_fds(framed(MSG_ID_ingest, IPC_KIND_CALL, 1, cases[i].in), cases[i].fds);
        CHECK(was_cut() == !cases[i].fine);
        close_wire();
    }
    CHECK(lowest_free_fd() == before);
    arena_done(&mem);
}

static void bad_fds_cut(void **state) { assert_int_equal(ipc_testing_run(bad_fds), 0); }

/* ---- flow ---- */

static void too_many_calls(void)
{
    struct msg_spool_write in = {.op = SPAN("x")};
    open_wire(ROLE_STORE, ROLE_FRONT_MX, false, true);
    for (int i = 0; i < 64; i++)
        put(framed(MSG_ID_spool_write, IPC_KIND_CALL, (uint32_t)i, &in));
    CHECK(!was_cut() && served == 64);
    put(framed(MSG_ID_spool_write, IPC_KIND_CALL, 64, &in));
    CHECK(was_cut() && served == 64);
    close_wire();
    CHECK(!ipc_idle());
    for (int i = 0; i < 64; i++) {
        CHECK(kept[i]->chan == NULL);
        ipc_reply(kept[i], &(struct msg_spool_write_r){.size = 1});
    }
    CHECK(ipc_idle());
    arena_done(&mem);
}

static void more_calls_than_credits_cut(void **state) { assert_int_equal(ipc_testing_run(too_many_calls), 0); }

static void never_reads(void)
{
    struct msg_email_read in = {.handle = SPAN("h")};
    bool cut = false;
    LIMIT(IPC_CREDITS) = 1;
    open_wire(ROLE_STORE, ROLE_FRONT_USER, false, true);
    for (int i = 0; i < 2000 && !cut; i++) {
        struct span f = framed(MSG_ID_email_read, IPC_KIND_CALL, (uint32_t)i, &in);
        cut = send(wire, f.p, f.n, MSG_NOSIGNAL) < 0;
        coro_yield();
    }
    CHECK(cut && served > 64 && served < 1000); /* what waited for it had a bound */
    close_wire();
    LIMIT(IPC_CREDITS) = 64;
    arena_done(&mem);
}

static void who_never_reads_is_cut(void **state) { assert_int_equal(ipc_testing_run(never_reads), 0); }

static void byte_by_byte(void)
{
    struct span f = framed(MSG_ID_ingest, IPC_KIND_CALL, 9, &no_file);
    open_wire(ROLE_STORE, ROLE_FRONT_MX, false, true);
    for (size_t i = 0; i < f.n; i++) {
        CHECK(served == 0);
        put(span_sub(f, i, 1));
        coro_sleep(0);
        coro_yield();
    }
    CHECK(!was_cut() && served == 1);
    put(span_sub(f, 0, 20));
    close(wire); /* in the middle of a frame */
    coro_sleep(2);
    CHECK(closes == 1 && served == 1);
    arena_done(&mem);
}

static void frames_byte_by_byte(void **state) { assert_int_equal(ipc_testing_run(byte_by_byte), 0); }

/* ---- posts ---- */

/* What lies in the socket is handled at once, without a turn of the loop. */
static void poll_now(void)
{
    static const struct msg_session_add add = {.handle = SPAN("h"), .account = 1};
    open_wire(ROLE_STORE, ROLE_AUTH, false, true);
    put(framed(MSG_ID_session_add, IPC_KIND_POST, 0, &add));
    put(framed(MSG_ID_session_add, IPC_KIND_POST, 0, &add));
    CHECK(served == 0);
    ipc_poll(ROLE_FRONT_MX);
    CHECK(served == 0);
    ipc_poll(ROLE_AUTH);
    CHECK(served == 2);
    close_wire();
    arena_done(&mem);
}

static void polling(void **state) { assert_int_equal(ipc_testing_run(poll_now), 0); }

static size_t waiting_at(int fd)
{
    char c[4096];
    ssize_t n = recv(fd, c, sizeof c, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

/* Two instances of front-user, one of which holds two channels: each gets a post to its kind once. */
static void post_once(void)
{
    static const struct msg_changed changed = {.account = 1, .modseq = 2};
    static const uint64_t boots[] = {7, 7, 8};
    size_t frame_bytes = IPC_HEAD + 16;
    int ends[3][2];
    ipc_self(ROLE_STORE);
    for (int i = 0; i < 3; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]) == 0);
        CHECK(ipc_attach(ends[i][0], (struct ipc_peer){ROLE_FRONT_USER, 0, boots[i]}, i == 0, i != 0) != NULL);
    }
    CHECK(ipc_post_to(ROLE_FRONT_USER, MSG_ID_changed, &changed) == 0);
    ipc_flush();
    CHECK(waiting_at(ends[0][1]) == frame_bytes && waiting_at(ends[1][1]) == 0 && waiting_at(ends[2][1]) == frame_bytes);
    CHECK(ipc_post_boot(ROLE_FRONT_USER, 8, MSG_ID_changed, &changed) == 0);
    CHECK(ipc_post_boot(ROLE_FRONT_USER, 9, MSG_ID_changed, &changed) == -1);
    coro_sleep(0); /* the end of the turn flushes as well */
    coro_yield();
    CHECK(waiting_at(ends[0][1]) == 0 && waiting_at(ends[1][1]) == 0 && waiting_at(ends[2][1]) == frame_bytes);
    for (int i = 0; i < 3; i++)
        close(ends[i][1]);
}

static void posting(void **state) { assert_int_equal(ipc_testing_run(post_once), 0); }

/* ---- a fallen server ---- */

static struct span bad_reply;
static bool half_a_reply;

static void answer_badly(void *arg)
{
    unsigned char head[64];
    coro_sleep(2);
    ssize_t n = recv(wire, head, sizeof head, 0);
    CHECK(n > IPC_HEAD);
    if (n > IPC_HEAD) { /* the right call id in front of bad bytes */
        struct str s;
        str_init(&s, &mem);
        str_add(&s, bad_reply);
        memcpy(s.p + 4, head + 4, 4);
        put(half_a_reply ? span_sub(str_span(&s), 0, s.n - 1) : str_span(&s));
    }
    if (half_a_reply)
        shutdown(wire, SHUT_RDWR);
}

static void one_bad_reply(struct span reply, bool half)
{
    struct msg_spool_lend in = {.op = SPAN("x")};
    struct msg_spool_lend_r out;
    struct fail f = {0};
    bool broken = false;
    open_wire(ROLE_FRONT_MX, ROLE_STORE, true, false);
    bad_reply = reply;
    half_a_reply = half;
    coro_start(answer_badly, NULL);
    CHECK(ipc_call(ROLE_STORE, MSG_ID_spool_lend, &in, &out, &mem, 1000, &f, &broken) == -1);
    CHECK(broken && strcmp(f.code, "4.3.2") == 0);
    close_wire();
}

static void bad_replies(void)
{
    static const struct msg_spool_lend_r none = {.file = -1}, lie = {.file = 0};
    static const struct msg_watch_r other;
    one_bad_reply(framed(MSG_ID_watch, IPC_KIND_REPLY, 0, &other), false);
    one_bad_reply(framed(MSG_ID_spool_lend, IPC_KIND_REPLY, 0, &lie), false);
    one_bad_reply(framed(MSG_ID_spool_lend, IPC_KIND_REPLY, 0, &none), true);
    one_bad_reply(raw_frame(MSG_ID_spool_lend, IPC_KIND_REPLY, SPAN("\0\0\0\0")), false);
    one_bad_reply(raw_frame(MSG_ID_spool_lend, IPC_KIND_FAIL, SPAN("\3\0\0\0\5\0\0\0" "4.3.0\0\0\0\0")), false);
    one_bad_reply(raw_frame(MSG_ID_spool_lend, IPC_KIND_FAIL, SPAN("\1\0\0\0\5\0\0\0" "4.3\r\n\0\0\0\0")), false);
    one_bad_reply(raw_frame(MSG_ID_spool_lend, IPC_KIND_FAIL, SPAN("\1\0\0\0\20\0\0\0" "4.3.000000000000\0\0\0\0")), false);
    arena_done(&mem);
}

static void bad_replies_cut(void **state) { assert_int_equal(ipc_testing_run(bad_replies), 0); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_frames_cut),         cmocka_unit_test(bad_fds_cut),
        cmocka_unit_test(more_calls_than_credits_cut), cmocka_unit_test(who_never_reads_is_cut),
        cmocka_unit_test(frames_byte_by_byte),    cmocka_unit_test(bad_replies_cut),
        cmocka_unit_test(polling),                cmocka_unit_test(posting),
    };
    log_setup("test", LOG_ERROR);
    ipc_on_close(on_close);
    ipc_serve(rows, COUNT_OF(rows));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
