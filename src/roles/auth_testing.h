/* auth_testing: short forms for the tests of role auth: the whole role in its sandbox, driven over its channels by one
 * process that plays master, two fronts, store and the command line; each test file has its own. */
#ifndef POSTEL_AUTH_TESTING_H
#define POSTEL_AUTH_TESTING_H

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/str.h"
#include "roles/roles.h"
#include "run/ipc_chan.h"
#include "run/ipc_code.h"

static struct arena mem;
static char room[64];
static pid_t child;
static int control, front, other_front, store, admin; /* our ends */
static int iterations = 4096;
static void (*hand_over)(void); /* what master hands over besides; or NULL */

/* ---- frames, blocking -------------------------------------------------------------------------------------------------- */

static inline void put16(char *p, unsigned v)
{
    p[0] = (char)v;
    p[1] = (char)(v >> 8);
}

static inline void send_frame(int fd, enum msg_id id, unsigned kind, uint32_t call, const void *msg)
{
    struct str body;
    char head[12];
    union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } control_data = {0};
    struct iovec iov[2];
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    int ride;

    str_init(&body, &mem);
    ride = ipc_encode(&body, id, false, msg);
    ipc_code_put32((unsigned char *)head, (uint32_t)(8 + body.n));
    ipc_code_put32((unsigned char *)head + 4, call);
    put16(head + 8, id);
    put16(head + 10, kind);
    iov[0] = (struct iovec){head, sizeof head};
    iov[1] = (struct iovec){body.p, body.n};
    if (ride >= 0) {
        m.msg_control = control_data.b;
        m.msg_controllen = sizeof control_data.b;
        control_data.h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control_data.h), &ride, sizeof ride);
    }
    assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), (ssize_t)(sizeof head + body.n));
}

static inline void read_all(int fd, void *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t r;
        assert_int_equal(poll(&p, 1, 20000), 1); /* no answer within 20 s: the test fails, it does not hang */
        r = read(fd, (char *)to + got, n - got);
        assert_true(r > 0);
        got += (size_t)r;
    }
}

/* The next frame; its body lives in mem. */
static inline struct span read_frame(int fd, unsigned *id, unsigned *kind)
{
    unsigned char head[12];
    uint32_t n;
    char *body;

    read_all(fd, head, sizeof head);
    n = ipc_code_get32(head) - 8;
    *id = head[8] | (unsigned)head[9] << 8;
    *kind = head[10] | (unsigned)head[11] << 8;
    assert_true(n <= IPC_FRAME_MAX);
    body = arena_alloc(&mem, n + 1);
    read_all(fd, body, n);
    return span_of(body, n);
}

/* 0 and out, or -1: refused. */
static inline int call(int fd, enum msg_id id, const void *in, void *out)
{
    unsigned got, kind;
    struct span body;

    send_frame(fd, id, IPC_KIND_CALL, 7, in);
    body = read_frame(fd, &got, &kind);
    assert_int_equal(got, id);
    if (kind == IPC_KIND_FAIL)
        return -1;
    assert_int_equal(kind, IPC_KIND_REPLY);
    assert_int_equal(ipc_decode(id, true, body, &mem, out), 0);
    return 0;
}

#define CALL(fd, name, out, ...)                                                                                       \
    call((fd), MSG_ID_##name, &(struct msg_##name){__VA_ARGS__}, (struct msg_##name##_r *)(out))
#define POST(fd, name, ...) send_frame((fd), MSG_ID_##name, IPC_KIND_POST, 0, &(struct msg_##name){__VA_ARGS__})

static inline void expect_post(int fd, enum msg_id id, void *out)
{
    unsigned got, kind;
    struct span body = read_frame(fd, &got, &kind);

    assert_int_equal(kind, IPC_KIND_POST);
    assert_int_equal(got, id);
    assert_int_equal(ipc_decode(id, false, body, &mem, out), 0);
}

static inline bool nothing_to_read(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 100) == 0;
}

/* ---- the role ------------------------------------------------------------------------------------------------------------ */

static inline int connect_as(enum role_kind kind, uint64_t boot, bool auth_calls)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    POST(control, ctl_peer, .kind = kind, .boot = boot, .calls = auth_calls, .socket = ends[1]);
    close(ends[1]);
    return ends[0];
}

static inline void start(void)
{
    struct msg_ctl_ready ready;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(ends[1], 3) < 0)
            _exit(9);
        for (int fd = 4; fd < 64; fd++)
            close(fd);
        _exit(role_main(&auth_role));
    }
    close(ends[1]);
    control = ends[0];
    POST(control, ctl_config, .text = arena_printf(&mem, "[server]\nhostname = mail.demo.test\ncleartext_loopback = yes\n"
                                                   "[limits]\npassword_iterations = %d\npassword_least = 1\n", iterations));
    POST(control, ctl_self, .kind = ROLE_AUTH, .boot = 4711);
    if (hand_over != NULL)
        hand_over();
    POST(control, ctl_go, );
    expect_post(control, MSG_ID_ctl_ready, &ready);
    assert_true(ready.isolation.n > 0);
    store = connect_as(ROLE_STORE, 1, true);
    front = connect_as(ROLE_FRONT_USER, 2, false);
    other_front = connect_as(ROLE_FRONT_USER, 3, false);
    admin = connect_as(ROLE_ADMIN, 4, false);
}

static inline void hang_up(void)
{
    close(store);
    close(front);
    close(other_front);
    close(admin);
}

static inline void stop(void)
{
    int status;

    POST(control, ctl_stop, );
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hang_up();
    close(control);
}

static inline void kill_and_start(void)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    hang_up();
    close(control);
    start();
}

static inline int setup(void **state)
{
    snprintf(room, sizeof room, "/tmp/auth_test.XXXXXX");
    assert_non_null(mkdtemp(room));
    assert_int_equal(chdir(room), 0);
    assert_int_equal(chmod(".", 0711), 0);
    assert_int_equal(mkdir("auth", 0700), 0);
    arena_init(&mem);
    start();
    return 0;
}

static inline void remove_dir(const char *name)
{
    DIR *list = opendir(name);
    struct dirent *e;

    while (list != NULL && (e = readdir(list)) != NULL)
        unlinkat(dirfd(list), e->d_name, 0);
    if (list != NULL)
        closedir(list);
    rmdir(name);
}

static inline int teardown(void **state)
{
    stop();
    arena_done(&mem);
    remove_dir("auth/keys");
    remove_dir("auth");
    rmdir(room);
    return 0;
}

/* ---- what it is asked ---------------------------------------------------------------------------------------------------- */

static const char loopback[16] = {[10] = '\xff', [11] = '\xff', [12] = 127, [15] = 1};

static inline struct msg_sasl_r login(int fd, struct span plain)
{
    struct msg_sasl_r out;

    assert_int_equal(CALL(fd, sasl, &out, .service = 1, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    return out;
}

#define ALICE_IN SPAN("\0alice@demo.test\0correct horse")

static inline void add_demo(void)
{
    struct msg_domain_add_r out;
    struct msg_account_add_r account;

    assert_int_equal(CALL(admin, domain_add, &out, .name = SPAN("demo.test"), .admin = SPAN("alice@demo.test"),
                          .password = SPAN("correct horse")), 0);
    assert_int_equal(out.account_made, 1);
    assert_int_equal(CALL(admin, account_add, &account, .address = SPAN("bob@demo.test"), .password = SPAN("b"),
                          .lang = SPAN("de")), 0);
    assert_true(account.account > 0);
    assert_int_equal(CALL(admin, account_add, &account, .address = SPAN("c@demo.test"), .password = SPAN_NONE), -1);
}

#endif
