/* auth_uid_test: users of this machine on the sendmail command's socket: who is an account, who is nobody, who lies. */
#include "roles/auth_testing.h"

#include <sys/un.h>

static const struct sockaddr_un sendmail_at = {AF_UNIX, "sendmail.sock"};
static uint32_t daemon_uid = 1, games_uid = 5, other_uid = 33; /* where we are root; else the first is ours */

/* As master does: a socket that everybody may connect to, and who is who. */
static void hand_over_sendmail(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    unlink(sendmail_at.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sendmail_at, sizeof sendmail_at), 0);
    assert_int_equal(chmod(sendmail_at.sun_path, 0666), 0);
    assert_int_equal(listen(fd, 100), 0);
    POST(control, ctl_listener, .service = SERVICE_sendmail, .socket = fd);
    close(fd);
    if (getuid() != 0)
        daemon_uid = getuid();
    POST(control, ctl_uid, .uid = daemon_uid, .address = SPAN("bob@demo.test"));
    POST(control, ctl_uid, .uid = games_uid, .address = SPAN("not-there@demo.test"));
}

/* A post with a descriptor, which is the caller's from then on. */
static int expect_socket(int fd, enum msg_id id, void *out)
{
    unsigned char head[12];
    union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } control_data = {0};
    struct iovec iov = {head, sizeof head};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control_data.b, .msg_controllen = sizeof control_data.b};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int got;
    char *body;
    uint32_t n;

    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(recvmsg(fd, &m, MSG_CMSG_CLOEXEC), sizeof head);
    assert_int_equal(head[8] | head[9] << 8, id);
    assert_int_equal(control_data.h.cmsg_type, SCM_RIGHTS);
    memcpy(&got, CMSG_DATA(&control_data.h), sizeof got);
    n = ipc_code_get32(head) - 8;
    body = arena_alloc(&mem, n + 1);
    read_all(fd, body, n);
    assert_int_equal(ipc_decode(id, false, span_of(body, n), &mem, out), 0);
    return got;
}

static bool was_cut_off(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    return poll(&p, 1, 20000) == 1 && read(fd, &c, 1) <= 0;
}

/* The kernel keeps who it was that connected: the effective uid of that moment. */
static int connect_by(uint32_t uid)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (getuid() == 0)
        assert_int_equal(seteuid(uid), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&sendmail_at, sizeof sendmail_at), 0);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    return fd;
}

static bool same_connection(int client, int server)
{
    char c = 0;

    return write(server, "!", 1) == 1 && read(client, &c, 1) == 1 && c == '!';
}

/* Who is mapped gets a session of that front, known to store before the front hears of it. */
static void users_are_accounts(void **state)
{
    struct msg_uid_login m;
    struct msg_session_add add;
    struct msg_session_end end;
    struct msg_identity_r own;
    struct msg_account_state_r changed;
    struct msg_logins_r logins;
    int client, server, boots[2];

    add_demo();
    for (int i = 0; i < 2; i++) { /* the fronts take turns */
        int to = i == 0 ? front : other_front;
        client = connect_by(daemon_uid);
        expect_post(store, MSG_ID_session_add, &add);
        server = expect_socket(to, MSG_ID_uid_login, &m);
        boots[i] = (int)add.front_boot;
        assert_int_equal(m.result, LOGIN_OK);
        assert_int_equal(m.uid, daemon_uid);
        assert_true(span_eq(m.address, SPAN("bob@demo.test")) && m.handle.n == 16 && span_eq(m.handle, add.handle));
        assert_int_equal(add.service, SERVICE_sendmail);
        assert_true(same_connection(client, server));
        assert_int_equal(CALL(to, identity, &own, .handle = m.handle, .address = SPAN("bob+cron@demo.test")), 0);
        assert_int_equal(own.own, 1);
        assert_int_equal(CALL(to, identity, &own, .handle = m.handle, .address = SPAN("alice@demo.test")), 0);
        assert_int_equal(own.own, 0);
        assert_int_equal(CALL(to == front ? other_front : front, identity, &own, .handle = m.handle, .address = SPAN("bob@demo.test")), -1);
        close(client);
        close(server);
    }
    assert_true(boots[0] == 2 && boots[1] == 3);
    assert_int_equal(CALL(front, logins, &logins, .handle = SPAN("0123456789abcdef")), -1);
    assert_int_equal(CALL(admin, logins, &logins, .address = SPAN("bob@demo.test")), 0);
    assert_true(logins.logins.n > 0 && span_eq(logins.logins.v[0].service, SPAN("sendmail")) && span_eq(logins.logins.v[0].mech, SPAN("uid")));

    POST(other_front, logout, .handle = m.handle);
    expect_post(store, MSG_ID_session_end, &end);
    assert_true(span_eq(end.handle, m.handle));
    assert_int_equal(CALL(admin, account_state, &changed, .address = SPAN("bob@demo.test"), .disabled = 1), 0);
    expect_post(store, MSG_ID_session_end, &end); /* of the first front's */
    client = connect_by(daemon_uid);
    server = expect_socket(front, MSG_ID_uid_login, &m);
    assert_true(m.result == LOGIN_BAD && m.handle.n == 0 && m.address.n == 0);
    assert_true(nothing_to_read(store));
    close(client);
    close(server);
}

/* Whom the table does not name is nobody, root as well; so is whose account is not there. */
static void others_are_nobody(void **state)
{
    struct msg_uid_login m;
    uint32_t uids[3] = {0, other_uid, games_uid};

    if (getuid() != 0)
        skip();
    add_demo();
    for (size_t i = 0; i < COUNT_OF(uids); i++) {
        int client = connect_by(uids[i]), server = expect_socket(i % 2 == 0 ? front : other_front, MSG_ID_uid_login, &m);
        assert_int_equal(m.uid, uids[i]);
        assert_true(m.result == LOGIN_BAD && m.handle.n == 0 && m.address.n == 0);
        assert_true(same_connection(client, server));
        close(client);
        close(server);
    }
    assert_true(nothing_to_read(store));
}

/* While no front is there connections wait, up to a number. */
static void fronts_come_and_go(void **state)
{
    struct msg_uid_login m;
    struct msg_session_add add;
    struct msg_domain_list_r domains;
    int clients[80], server;

    add_demo();
    close(front);
    close(other_front);
    for (int i = 0; i < 3; i++) /* auth has turned its loop, and seen them go */
        assert_int_equal(CALL(admin, domain_list, &domains, ), 0);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = connect_by(daemon_uid);
    for (size_t i = 64; i < COUNT_OF(clients); i++)
        assert_true(was_cut_off(clients[i]));
    front = connect_as(ROLE_FRONT_USER, 12, false);
    for (int i = 0; i < 64; i++) {
        expect_post(store, MSG_ID_session_add, &add);
        assert_true(add.front_boot == 12);
        server = expect_socket(front, MSG_ID_uid_login, &m);
        assert_true(same_connection(clients[i], server));
        close(server);
    }
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        close(clients[i]);
    other_front = connect_as(ROLE_FRONT_USER, 13, false);
}

/* A stolen front: who is on the socket is not its to say, in whatever way it tries. */
static void fronts_that_lie(void **state)
{
    struct msg_sasl_r in;
    struct msg_session_add add;
    int pair[2];

    add_demo();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_sendmail, .mech = SPAN("PLAIN"), .ip = span_of(loopback, 16),
                          .flags = SASL_IN_TLS, .response = ALICE_IN), -1);
    assert_int_equal(CALL(front, sasl, &in, .service = SERVICE_submission, .mech = SPAN("EXTERNAL"), .ip = span_of(loopback, 16),
                          .flags = SASL_IN_TLS, .response = SPAN("bob@demo.test")), 0);
    assert_int_equal(in.state, SASL_MECH);
    POST(front, uid_login, .socket = pair[0], .uid = daemon_uid, .result = LOGIN_OK, .handle = SPAN("0123456789abcdef"),
         .address = SPAN("bob@demo.test"));
    assert_true(was_cut_off(front));
    POST(other_front, ctl_uid, .uid = other_uid, .address = SPAN("alice@demo.test"));
    assert_true(was_cut_off(other_front));
    hang_up();
    store = connect_as(ROLE_STORE, 21, true);
    front = connect_as(ROLE_FRONT_USER, 22, false);
    other_front = connect_as(ROLE_FRONT_USER, 23, false);
    admin = connect_as(ROLE_ADMIN, 24, false);
    POST(front, ctl_listener, .service = SERVICE_sendmail, .socket = pair[0]);
    assert_true(was_cut_off(front));
    assert_true(nothing_to_read(store));
    assert_int_equal(login(other_front, ALICE_IN).state, SASL_OK); /* auth lives */
    expect_post(store, MSG_ID_session_add, &add);
    close(pair[0]);
    close(pair[1]);
}

static int setup_socket(void **state)
{
    hand_over = hand_over_sendmail;
    return setup(state);
}

static int teardown_socket(void **state)
{
    unlink(sendmail_at.sun_path);
    return teardown(state);
}

#define TEST_SOCKET(fn) cmocka_unit_test_setup_teardown(fn, setup_socket, teardown_socket)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_SOCKET(users_are_accounts), TEST_SOCKET(others_are_nobody), TEST_SOCKET(fronts_come_and_go), TEST_SOCKET(fronts_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
