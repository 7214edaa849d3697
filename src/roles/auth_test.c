/* auth_test: the whole role in its sandbox, driven over its channels by one process that plays master, two fronts, store
 * and the command line. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/str.h"
#include "login/app_password.h"
#include "roles/roles.h"
#include "run/ipc_chan.h"
#include "run/ipc_code.h"



static struct arena mem;
static char room[64];
static pid_t child;
static int control, front, other_front, store, admin; /* our ends */
static int iterations = 4096;

/* ---- frames, blocking -------------------------------------------------------------------------------------------------- */

static void put16(char *p, unsigned v)
{
    p[0] = (char)v;
    p[1] = (char)(v >> 8);
}

static void send_frame(int fd, enum msg_id id, unsigned kind, uint32_t call, const void *msg)
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

static void read_all(int fd, void *to, size_t n)
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
static struct span read_frame(int fd, unsigned *id, unsigned *kind)
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
static int call(int fd, enum msg_id id, const void *in, void *out)
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

static void expect_post(int fd, enum msg_id id, void *out)
{
    unsigned got, kind;
    struct span body = read_frame(fd, &got, &kind);

    assert_int_equal(kind, IPC_KIND_POST);
    assert_int_equal(got, id);
    assert_int_equal(ipc_decode(id, false, body, &mem, out), 0);
}

static bool nothing_to_read(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 100) == 0;
}

/* ---- the role ------------------------------------------------------------------------------------------------------------ */

static int connect_as(enum role_kind kind, uint64_t boot, bool auth_calls)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    POST(control, ctl_peer, .kind = kind, .boot = boot, .calls = auth_calls, .socket = ends[1]);
    close(ends[1]);
    return ends[0];
}

static void start(void)
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
    POST(control, ctl_go, );
    expect_post(control, MSG_ID_ctl_ready, &ready);
    assert_true(ready.isolation.n > 0);
    store = connect_as(ROLE_STORE, 1, true);
    front = connect_as(ROLE_FRONT_USER, 2, false);
    other_front = connect_as(ROLE_FRONT_USER, 3, false);
    admin = connect_as(ROLE_ADMIN, 4, false);
}

static void hang_up(void)
{
    close(store);
    close(front);
    close(other_front);
    close(admin);
}

static void stop(void)
{
    int status;

    POST(control, ctl_stop, );
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hang_up();
    close(control);
}

static void kill_and_start(void)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    hang_up();
    close(control);
    start();
}

static int setup(void **state)
{
    snprintf(room, sizeof room, "/tmp/auth_test.XXXXXX");
    assert_non_null(mkdtemp(room));
    assert_int_equal(chdir(room), 0);
    assert_int_equal(mkdir("auth", 0700), 0);
    arena_init(&mem);
    start();
    return 0;
}

static void remove_dir(const char *name)
{
    DIR *list = opendir(name);
    struct dirent *e;

    while (list != NULL && (e = readdir(list)) != NULL)
        unlinkat(dirfd(list), e->d_name, 0);
    if (list != NULL)
        closedir(list);
    rmdir(name);
}

static int teardown(void **state)
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

static struct msg_sasl_r login(int fd, struct span plain)
{
    struct msg_sasl_r out;

    assert_int_equal(CALL(fd, sasl, &out, .service = 1, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    return out;
}

#define ALICE_IN SPAN("\0alice@demo.test\0correct horse")

static void add_demo(void)
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

static void recipients(void **state)
{
    struct msg_rcpt_check_r out, again;
    struct msg_alias_add_r alias;
    uint64_t generation;

    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("alice@demo.test")), 0);
    assert_int_equal(out.status, RCPT_NOT_OURS);
    generation = out.generation;
    add_demo();
    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("Bob@Demo.test")), 0);
    assert_int_equal(out.status, RCPT_OK);
    assert_int_equal(out.targets.n, 1);
    assert_true(span_eq(out.targets.v[0].address, SPAN("bob@demo.test")));
    assert_true(span_eq(out.targets.v[0].lang, SPAN("de")));
    assert_true(out.generation == generation + 2);
    assert_int_equal(CALL(admin, alias_add, &alias, .address = SPAN("all@demo.test"),
                          .targets = SPAN("alice@demo.test bob@demo.test")), 0);
    assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("all@demo.test")), 0);
    assert_int_equal(out.targets.n, 2);
    kill_and_start(); /* what was answered is on disk */
    assert_int_equal(CALL(front, rcpt_check, &again, .address = SPAN("all@demo.test")), 0);
    assert_int_equal(again.targets.n, 2);
    assert_true(again.targets.v[1].account == out.targets.v[1].account);
    assert_true(again.generation != out.generation);
    stop();
    start();
    assert_int_equal(CALL(front, rcpt_check, &again, .address = SPAN("postmaster")), 0);
    assert_int_equal(again.targets.n, 1);
}

static void sessions(void **state)
{
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_sasl_r in, second;

    add_demo();
    assert_int_equal(login(front, SPAN("\0alice@demo.test\0wrong")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("\0nobody@demo.test\0correct horse")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("alice@demo.test\0correct horse")).state, SASL_SYNTAX);
    in = login(front, SPAN("\0Alice@DEMO.test\0correct horse"));
    assert_int_equal(in.state, SASL_OK);
    assert_int_equal(in.handle.n, 16);
    assert_true(span_eq(in.address, SPAN("alice@demo.test")));
    expect_post(store, MSG_ID_session_add, &add); /* and nothing for those that failed */
    assert_true(span_eq(add.handle, in.handle));
    assert_true(add.account == in.account && add.front_boot == 2 && add.service == 1);

    second = login(other_front, ALICE_IN);
    assert_int_equal(second.state, SASL_OK);
    assert_false(span_eq(second.handle, in.handle));
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(add.front_boot, 3);

    POST(other_front, logout, .handle = in.handle); /* not its session */
    assert_true(nothing_to_read(store));
    POST(front, logout, .handle = in.handle);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, in.handle));

    close(store); /* store dies: its successor learns who is there */
    store = connect_as(ROLE_STORE, 9, true);
    expect_post(store, MSG_ID_session_add, &add);
    assert_true(span_eq(add.handle, second.handle));

    close(other_front); /* a front dies: so do its sessions */
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, second.handle));
    other_front = connect_as(ROLE_FRONT_USER, 10, false);
    assert_true(nothing_to_read(store));
}

static void password_change_and_removal(void **state)
{
    struct msg_account_passwd_r none;
    struct msg_account_remove_r removed;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_account_gone gone;
    struct msg_sasl_r bob;

    add_demo();
    bob = login(front, SPAN("\0bob@demo.test\0b"));
    assert_int_equal(bob.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(admin, account_passwd, &none, .address = SPAN("bob@demo.test"), .password = SPAN("new")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, bob.handle));
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_BAD); /* not remembered either */
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0new")).state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);

    assert_int_equal(CALL(admin, account_remove, &removed, .address = SPAN("alice@demo.test")), -1); /* the admin */
    assert_int_equal(CALL(admin, account_remove, &removed, .address = SPAN("bob@demo.test")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    expect_post(store, MSG_ID_account_gone, &gone);
    assert_true(gone.account == bob.account);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0new")).state, SASL_BAD);
    kill_and_start();
    expect_post(store, MSG_ID_account_gone, &gone); /* said again: the first may have been lost */
    assert_true(gone.account == bob.account);
}

/* SEC-13: a disabled account looks like one that does not exist. */
static void disabled(void **state)
{
    struct msg_account_state_r changed;
    struct msg_rcpt_check_r out;
    struct msg_session_add add;
    struct msg_session_end end;

    add_demo();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("alice@demo.test"), .disabled = 1), -1);
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("bob@demo.test"), .disabled = 1), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, add.handle));
    for (int again = 0; again < 2; again++) {
        assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_BAD);
        assert_true(nothing_to_read(store));
        assert_int_equal(CALL(front, rcpt_check, &out, .address = SPAN("bob@demo.test")), 0);
        assert_int_equal(out.status, RCPT_DISABLED);
        kill_and_start();
    }
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("bob@demo.test"), .disabled = 0), 0);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
}

/* What fronts and store ask about names. */
static void names(void **state)
{
    struct msg_domain_alias_add_r alias;
    struct msg_alias_add_r made;
    struct msg_account_find_r found;
    struct msg_domain_remove_r removed;
    struct msg_rcpt_check_r rcpt;
    struct msg_account_gone gone;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_identity_r own;
    struct msg_rcpt_near_r near;
    struct msg_srs_make_r srs;
    struct msg_sasl_r in;
    int from_store = connect_as(ROLE_STORE, 1, false);

    add_demo();
    assert_int_equal(CALL(admin, domain_alias_add, &alias, .name = SPAN("other.test"), .domain = SPAN("demo.test")), 0);
    assert_int_equal(CALL(admin, alias_add, &made, .address = SPAN("out@demo.test"), .targets = SPAN("x@example.org")), 0);
    in = login(front, SPAN("\0Alice@OTHER.test\0correct horse"));
    assert_int_equal(in.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(front, identity, &own, .handle = in.handle, .address = SPAN("alice+x@other.test")), 0);
    assert_int_equal(own.own, 1);
    assert_int_equal(CALL(front, identity, &own, .handle = in.handle, .address = SPAN("bob@demo.test")), 0);
    assert_int_equal(own.own, 0);
    assert_int_equal(CALL(other_front, identity, &own, .handle = in.handle, .address = SPAN("alice@demo.test")), -1);
    assert_int_equal(CALL(front, rcpt_near, &near, .handle = in.handle, .address = SPAN("obb@other.test")), 0);
    assert_true(span_eq(near.address, SPAN("bob@demo.test")));
    assert_int_equal(CALL(front, rcpt_near, &near, .handle = in.handle, .address = SPAN("bob@demo.test")), 0);
    assert_int_equal(near.address.n, 0);
    assert_int_equal(CALL(other_front, rcpt_near, &near, .handle = in.handle, .address = SPAN("obb@demo.test")), -1);
    assert_int_equal(CALL(front, rcpt_near, &near, .address = SPAN("obb@demo.test")), -1);
    assert_int_equal(CALL(from_store, account_find, &found, .account = in.account), 0);
    assert_true(span_eq(found.address, SPAN("alice@demo.test")));
    assert_int_equal(CALL(from_store, account_find, &found, .account = 1), -1);
    assert_int_equal(CALL(from_store, srs_make, &srs, .sender = SPAN("jon@example.net"), .via = SPAN("out@demo.test")), 0);
    assert_true(srs.account == in.account);
    assert_int_equal(CALL(front, rcpt_check, &rcpt, .address = srs.sender), 0);
    assert_int_equal(rcpt.forwards.n, 1);
    assert_true(span_eq(rcpt.forwards.v[0].address, SPAN("jon@example.net")) && rcpt.forwards.v[0].via.n == 0);
    assert_int_equal(CALL(from_store, srs_make, &srs, .sender = SPAN("jon@example.net"), .via = SPAN("x@y.test")), -1);
    assert_int_equal(CALL(admin, domain_remove, &removed, .name = SPAN("demo.test")), -1);
    assert_int_equal(CALL(admin, domain_remove, &removed, .name = SPAN("demo.test"), .accounts = 1), 0);
    assert_int_equal(removed.accounts, 2);
    for (int i = 0; i < 2; i++) { /* in whatever order the accounts go */
        unsigned id, kind;
        struct span body = read_frame(store, &id, &kind);
        if (id == MSG_ID_session_end) {
            assert_int_equal(ipc_decode(id, false, body, &mem, &end), 0);
            assert_true(span_eq(end.handle, in.handle));
            i--;
        } else {
            assert_int_equal(id, MSG_ID_account_gone);
            assert_int_equal(ipc_decode(id, false, body, &mem, &gone), 0);
        }
    }
    assert_int_equal(login(front, ALICE_IN).state, SASL_BAD);
    close(from_store);
}

static void app_passwords(void **state)
{
    struct msg_app_password_add_r made, second;
    struct msg_app_password_list_r list;
    struct msg_app_password_remove_r removed;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_logins_r logins;
    struct msg_sasl_r in;
    struct span plain;

    add_demo();
    assert_int_equal(CALL(admin, app_password_add, &made, .address = SPAN("bob@demo.test"), .label = SPAN(" phone "),
                          .scope = APP_SCOPE_IMAP), 0);
    assert_int_equal(made.password.n, APP_PASSWORD_TEXT);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("phone"),
                          .scope = APP_SCOPE_ALL), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("a\nb"),
                          .scope = APP_SCOPE_ALL), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("bob@demo.test"), .label = SPAN("x"), .scope = 8), -1);
    assert_int_equal(CALL(admin, app_password_add, &second, .address = SPAN("no@demo.test"), .label = SPAN("x"), .scope = 1), -1);
    kill_and_start();
    plain = arena_printf(&mem, "%cbob@demo.test%c%.*s", 0, 0, SPAN_ARGS(made.password));
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_pop3, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_BAD); /* not for that service */
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_imap, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_OK);
    expect_post(store, MSG_ID_session_add, &add);
    assert_int_equal(CALL(front, logins, &logins, .handle = in.handle), 0);
    assert_int_equal(logins.logins.n, 2);
    assert_true(span_eq(logins.logins.v[0].label, SPAN("phone")) && logins.logins.v[0].result == LOGIN_OK);
    assert_true(logins.logins.v[1].label.n == 0 && logins.logins.v[1].result == LOGIN_BAD);
    assert_true(span_eq(logins.logins.v[1].service, SPAN("pop3")) && logins.logins.v[1].count == 1);
    assert_int_equal(CALL(other_front, logins, &logins, .handle = in.handle), -1);
    assert_int_equal(CALL(front, logins, &logins, .address = SPAN("bob@demo.test")), -1);
    assert_int_equal(CALL(admin, logins, &logins, .address = SPAN("alice@demo.test")), 0);
    assert_int_equal(logins.logins.n, 0);
    assert_int_equal(CALL(admin, app_password_list, &list, .address = SPAN("bob@demo.test")), 0);
    assert_true(list.passwords.n == 1 && list.passwords.v[0].used_s > 0 && list.passwords.v[0].scope == APP_SCOPE_IMAP);
    assert_int_equal(CALL(admin, app_password_remove, &removed, .address = SPAN("bob@demo.test"), .label = SPAN("phone")), 0);
    expect_post(store, MSG_ID_session_end, &end);
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_imap, .mech = SPAN("PLAIN"), .response = plain,
                          .ip = span_of(loopback, 16), .flags = SASL_IN_TLS), 0);
    assert_int_equal(in.state, SASL_BAD);
}

static int stored_iterations(void)
{
    sqlite3_stmt *st = NULL;
    sqlite3 *db;
    int n;

    assert_int_equal(sqlite3_open("auth/directory.db", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT iterations FROM account WHERE local = 'bob'", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* A limit that has grown reaches an account when its password is there to be hashed. */
static void iterations_grow(void **state)
{
    add_demo();
    stop();
    assert_int_equal(stored_iterations(), 4096);
    iterations = 5000;
    start();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0wrong")).state, SASL_BAD);
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    stop();
    assert_int_equal(stored_iterations(), 5000);
    start();
    assert_int_equal(login(front, SPAN("\0bob@demo.test\0b")).state, SASL_OK);
    iterations = 4096;
}

static void keys(void **state)
{
    struct msg_tls_chains_r chains;
    struct msg_tls_sign_r sig;

    assert_int_equal(CALL(front, tls_chains, &chains, ), 0);
    assert_int_equal(chains.chains.n, 1);
    assert_int_equal(CALL(front, tls_sign, &sig, .key_id = chains.chains.v[0].key_id,
                          .digest = SPAN("0123456789abcdef0123456789abcdef")), 0);
    assert_true(sig.signature.n > 60);
    assert_int_equal(CALL(front, tls_sign, &sig, .key_id = 1, .digest = SPAN("0123456789abcdef0123456789abcdef")), -1);
}

static void lists(void **state)
{
    struct msg_domain_list_r domains;
    struct msg_account_list_r accounts;
    struct msg_alias_list_r aliases;

    add_demo();
    assert_int_equal(CALL(admin, domain_list, &domains, ), 0);
    assert_int_equal(domains.domains.n, 1);
    assert_int_equal(domains.domains.v[0].accounts, 2);
    assert_int_equal(CALL(admin, account_list, &accounts, ), 0);
    assert_int_equal(accounts.accounts.n, 2);
    assert_int_equal(CALL(admin, account_list, &accounts, .after = SPAN("bob@demo.test")), 0);
    assert_int_equal(accounts.accounts.n, 0);
    assert_int_equal(CALL(admin, alias_list, &aliases, ), 0);
    assert_int_equal(aliases.aliases.n, 0);
}

/* A guesser is slowed down over the wire as well; the queue never blocks the recipients' way. */
static void guesser(void **state)
{
    int bad = 0, busy = 0;

    add_demo();
    for (int i = 0; i < 50; i++) {
        struct msg_sasl_r r = login(front, SPAN("\0alice@demo.test\0guess"));
        bad += r.state == SASL_BAD;
        busy += r.state == SASL_BUSY;
        assert_true(r.wait_ms > 0);
    }
    assert_int_equal(bad + busy, 50);
    assert_in_range(bad, 5, 12);
    assert_int_equal(CALL(front, sasl, &(struct msg_sasl_r){0}, .mech = SPAN("PLAIN"), .ip = SPAN("short")), -1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recipients), TEST(sessions), TEST(password_change_and_removal), TEST(disabled), TEST(names), TEST(app_passwords), TEST(iterations_grow), TEST(keys), TEST(lists), TEST(guesser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
