/* Tests of connections that we open: a server in a second thread, our end in a coroutine. */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/conn.h"
#include "run/coro_testing.h"
#include "run/loop.h"

/* ---- a small authority ---- */

enum { CA, MAIL, EXPIRED, NO_NAME, ALONE, CERTS };
static EVP_PKEY *key[CERTS];
static X509 *cert[CERTS];

static X509 *make_cert(EVP_PKEY *own, const char *cn, const char *ext_name, long from_s, long to_s, X509 *issuer, EVP_PKEY *by)
{
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), random());
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), to_s);
    X509_set_pubkey(x, own);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, issuer ? NID_subject_alt_name : NID_basic_constraints, ext_name);
    assert_true(ext != NULL && X509_add_ext(x, ext, -1) && X509_sign(x, by, EVP_sha256()));
    X509_EXTENSION_free(ext);
    return x;
}

static char *ca_pem;

static int set_up(void **state)
{
    for (int i = 0; i < CERTS; i++)
        key[i] = EVP_EC_gen("P-256");
    cert[CA] = make_cert(key[CA], "Test CA", "critical,CA:TRUE", -3600, 86400, NULL, key[CA]);
    cert[MAIL] = make_cert(key[MAIL], "x", "DNS:mail.example.org,DNS:*.wild.test", -3600, 86400, cert[CA], key[CA]);
    cert[EXPIRED] = make_cert(key[EXPIRED], "x", "DNS:mail.example.org", -7200, -3600, cert[CA], key[CA]);
    cert[NO_NAME] = make_cert(key[NO_NAME], "mail.example.org", "email:a@example.org", -3600, 86400, cert[CA], key[CA]);
    cert[ALONE] = make_cert(key[ALONE], "mail.example.org", "CA:FALSE", -3600, 86400, NULL, key[ALONE]);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert[CA]);
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    ca_pem = base_alloc((size_t)n + 1);
    memcpy(ca_pem, text, (size_t)n);
    BIO_free(bio);
    return tls_client_setup(span_z(ca_pem), NULL);
}

static int tear_down(void **state)
{
    for (int i = 0; i < CERTS; i++) {
        EVP_PKEY_free(key[i]);
        X509_free(cert[i]);
    }
    free(ca_pem);
    tls_client_done();
    return 0;
}

/* ---- the server ---- */

enum how { ANSWER, PLAIN, SILENT, EARLY /* talks before the handshake */, OLD /* TLS 1.1 */ };

struct talk {
    /* asked for */
    int cert;
    enum how how;
    struct tls_client_want want;
    int64_t limit_ms;
    bool v6;
    /* what came of it */
    int listener;
    char sni[100];
    int result;
    struct tls_client_got got;
    struct fail f;
    struct conn_addr addr;
};

static void server_tls(struct talk *t, int fd)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (t->how == OLD) {
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    }
    SSL *ssl = SSL_new(ctx);
    STACK_OF(X509) *chain = sk_X509_new_null();
    sk_X509_push(chain, cert[CA]);
    CHECK(SSL_use_cert_and_key(ssl, cert[t->cert], key[t->cert], chain, 1));
    SSL_set_fd(ssl, fd);
    char buf[100];
    int n;
    if (SSL_accept(ssl) == 1) {
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(t->sni, sizeof t->sni, "%s", sni ? sni : "");
        while ((n = SSL_read(ssl, buf, sizeof buf)) > 0)
            SSL_write(ssl, buf, n);
    }
    ERR_clear_error();
    sk_X509_free(chain);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void *server(void *arg)
{
    struct talk *t = arg;
    char buf[2000];
    int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    const char *hello = t->how == EARLY ? "220 hello\r\n250 too early\r\n" : "220 hello\r\n";
    CHECK(write(fd, hello, strlen(hello)) == (ssize_t)strlen(hello));
    if (t->how == PLAIN || t->how == SILENT || t->how == EARLY)
        while (read(fd, buf, sizeof buf) > 0 && (t->how != PLAIN || write(fd, "500 what?\r\n", 11) == 11))
            ;
    else
        server_tls(t, fd);
    close(fd);
    return NULL;
}

/* ---- our end ---- */

static void dial(void *arg)
{
    struct talk *t = arg;
    struct span line;
    struct conn *c = conn_connect(&t->addr, NULL, 2000, &t->f);
    CHECK(c != NULL);
    CHECK(conn_loopback(c) && conn_local(c)->port != 0 && conn_peer(c)->port == t->addr.port);
    conn_limit(c, t->limit_ms > 0 ? t->limit_ms : 5000);
    CHECK(conn_line(c, 100, &line) == WAIT_OK);
    t->result = conn_tls_connect(c, &t->want, &t->got, &t->f);
    CHECK((t->result == 0) == conn_tls(c) || t->got.version[0] != 0);
    CHECK((t->result == 0) == !conn_dead(c));
    if (t->result == 0) {
        CHECK(conn_writez(c, "EHLO client.test\r\n") == WAIT_OK);
        CHECK(conn_line(c, 100, &line) == WAIT_OK);
        CHECK(span_eq(line, SPAN("EHLO client.test\r\n")));
    } else {
        CHECK(conn_writez(c, "secret") == WAIT_CLOSED);
    }
    conn_free(c);
    loop_stop();
}

static int listen_on(struct talk *t, bool v6)
{
    union { struct sockaddr sa; struct sockaddr_in in; struct sockaddr_in6 in6; } a = {0};
    a.sa.sa_family = v6 ? AF_INET6 : AF_INET;
    if (v6)
        a.in6.sin6_addr = in6addr_loopback;
    else
        a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = v6 ? sizeof a.in6 : sizeof a.in;
    t->listener = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->listener < 0 || bind(t->listener, &a.sa, n) != 0 || listen(t->listener, 5) != 0)
        return -1;
    getsockname(t->listener, &a.sa, &n);
    conn_addr_from(&t->addr, &a);
    return 0;
}

static void run_talk(struct talk *t)
{
    pthread_t thread;
    assert_int_equal(loop_init(), 0);
    if (listen_on(t, t->v6) != 0)
        fail_msg("listen: %s", strerror(errno));
    assert_int_equal(pthread_create(&thread, NULL, server, t), 0);
    coro_start(dial, t);
    loop_run();
    pthread_join(thread, NULL);
    close(t->listener);
    loop_done();
    assert_int_equal(coro_count(), 0);
}

/* ---- tests ---- */

/* A TLSA record for a certificate: usage, selector, matching type 1 (SHA-256) or 0 (all of it). */
static struct dns_tlsa tlsa(uint8_t usage, uint8_t selector, uint8_t matching, int which, unsigned char *room)
{
    unsigned char *der = NULL, *spki = room + 64;
    int n = selector == 0 ? i2d_X509(cert[which], &der) : i2d_PUBKEY(key[which], &der);
    unsigned len = 0;
    assert_true(n > 0 && n < 1900);
    if (matching == 0)
        memcpy(spki, der, len = (unsigned)n);
    else
        EVP_Digest(der, (size_t)n, spki, &len, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
    OPENSSL_free(der);
    return (struct dns_tlsa){usage, selector, matching, span_of(spki, len)};
}

static void test_verify(void **state)
{
    static const struct span also[] = {{"mail.example.org", 16}};
    static const struct {
        int cert;
        enum tls_verify verify;
        const char *name;
        bool also;
        enum tls_cause cause;
        enum tls_verified verified;
    } table[] = {
        {MAIL, TLS_WANT_ANY, "mail.example.org", false, TLS_FINE, TLS_UNVERIFIED},
        {MAIL, TLS_WANT_ANY, "", false, TLS_FINE, TLS_UNVERIFIED},
        {EXPIRED, TLS_WANT_ANY, "other.test", false, TLS_FINE, TLS_UNVERIFIED},
        {ALONE, TLS_WANT_ANY, "other.test", false, TLS_FINE, TLS_UNVERIFIED},
        {MAIL, TLS_WANT_CA, "mail.example.org", false, TLS_FINE, TLS_BY_CA},
        {MAIL, TLS_WANT_CA, "MAIL.Example.Org", false, TLS_FINE, TLS_BY_CA},
        {MAIL, TLS_WANT_CA, "a.wild.test", false, TLS_FINE, TLS_BY_CA},
        {MAIL, TLS_WANT_CA, "a.b.wild.test", false, TLS_NAME, TLS_UNVERIFIED},
        {MAIL, TLS_WANT_CA, "wild.test", false, TLS_NAME, TLS_UNVERIFIED},
        {MAIL, TLS_WANT_CA, "other.test", false, TLS_NAME, TLS_UNVERIFIED},
        {MAIL, TLS_WANT_CA, "other.test", true, TLS_FINE, TLS_BY_CA},
        {EXPIRED, TLS_WANT_CA, "mail.example.org", false, TLS_EXPIRED, TLS_UNVERIFIED},
        {NO_NAME, TLS_WANT_CA, "mail.example.org", false, TLS_NAME, TLS_UNVERIFIED},
        {ALONE, TLS_WANT_CA, "mail.example.org", false, TLS_UNTRUSTED, TLS_UNVERIFIED},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct talk t = {.cert = table[i].cert, .want = {.verify = table[i].verify, .name = span_z(table[i].name)}};
        if (table[i].also)
            t.want.also = also, t.want.n_also = 1;
        run_talk(&t);
        if (t.got.cause != table[i].cause || t.got.verified != table[i].verified)
            fail_msg("row %zu: %s, verified %s", i, tls_client_cause(t.got.cause), tls_client_verified(t.got.verified));
        assert_int_equal(t.result, table[i].cause == TLS_FINE ? 0 : -1);
        assert_string_equal(t.got.version, "TLSv1.3");
        assert_true(t.got.cipher[0] != 0);
        assert_string_equal(t.sni, table[i].name);
    }
}

static void test_dane(void **state)
{
    static const struct {
        int cert;
        uint8_t usage, selector, matching;
        int of;            /* the record's certificate */
        const char *name;
        enum tls_cause cause;
        enum tls_verified verified;
        bool unusable;
    } table[] = {
        {MAIL, 3, 1, 1, MAIL, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        {MAIL, 3, 0, 2, MAIL, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        {MAIL, 3, 0, 0, MAIL, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        {MAIL, 3, 1, 0, MAIL, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        /* RFC 7672 3.1.1: neither name nor date, nor who signed it */
        {MAIL, 3, 1, 1, MAIL, "other.test", TLS_FINE, TLS_BY_DANE_EE},
        {EXPIRED, 3, 1, 1, EXPIRED, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        {ALONE, 3, 1, 1, ALONE, "mail.example.org", TLS_FINE, TLS_BY_DANE_EE},
        {MAIL, 3, 1, 1, ALONE, "mail.example.org", TLS_NO_TLSA_MATCH, TLS_UNVERIFIED},
        /* RFC 7672 3.1.2: the authority vouches for name and date */
        {MAIL, 2, 0, 1, CA, "mail.example.org", TLS_FINE, TLS_BY_DANE_TA},
        {MAIL, 2, 1, 2, CA, "mail.example.org", TLS_FINE, TLS_BY_DANE_TA},
        {NO_NAME, 2, 1, 1, CA, "mail.example.org", TLS_FINE, TLS_BY_DANE_TA}, /* 3.2.3: by its common name */
        {MAIL, 2, 1, 1, CA, "other.test", TLS_NAME, TLS_UNVERIFIED},
        {EXPIRED, 2, 1, 1, CA, "mail.example.org", TLS_EXPIRED, TLS_UNVERIFIED},
        {ALONE, 2, 1, 1, CA, "mail.example.org", TLS_NO_TLSA_MATCH, TLS_UNVERIFIED},
        {MAIL, 2, 1, 1, ALONE, "mail.example.org", TLS_NO_TLSA_MATCH, TLS_UNVERIFIED},
        /* not to be used */
        {MAIL, 1, 1, 1, MAIL, "mail.example.org", TLS_FINE, TLS_UNVERIFIED, true},
        {ALONE, 0, 1, 1, CA, "mail.example.org", TLS_FINE, TLS_UNVERIFIED, true},
        {ALONE, 3, 7, 1, CA, "mail.example.org", TLS_FINE, TLS_UNVERIFIED, true},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        unsigned char room[2000];
        struct dns_tlsa rr[2] = {
            tlsa(table[i].usage, table[i].selector, table[i].matching, table[i].of, room),
            {1, 1, 1, SPAN("a broken one")},
        };
        struct talk t = {.cert = table[i].cert,
                         .want = {.verify = TLS_WANT_DANE, .name = span_z(table[i].name), .tlsa = rr, .n_tlsa = 2}};
        run_talk(&t);
        if (t.got.cause != table[i].cause || t.got.verified != table[i].verified || t.got.tlsa_unusable != table[i].unusable)
            fail_msg("row %zu: %s, verified %s", i, tls_client_cause(t.got.cause), tls_client_verified(t.got.verified));
        assert_string_equal(t.sni, table[i].name);
    }
}

static void test_no_tls(void **state)
{
    static const struct { enum how how; enum tls_cause cause; const char *text; } table[] = {
        {PLAIN, TLS_HANDSHAKE, "TLS with 127.0.0.1: the handshake failed: wrong version number"},
        {SILENT, TLS_TIMEOUT, "TLS with 127.0.0.1: the handshake took too long"},
        {EARLY, TLS_HANDSHAKE, "TLS with 127.0.0.1: the handshake failed"},
        {OLD, TLS_HANDSHAKE, "TLS with 127.0.0.1: the handshake failed: tlsv1 alert protocol version"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct talk t = {.cert = MAIL, .how = table[i].how, .limit_ms = table[i].how == SILENT ? 50 : 3000};
        run_talk(&t);
        assert_int_equal(t.result, -1);
        assert_int_equal(t.got.cause, table[i].cause);
        assert_int_equal(t.f.kind, FAIL_TEMP);
        assert_string_equal(t.f.text, table[i].text);
    }
}

static void test_v6(void **state)
{
    struct talk t = {.cert = MAIL, .v6 = true, .want = {.name = SPAN("mail.example.org")}};
    if (listen_on(&t, true) != 0)
        skip();
    close(t.listener);
    run_talk(&t);
    assert_int_equal(t.result, 0);
}

struct refusal { struct conn_addr to, from; bool bound; int64_t wait_ms; char text[160]; };

static void dial_in_vain(void *arg)
{
    struct refusal *r = arg;
    struct fail f = {0};
    struct conn *c = conn_connect(&r->to, r->bound ? &r->from : NULL, r->wait_ms, &f);
    CHECK(c == NULL);
    CHECK(f.kind == FAIL_TEMP && strcmp(f.code, "4.4.1") == 0);
    memcpy(r->text, f.text, sizeof r->text);
    loop_stop();
}

static void test_refused(void **state)
{
    struct talk t = {0};
    char want[100];
    assert_int_equal(listen_on(&t, false), 0);
    close(t.listener); /* its port is now closed */
    struct refusal r = {.to = t.addr, .wait_ms = 1000};
    assert_int_equal(loop_init(), 0);
    coro_start(dial_in_vain, &r);
    loop_run();
    snprintf(want, sizeof want, "connecting to 127.0.0.1 port %u: Connection refused", t.addr.port);
    assert_string_equal(r.text, want);
    r.bound = true; /* from an address that is not ours */
    assert_int_equal(conn_addr_ip(&r.from, SPAN("\xc0\x00\x02\x01"), 0), 0);
    coro_start(dial_in_vain, &r);
    loop_run();
    assert_non_null(strstr(r.text, "Cannot assign requested address"));
    loop_done();
}

/* A listener that is full drops what comes: the connection never stands. */
static void test_timeout(void **state)
{
    struct talk t = {0};
    assert_int_equal(listen_on(&t, false), 0);
    assert_int_equal(listen(t.listener, 0), 0);
    union { struct sockaddr sa; struct sockaddr_in in; } a = {.in = {.sin_family = AF_INET, .sin_port = htons(t.addr.port)}};
    a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fill[4];
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fill[i], &a.sa, sizeof a.in);
    }
    struct refusal r = {.to = t.addr, .wait_ms = 100};
    assert_int_equal(loop_init(), 0);
    int64_t begin = clock_mono_ms();
    coro_start(dial_in_vain, &r);
    loop_run();
    assert_true(clock_mono_ms() - begin >= 100);
    assert_non_null(strstr(r.text, "Connection timed out"));
    loop_done();
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(t.listener);
}

static void test_setup(void **state)
{
    struct fail f;
    assert_int_equal(tls_client_setup(SPAN("no certificate"), &f), -1);
    assert_int_equal(f.kind, FAIL_PERM);
    struct conn_addr a;
    assert_int_equal(conn_addr_ip(&a, SPAN("abc"), 25), -1);
    assert_int_equal(conn_addr_ip(&a, SPAN("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"), 25), 0);
    assert_string_equal(a.text, "2001:db8::1");
    assert_int_equal(a.port, 25);
    assert_false(a.v4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify),  cmocka_unit_test(test_dane), cmocka_unit_test(test_no_tls), cmocka_unit_test(test_v6),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_timeout), cmocka_unit_test(test_setup),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
