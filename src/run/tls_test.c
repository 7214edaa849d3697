/* Tests of TLS on connections: an OpenSSL client in a second thread, our end in a coroutine. */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/conn.h"
#include "run/coro_testing.h"
#include "run/loop.h"
#include "run/tls_testing.h"

/* ---- what a test asks for and what came of it ---- */

enum how {
    TALK,        /* shake hands, one command, one answer, close_notify */
    CLOSE_FIRST, /* half a command, close_notify, then plain text */
    RENEGOTIATE,
    READ_LARGE,  /* the server sends a megabyte */
    SAY_NOTHING,
    SAY_RUBBISH,
};

struct talk {
    /* asked for */
    struct tls_service *service;
    enum how how;
    int version;           /* 0: what both like best */
    const char *sni;
    struct span alpn;      /* offered, wire form */
    const char *starttls;  /* sent in plain text first; NULL: TLS from the start */
    SSL_SESSION *session;  /* to resume; freed */
    bool cancel;           /* the server's coroutine while auth signs */
    int64_t limit_ms;
    /* client's side */
    int fd;
    bool connected, reused;
    int refusal;           /* ERR_GET_REASON when not connected */
    char alpn_got[16];
    X509 *cert;
    SSL_SESSION *new_session;
    char answer[200], plain[200];
    atomic_bool sent;      /* CLOSE_FIRST: all of it */
    /* server's side */
    struct conn *conn;
    int started, ended;    /* what conn_tls_start and the last read gave */
    char info[100];
    size_t signs;
};

static struct talk *now;
static struct coro *server_coro;
static bool signing_fails;

/* ---- the client ---- */

static void client_read_plain(struct talk *t)
{
    size_t n = 0;
    ssize_t r;
    while (n + 1 < sizeof t->plain && (r = read(t->fd, t->plain + n, 1)) == 1)
        if (t->plain[n++] == '\n')
            break;
}

static SSL_CTX *client_ctx(const struct talk *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    CHECK(ctx != NULL);
    if (t->version != 0) {
        SSL_CTX_set_security_level(ctx, 0);
        CHECK(SSL_CTX_set_min_proto_version(ctx, t->version) && SSL_CTX_set_max_proto_version(ctx, t->version));
    }
    return ctx;
}

static void client_talk(struct talk *t, SSL *ssl)
{
    static char got[20000];
    int n;
    if (t->how == CLOSE_FIRST) {
        CHECK(SSL_write(ssl, "NOO", 3) == 3);
        SSL_shutdown(ssl);
        CHECK(write(t->fd, "P\r\nQUIT\r\n", 9) > 0);
        atomic_store(&t->sent, true);
        return;
    }
    if (t->how == RENEGOTIATE) {
        CHECK(SSL_renegotiate(ssl) == 1);
        CHECK(SSL_do_handshake(ssl) != 1);
        return;
    }
    CHECK(SSL_write(ssl, "NOOP\r\n", 6) == 6);
    size_t at = 0;
    while ((n = SSL_read(ssl, got, sizeof got)) > 0) {
        if (t->how == READ_LARGE) {
            for (int i = 0; i < n; i++, at++)
                CHECK(got[i] == (char)(at * 7 + at / 251));
            if (at == 1000003)
                break;
            continue;
        }
        CHECK(n < (int)sizeof t->answer);
        memcpy(t->answer, got, (size_t)n);
        break;
    }
    CHECK(n > 0);
    t->new_session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
}

static void client_tls(struct talk *t)
{
    SSL_CTX *ctx = client_ctx(t);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, t->fd);
    if (t->sni != NULL)
        SSL_set_tlsext_host_name(ssl, t->sni);
    if (t->alpn.n > 0)
        SSL_set_alpn_protos(ssl, (const unsigned char *)t->alpn.p, (unsigned)t->alpn.n);
    if (t->session != NULL)
        SSL_set_session(ssl, t->session);
    t->connected = SSL_connect(ssl) == 1;
    if (t->connected) {
        const unsigned char *proto;
        unsigned n;
        SSL_get0_alpn_selected(ssl, &proto, &n);
        memcpy(t->alpn_got, n > 0 ? (const void *)proto : "", n);
        t->reused = SSL_session_reused(ssl);
        t->cert = SSL_get1_peer_certificate(ssl);
        client_talk(t, ssl);
    } else {
        t->refusal = ERR_GET_REASON(ERR_peek_error());
    }
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void *client(void *arg)
{
    struct talk *t = arg;
    if (t->starttls != NULL) {
        CHECK(write(t->fd, t->starttls, strlen(t->starttls)) > 0);
        client_read_plain(t);
    }
    if (t->how == SAY_RUBBISH)
        CHECK(write(t->fd, "EHLO client.example.org\r\n", 25) == 25);
    else if (t->how != SAY_NOTHING && (t->starttls == NULL || t->plain[0] != 0))
        client_tls(t);
    char scrap[1000]; /* until the server closes: an RST would race with what it says */
    if (t->how != SAY_NOTHING)
        shutdown(t->fd, SHUT_WR);
    while (read(t->fd, scrap, sizeof scrap) > 0)
        ;
    close(t->fd);
    return NULL;
}

/* ---- the server ---- */

/* In place of auth: sleeps, while other coroutines use OpenSSL and leave their errors behind. */
static ptrdiff_t slow_sign(uint64_t key_id, struct span digest, unsigned char *sig, size_t cap)
{
    now->signs++;
    CHECK(coro_self() == server_coro);
    if (now->cancel)
        coro_cancel(server_coro);
    int r = coro_sleep(3);
    CHECK(ERR_peek_error() != 0 || r == WAIT_CANCELLED);
    if (r == WAIT_CANCELLED || signing_fails)
        return -1;
    return tls_testing_sign(key_id, digest, sig, cap);
}

static void disturb(void *arg)
{
    while (now != NULL) {
        ERR_raise(ERR_LIB_USER, 77);
        coro_sleep(1);
    }
    ERR_clear_error();
    loop_stop();
}

static void serve(void *arg)
{
    struct talk *t = arg;
    struct span line;
    struct arena mem;
    arena_init(&mem);
    if (t->starttls != NULL) {
        CHECK(conn_line(t->conn, 100, &line) == WAIT_OK);
        CHECK(conn_writez(t->conn, "220 go on\r\n") == WAIT_OK);
    }
    CHECK(!conn_tls(t->conn));
    t->started = conn_tls_start(t->conn, t->service);
    CHECK((t->started == WAIT_OK) == conn_tls(t->conn));
    CHECK((t->started == WAIT_OK) == !conn_dead(t->conn));
    struct span info = conn_tls_info(t->conn, &mem);
    CHECK(info.n < sizeof t->info);
    memcpy(t->info, info.n > 0 ? info.p : "", info.n);
    while (t->how == CLOSE_FIRST && !atomic_load(&t->sent)) /* so that our end finds all of it at once */
        CHECK(coro_sleep(1) == WAIT_TIMEOUT);
    while ((t->ended = conn_line(t->conn, 100, &line)) == WAIT_OK) {
        if (t->how == READ_LARGE) {
            static char large[1000003];
            for (size_t i = 0; i < sizeof large; i++)
                large[i] = (char)(i * 7 + i / 251);
            CHECK(conn_write(t->conn, span_of(large, 10)) == WAIT_OK);
            CHECK(conn_write(t->conn, span_of(large + 10, 700000)) == WAIT_OK);
            CHECK(conn_write(t->conn, span_of(large + 700010, sizeof large - 700010)) == WAIT_OK);
        } else {
            CHECK(conn_printf(t->conn, "250 %.*s", SPAN_ARGS(line)) == WAIT_OK);
        }
    }
    if (t->ended == WAIT_CLOSED) { /* SEC-04: dead, never plain */
        CHECK(conn_dead(t->conn));
        CHECK(conn_input(t->conn).n == 0);
        CHECK(conn_writez(t->conn, "250 plain\r\n") == WAIT_CLOSED);
        CHECK(conn_flush(t->conn) == WAIT_CLOSED);
        CHECK(conn_fill(t->conn) == WAIT_CLOSED);
        CHECK(conn_tls_start(t->conn, t->service) == WAIT_CLOSED);
    }
    conn_free(t->conn);
    arena_done(&mem);
    now = NULL;
}

static void run_talk(struct talk *t)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct sockaddr_in sa = {.sin_family = AF_INET};
    struct conn_addr addr;
    conn_addr_from(&addr, &sa);
    assert_int_equal(loop_init(), 0);
    t->conn = conn_new(fd[0], &addr, &addr);
    conn_limit(t->conn, t->limit_ms > 0 ? t->limit_ms : 5000);
    t->fd = fd[1];
    now = t;
    server_coro = coro_start(serve, t);
    coro_start(disturb, NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, client, t), 0);
    loop_run();
    pthread_join(thread, NULL);
    loop_done();
    assert_int_equal(coro_count(), 0);
    SSL_SESSION_free(t->session);
    t->session = NULL;
}

static void talk_done(struct talk *t)
{
    X509_free(t->cert);
    SSL_SESSION_free(t->new_session);
    t->cert = NULL;
    t->new_session = NULL;
}

/* ---- services ---- */

static struct tls_service *smtp, *pop3;
static struct tls_chain chains[2];

static int set_up(void **state)
{
    chains[0] = tls_testing_cert("DNS:mail.example.org");
    chains[1] = tls_testing_cert("DNS:mail.other.test,DNS:*.wild.test");
    smtp = tls_service_new("smtp", SPAN_NONE, slow_sign);
    pop3 = tls_service_new("pop3", SPAN("\x04pop3"), slow_sign);
    struct fail f;
    if (tls_service_ready(smtp) || tls_service_load(smtp, chains, 2, &f) != 0 || tls_service_load(pop3, chains, 2, &f) != 0)
        return -1;
    return tls_service_ready(smtp) ? 0 : -1;
}

static int tear_down(void **state)
{
    tls_service_free(smtp);
    tls_service_free(pop3);
    tls_service_free(NULL);
    for (size_t i = 0; i < COUNT_OF(chains); i++)
        free((void *)(uintptr_t)chains[i].pem.p);
    tls_testing_done();
    return 0;
}

/* ---- tests ---- */

static void test_versions(void **state)
{
    static const struct {
        int version;
        const char *starttls, *info;
    } table[] = {
        {TLS1_3_VERSION, NULL, "TLSv1.3 TLS_AES_256_GCM_SHA384"},
        {TLS1_2_VERSION, NULL, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
        {TLS1_3_VERSION, "STARTTLS\r\n", "TLSv1.3 TLS_AES_256_GCM_SHA384"},
        {TLS1_2_VERSION, "STARTTLS\r\n", "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
        {0, NULL, "TLSv1.3 TLS_AES_256_GCM_SHA384"},
        {TLS1_1_VERSION, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct talk t = {.service = smtp, .version = table[i].version, .starttls = table[i].starttls};
        run_talk(&t);
        assert_int_equal(t.started, table[i].info ? WAIT_OK : WAIT_CLOSED);
        assert_int_equal(t.ended, WAIT_CLOSED);
        assert_int_equal(t.connected, table[i].info != NULL);
        assert_string_equal(t.info, table[i].info ? table[i].info : "");
        assert_string_equal(t.answer, table[i].info ? "250 NOOP\r\n" : "");
        if (table[i].starttls)
            assert_string_equal(t.plain, "220 go on\r\n");
        assert_int_equal(t.signs, table[i].info ? 1 : 0);
        talk_done(&t);
    }
}

static void test_sni(void **state)
{
    static const struct {
        const char *ask, *get;
    } table[] = {
        {NULL, "mail.example.org"},
        {"mail.example.org", "mail.example.org"},
        {"MAIL.Other.Test", "mail.other.test"},
        {"imap.wild.test", "mail.other.test"},
        {"a.b.wild.test", "mail.example.org"},
        {"nobody.test", "mail.example.org"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct talk t = {.service = smtp, .sni = table[i].ask, .version = version};
            run_talk(&t);
            assert_int_equal(t.started, WAIT_OK);
            assert_non_null(t.cert);
            assert_int_equal(X509_check_host(t.cert, table[i].get, 0, 0, NULL), 1);
            talk_done(&t);
        }
}

/* CVE-2011-0411 and kin: a command put behind STARTTLS in the same packet must not be heard inside TLS. */
static void test_injection(void **state)
{
    struct talk t = {.service = smtp, .starttls = "STARTTLS\r\nNOOP\r\n"};
    run_talk(&t);
    assert_int_equal(t.started, WAIT_CLOSED);
    assert_int_equal(t.ended, WAIT_CLOSED);
    assert_false(t.connected);
    assert_int_equal(t.signs, 0);
    assert_string_equal(t.answer, "");
}

static void test_close_notify(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct talk t = {.service = smtp, .how = CLOSE_FIRST, .version = version};
        run_talk(&t);
        assert_int_equal(t.started, WAIT_OK);
        assert_int_equal(t.ended, WAIT_CLOSED);
        talk_done(&t);
    }
}

static void test_renegotiation(void **state)
{
    struct talk t = {.service = smtp, .how = RENEGOTIATE, .version = TLS1_2_VERSION};
    run_talk(&t);
    assert_int_equal(t.started, WAIT_OK);
    assert_int_equal(t.signs, 1);
    talk_done(&t);
}

static void test_alpn(void **state)
{
    const struct {
        struct tls_service *service;
        struct span offer;
        bool ok;
        const char *get;
    } table[] = {
        {pop3, SPAN("\x04pop3"), true, "pop3"},
        {pop3, SPAN("\x02h2\x04pop3"), true, "pop3"},
        {pop3, SPAN("\x02h2\x08http/1.1"), false, ""},
        {pop3, SPAN_NONE, true, ""},
        {smtp, SPAN("\x02h2"), true, ""},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct talk t = {.service = table[i].service, .alpn = table[i].offer};
        run_talk(&t);
        assert_int_equal(t.connected, table[i].ok);
        assert_int_equal(t.started, table[i].ok ? WAIT_OK : WAIT_CLOSED);
        assert_string_equal(t.alpn_got, table[i].get);
        if (!table[i].ok)
            assert_int_equal(t.refusal, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
        talk_done(&t);
    }
}

/* One talk that resumes `from` (taken); its own session goes to *next. */
static bool resume(struct tls_service *service, int version, SSL_SESSION *from, SSL_SESSION **next)
{
    struct talk t = {.service = service, .version = version, .session = from};
    run_talk(&t);
    assert_int_equal(t.started, WAIT_OK);
    assert_string_equal(t.answer, "250 NOOP\r\n");
    assert_int_equal(t.signs, t.reused ? 0 : 1);
    *next = t.new_session;
    X509_free(t.cert);
    return t.reused;
}

static void test_tickets(void **state)
{
    static struct clock_page page;
    const int64_t hour = 3600 * 1000;
    struct fail f;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *s;
        assert_false(resume(smtp, version, NULL, &s));
        assert_true(resume(smtp, version, s, &s));
        assert_int_equal(tls_service_load(smtp, chains, 2, &f), 0); /* new certificates, same tickets */
        assert_true(resume(smtp, version, s, &s));
        assert_false(resume(pop3, version, s, &s)); /* not across services */
        assert_true(resume(pop3, version, s, &s));
        assert_false(resume(smtp, version, s, &s));

        clock_use_page(&page);
        atomic_fetch_add(&page.mono_offset_ms, 7 * hour); /* the key before still opens tickets */
        assert_true(resume(smtp, version, s, &s));
        atomic_fetch_add(&page.mono_offset_ms, 7 * hour); /* and had the client renew its own */
        assert_true(resume(smtp, version, s, &s));
        atomic_fetch_add(&page.mono_offset_ms, 13 * hour);
        assert_false(resume(smtp, version, s, &s));
        clock_use_page(NULL);
        atomic_store(&page.mono_offset_ms, 0);
        SSL_SESSION_free(s);
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void test_large(void **state)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct talk t = {.service = smtp, .how = READ_LARGE, .version = version};
        run_talk(&t);
        assert_int_equal(t.started, WAIT_OK);
        assert_int_equal(t.ended, WAIT_CLOSED);
        talk_done(&t);
    }
}

static void test_no_signature(void **state)
{
    for (int cancel = 0; cancel < 2; cancel++) {
        struct talk t = {.service = smtp, .cancel = cancel};
        signing_fails = !cancel;
        run_talk(&t);
        signing_fails = false;
        assert_int_equal(t.signs, 1);
        assert_int_equal(t.started, WAIT_CLOSED);
        assert_false(t.connected);
        talk_done(&t);
    }
}

static void test_no_handshake(void **state)
{
    struct talk silent = {.service = smtp, .how = SAY_NOTHING, .limit_ms = 50};
    run_talk(&silent);
    assert_int_equal(silent.started, WAIT_TIMEOUT);
    assert_int_equal(silent.ended, WAIT_CLOSED);
    struct talk rubbish = {.service = smtp, .how = SAY_RUBBISH};
    run_talk(&rubbish);
    assert_int_equal(rubbish.started, WAIT_CLOSED);
    struct tls_service *empty = tls_service_new("empty", SPAN_NONE, slow_sign);
    struct talk none = {.service = empty};
    run_talk(&none);
    assert_int_equal(none.started, WAIT_CLOSED);
    assert_false(none.connected);
    tls_service_free(empty);
}

/* What cannot be loaded changes nothing. */
static void test_load_errors(void **state)
{
    struct fail f = {0};
    struct span good = chains[1].pem;
    char *two = base_alloc(2 * good.n);
    memcpy(two, good.p, good.n);
    memcpy(two + good.n, good.p, good.n / 2);
    const struct {
        const char *name;
        struct span pem;
    } table[] = {
        {"empty", SPAN("")},
        {"no PEM", SPAN("hello\n")},
        {"cut", span_sub(good, 0, good.n / 2)},
        {"second one cut", span_of(two, good.n + good.n / 2)},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct tls_chain c[2] = {chains[1], {.key_id = 9, .pem = table[i].pem}};
        f.kind = FAIL_NONE;
        if (tls_service_load(smtp, c, 2, &f) != -1 || f.kind != FAIL_PERM)
            fail_msg("%s: accepted", table[i].name);
        assert_int_equal(ERR_peek_error(), 0);
    }
    free(two);
    struct talk t = {.service = smtp};
    run_talk(&t);
    assert_int_equal(X509_check_host(t.cert, "mail.example.org", 0, 0, NULL), 1);
    talk_done(&t);
    assert_int_equal(tls_service_load(smtp, NULL, 0, &f), 0);
    assert_false(tls_service_ready(smtp));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_versions), T(test_sni),   T(test_injection),    T(test_close_notify), T(test_renegotiation), T(test_alpn),
        T(test_tickets),  T(test_large), T(test_no_signature), T(test_no_handshake), T(test_load_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
