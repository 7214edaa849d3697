/* The other direction of TLS: connections that we open, to servers that nobody vouches for (any certificate will do), to
 * servers named by a policy (MTA-STS, HTTPS), and to servers whose certificate the DNS knows (DANE).
 *
 * A handshake always ends before it is judged: OpenSSL verifies on the way and keeps the result, and nothing but the
 * handshake was said by then. So what was found is known even of a peer that we then leave. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "run/tls_client.h"
#include "run/tls_inner.h"

static SSL_CTX *ctx;

/* ---- the context ---- */

/* Called in place of X509_verify_cert. */
static int verify(X509_STORE_CTX *x, void *arg)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls_client_want *want = SSL_get_app_data(ssl);
    if (want == NULL || want->verify == TLS_WANT_ANY)
        return 1; /* RFC 7435: nobody asked, so do not spend time on it */
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(x), (time_t)clock_now_s());
    return X509_verify_cert(x);
}

static SSL_CTX *make_ctx(void)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* as for services: see tls.c */
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (c == NULL)
        return NULL;
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(c, verify, NULL);
    /* RFC 9325 3.1.1: TLS 1.2 at least. RFC 7672 3.1.1: DANE-EE checks neither names nor dates. */
    if (!SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) ||
        /* RFC 7435 3: old suites too, for the other choice of many servers would be no encryption at all */
        !SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20:HIGH:!aNULL:!eNULL:!kPSK:!SRP") ||
        SSL_CTX_dane_enable(c) <= 0) {
        SSL_CTX_free(c);
        return NULL;
    }
    SSL_CTX_dane_set_flags(c, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    return c;
}

static int no_password(char *buf, int size, int rwflag, void *u)
{
    return -1;
}

static int load_authorities(SSL_CTX *c, struct span pem, struct fail *f)
{
    BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    size_t n = 0;
    int ok = bio != NULL;
    for (X509 *x = NULL; ok && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL; n++) {
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x);
        X509_free(x);
    }
    unsigned long e = ERR_peek_last_error();
    ERR_clear_error();
    BIO_free(bio);
    if (ok && n > 0 && ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
        return 0;
    return fail_perm(f, "5.3.5", "the file of certificate authorities is not readable PEM (certificate %zu)", n + 1);
}

int tls_client_setup(struct span ca_pem, struct fail *f)
{
    ERR_clear_error();
    SSL_CTX *c = make_ctx();
    if (c == NULL)
        base_die("SSL_CTX_new");
    if (ca_pem.n > 0 && load_authorities(c, ca_pem, f) != 0) {
        SSL_CTX_free(c);
        return -1;
    }
    SSL_CTX_free(ctx); /* connections that have it keep it */
    ctx = c;
    return 0;
}

void tls_client_done(void)
{
    SSL_CTX_free(ctx);
    ctx = NULL;
}

/* ---- one connection ---- */

enum { NAME_MAX_BYTES = 253 };

static bool name_z(struct span name, char out[NAME_MAX_BYTES + 1])
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES || memchr(name.p, 0, name.n) != NULL)
        return false;
    memcpy(out, name.p, name.n);
    out[name.n] = '\0';
    return true;
}

static bool add_names(SSL *ssl, const struct tls_client_want *want, const char *name)
{
    char also[NAME_MAX_BYTES + 1];
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    /* RFC 8461 4.1: a subjectAltName of type dNSName; RFC 7672 3.2.3 knows the common name too. */
    if (want->verify == TLS_WANT_CA)
        flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    SSL_set_hostflags(ssl, flags);
    if (!SSL_set1_host(ssl, name))
        return false;
    for (size_t i = 0; i < want->n_also; i++)
        if (!name_z(want->also[i], also) || !SSL_add1_host(ssl, also))
            return false;
    return true;
}

/* How many records OpenSSL can use, or -1. */
static int add_records(SSL *ssl, const struct tls_client_want *want)
{
    int used = 0;
    for (size_t i = 0; i < want->n_tlsa; i++) {
        const struct dns_tlsa *t = &want->tlsa[i];
        if (t->usage != 2 && t->usage != 3) /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are for nobody here */
            continue;
        int r = SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, (const unsigned char *)t->data.p, t->data.n);
        if (r < 0)
            return -1;
        used += r;
    }
    ERR_clear_error(); /* records that are malformed leave their reason there */
    return used;
}

/* Whether what is wanted can be asked for at all. */
static bool prepare(SSL *ssl, const struct tls_client_want *want, struct tls_client_got *got)
{
    char name[NAME_MAX_BYTES + 1];
    bool named = name_z(want->name, name);
    if (want->verify == TLS_WANT_ANY) {
        /* RFC 7435 3: a weak key or signature of a peer that is not verified anyway is no reason for plain text */
        SSL_set_security_level(ssl, 1);
        return !named || SSL_set_tlsext_host_name(ssl, name);
    }
    if (!named || (want->verify == TLS_WANT_DANE && SSL_dane_enable(ssl, name) <= 0))
        return false;
    int used = want->verify == TLS_WANT_DANE ? add_records(ssl, want) : 0;
    got->tlsa_unusable = want->verify == TLS_WANT_DANE && used == 0;
    return used >= 0 && SSL_set_tlsext_host_name(ssl, name) && add_names(ssl, want, name);
}

SSL *tls_client_ssl(const struct tls_client_want *want, struct tls_client_got *got)
{
    if (ctx == NULL && tls_client_setup(SPAN_NONE, NULL) != 0)
        return NULL;
    SSL *ssl = SSL_new(ctx);
    if (ssl == NULL || !prepare(ssl, want, got)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_app_data(ssl, (void *)(uintptr_t)want);
    SSL_set_connect_state(ssl);
    return ssl;
}

static enum tls_cause cause_of(long result, enum tls_verify verify)
{
    switch (result) {
    case X509_V_OK: return TLS_FINE;
    case X509_V_ERR_HOSTNAME_MISMATCH: return TLS_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_EXPIRED;
    default: return verify == TLS_WANT_DANE ? TLS_NO_TLSA_MATCH : TLS_UNTRUSTED;
    }
}

void tls_client_judge(SSL *ssl, const struct tls_client_want *want, struct tls_client_got *got)
{
    snprintf(got->version, sizeof got->version, "%s", SSL_get_version(ssl));
    snprintf(got->cipher, sizeof got->cipher, "%s", SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
    SSL_set_app_data(ssl, NULL); /* want is the caller's */
    if (want->verify == TLS_WANT_ANY || got->tlsa_unusable)
        return;
    /* A peer without a certificate has a result of X509_V_OK. */
    long result = SSL_get0_peer_certificate(ssl) == NULL ? X509_V_ERR_UNSPECIFIED : SSL_get_verify_result(ssl);
    got->cause = cause_of(result, want->verify);
    uint8_t usage = 0;
    if (got->cause != TLS_FINE)
        return;
    if (want->verify == TLS_WANT_CA)
        got->verified = TLS_BY_CA;
    else if (SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) < 0)
        got->cause = TLS_NO_TLSA_MATCH;
    else
        got->verified = usage == 3 ? TLS_BY_DANE_EE : TLS_BY_DANE_TA;
}

/* ---- words ---- */

const char *tls_client_cause(enum tls_cause cause)
{
    static const char *const words[] = {"fine", "timeout", "handshake", "name", "expired", "untrusted", "no-tlsa-match"};
    return cause < COUNT_OF(words) ? words[cause] : "?";
}

const char *tls_client_verified(enum tls_verified verified)
{
    static const char *const words[] = {"no", "ca", "dane-ta", "dane-ee"};
    return verified < COUNT_OF(words) ? words[verified] : "?";
}
