/* TLS contexts. A service has one SSL_CTX for its life, and a set of certificates from which each handshake takes the
 * one that fits the name asked for: so a reload only swaps the set. Handshakes and sessions that have theirs keep it
 * (everything in it is counted), and tickets go on to be good. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "run/tls_inner.h"

enum { SESSION_S = 6 * 3600 };

struct cert {
    X509 *leaf;
    STACK_OF(X509) *chain; /* without the leaf */
    EVP_PKEY *key;
};

struct tls_service {
    const char *name;
    SSL_CTX *ctx;
    tls_sign_fn *sign;
    unsigned char alpn[64];
    size_t alpn_n;
    struct cert *certs;
    size_t n_certs;
    struct tls_ticket tickets;
};

static struct tls_service *service_of(SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* ---- callbacks of a handshake ---- */

/* RFC 6066 3: the certificate for the name asked for; for an unknown one the default rather than an alert, since a
 * client that does not check names (RFC 7672, opportunistic SMTP) is still better off with TLS than without. */
static int choose_cert(SSL *ssl, void *arg)
{
    const struct tls_service *t = arg;
    if (t->n_certs == 0)
        return 0;
    const struct cert *c = &t->certs[0];
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != NULL && name[0] != 0)
        for (size_t i = 0; i < t->n_certs; i++)
            if (X509_check_host(t->certs[i].leaf, name, strlen(name), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
                c = &t->certs[i];
                break;
            }
    return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1);
}

/* RFC 7301 3.2: no protocol in common is fatal. That also stops a browser that was sent to the wrong port (ALPACA). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned int in_n, void *arg)
{
    const struct tls_service *t = arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_n, t->alpn, (unsigned int)t->alpn_n, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int use_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      int encrypt)
{
    return tls_ticket_use(&service_of(ssl)->tickets, name, iv, cipher, mac, encrypt);
}

/* ---- life ---- */

static SSL_CTX *make_ctx(struct tls_service *t)
{
    /* openssl.cnf would be read from inside a sandbox, and what we speak would hang on it. */
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_app_data(ctx, t);
    /* RFC 9325 3.1.1, 3.3, 3.5: TLS 1.2 at least, no compression, no renegotiation. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* An idle session holds no record buffers; a partly written record may be tried again from a buffer that grew. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1); /* header and body of a record with one system call */
    /* Tickets hold the session; here nothing is kept. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, SESSION_S);
    SSL_CTX_set_cert_cb(ctx, choose_cert, t);
    if (t->alpn_n > 0)
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, t);
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        /* RFC 9325 4.2: forward secrecy and AEAD. Certificates are ECDSA, so are the suites that can be chosen. */
        !SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") ||
        !SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") ||
        !SSL_CTX_set_session_id_context(ctx, (const unsigned char *)t->name, (unsigned int)strlen(t->name)) ||
        !SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_ticket)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tls_service *tls_service_new(const char *name, struct span alpn, tls_sign_fn *sign)
{
    struct tls_service *t = base_alloc(sizeof *t);
    assert(alpn.n <= sizeof t->alpn && strlen(name) <= SSL_MAX_SID_CTX_LENGTH);
    t->name = name;
    t->sign = sign;
    if (alpn.n > 0)
        memcpy(t->alpn, alpn.p, alpn.n);
    t->alpn_n = alpn.n;
    tls_ticket_init(&t->tickets);
    t->ctx = make_ctx(t);
    if (t->ctx == NULL)
        base_die("SSL_CTX_new");
    return t;
}

static void certs_free(struct cert *certs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        X509_free(certs[i].leaf);
        sk_X509_pop_free(certs[i].chain, X509_free);
        EVP_PKEY_free(certs[i].key);
    }
    free(certs);
}

void tls_service_free(struct tls_service *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->ctx);
    certs_free(t->certs, t->n_certs);
    free(t);
}

bool tls_service_ready(const struct tls_service *t)
{
    return t->n_certs > 0;
}

SSL *tls_ssl(struct tls_service *t)
{
    SSL *ssl = tls_service_ready(t) ? SSL_new(t->ctx) : NULL;
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- certificates ---- */

static int no_password(char *buf, int size, int rwflag, void *u)
{
    return -1; /* without this OpenSSL asks at the terminal */
}

static int read_chain(struct cert *c, struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    c->chain = sk_X509_new_null();
    if (bio == NULL || c->chain == NULL)
        base_die("no memory for a certificate");
    c->leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    for (X509 *x = NULL; c->leaf != NULL && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL;)
        if (!sk_X509_push(c->chain, x))
            base_die("no memory for a certificate");
    /* At the end of the text there is no further start line; anything else is a broken certificate. */
    unsigned long e = ERR_peek_last_error();
    ERR_clear_error();
    BIO_free(bio);
    bool at_end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
    return c->leaf != NULL && at_end ? 0 : -1;
}

static int load_cert(const struct tls_service *t, struct cert *c, const struct tls_chain *chain, struct fail *f)
{
    unsigned long long id = chain->key_id;
    if (chain->pem.n > INT32_MAX || read_chain(c, chain->pem) != 0)
        return fail_perm(f, "5.7.5", "the certificate of key %llu is not readable PEM", id);
    c->key = tls_sign_key(c->leaf, chain->key_id, t->sign);
    if (c->key == NULL) {
        ERR_clear_error();
        return fail_perm(f, "5.7.5", "the certificate of key %llu has no EC key (make one with P-256)", id);
    }
    /* Tried on a connection that is thrown away, so that a certificate OpenSSL will not use shows now. */
    SSL *ssl = SSL_new(t->ctx);
    int ok = ssl != NULL && SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1);
    SSL_free(ssl);
    ERR_clear_error();
    return ok ? 0 : fail_perm(f, "5.7.5", "OpenSSL refuses the certificate of key %llu", id);
}

int tls_service_load(struct tls_service *t, const struct tls_chain *chains, size_t n, struct fail *f)
{
    ERR_clear_error();
    struct cert *certs = base_alloc(MAX_OF(n, (size_t)1) * sizeof *certs);
    for (size_t i = 0; i < n; i++)
        if (load_cert(t, &certs[i], &chains[i], f) != 0) {
            certs_free(certs, n);
            return -1;
        }
    certs_free(t->certs, t->n_certs);
    t->certs = certs;
    t->n_certs = n;
    return 0;
}
