/* Certificates for tests; see the header. */
#include "run/tls_testing.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { KEYS = 8 };

static EVP_PKEY *keys[KEYS];
static size_t n_keys;

static void sign_cert(X509 *x, EVP_PKEY *key, const char *san)
{
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)n_keys);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Postel test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    if (ext == NULL || !X509_add_ext(x, ext, -1) || !X509_sign(x, key, EVP_sha256()))
        base_die("test certificate");
    X509_EXTENSION_free(ext);
}

struct tls_chain tls_testing_cert(const char *san)
{
    assert(n_keys < KEYS);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    if (key == NULL || x == NULL || bio == NULL)
        base_die("test key");
    keys[n_keys++] = key;
    sign_cert(x, key, san);
    PEM_write_bio_X509(bio, x);
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    char *pem = base_alloc((size_t)n);
    memcpy(pem, text, (size_t)n);
    BIO_free(bio);
    X509_free(x);
    return (struct tls_chain){.key_id = n_keys, .pem = span_of(pem, (size_t)n)};
}

ptrdiff_t tls_testing_sign(uint64_t key_id, struct span digest, unsigned char *sig, size_t cap)
{
    if (key_id == 0 || key_id > n_keys)
        return -1;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[key_id - 1], NULL);
    size_t n = cap;
    int ok = ctx != NULL && EVP_PKEY_sign_init(ctx) > 0 &&
             EVP_PKEY_sign(ctx, sig, &n, (const unsigned char *)digest.p, digest.n) > 0;
    EVP_PKEY_CTX_free(ctx);
    return ok ? (ptrdiff_t)n : -1;
}

void tls_testing_done(void)
{
    while (n_keys > 0)
        EVP_PKEY_free(keys[--n_keys]);
}
