/* key_make: P-256 and an X.509 v3 certificate signed with itself. */
#include "login/key_make.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/rand.h"

enum { YEARS_S = 10 * 365 * 24 * 3600, BACK_S = 24 * 3600 };

/* Written beside, synced, renamed: there is never half a key. */
static int write_file(int dir, const char *name, const char *suffix, BIO *text)
{
    char file[96], part[100], *p;
    long n = BIO_get_mem_data(text, &p);
    int fd, rc = -1;

    snprintf(file, sizeof file, "%s.%s", name, suffix);
    snprintf(part, sizeof part, "%s.new", file);
    fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (write(fd, p, (size_t)n) == n && fsync(fd) == 0 && renameat(dir, part, dir, file) == 0 && fsync(dir) == 0)
        rc = 0;
    close(fd);
    return rc;
}

static int add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    int rc;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    rc = ext != NULL && X509_add_ext(cert, ext, -1) == 1 ? 0 : -1;
    X509_EXTENSION_free(ext);
    return rc;
}

static int set_serial(X509 *cert)
{
    BIGNUM *bn = BN_new();
    unsigned char b[16];
    int rc = -1;

    rand_bytes(b, sizeof b);
    b[0] = (unsigned char)((b[0] & 0x7f) | 0x40); /* RFC 5280 4.1.2.2: positive, not zero */
    if (bn != NULL && BN_bin2bn(b, sizeof b, bn) != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL)
        rc = 0;
    BN_free(bn);
    return rc;
}

static X509 *make_cert(EVP_PKEY *key, const char *hostname)
{
    X509 *cert = X509_new();
    X509_NAME *name = cert != NULL ? X509_get_subject_name(cert) : NULL;
    char san[400], cn[65];
    time_t now = (time_t)clock_now_s();

    /* RFC 5280 A.1: a common name holds 64 characters; clients read the alternative names (RFC 6125 6.4.4) */
    snprintf(cn, sizeof cn, "%s", hostname);
    snprintf(san, sizeof san, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", hostname);
    if (name != NULL && X509_set_version(cert, 2) == 1 && set_serial(cert) == 0 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0) == 1 &&
        X509_set_issuer_name(cert, name) == 1 && ASN1_TIME_set(X509_getm_notBefore(cert), now - BACK_S) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(cert), now + YEARS_S) != NULL && X509_set_pubkey(cert, key) == 1 &&
        add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
        add_extension(cert, NID_key_usage, "critical,digitalSignature") == 0 &&
        add_extension(cert, NID_ext_key_usage, "serverAuth") == 0 &&
        add_extension(cert, NID_subject_key_identifier, "hash") == 0 &&
        add_extension(cert, NID_subject_alt_name, san) == 0 && X509_sign(cert, key, EVP_sha256()) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

/* A host name goes into a line of OpenSSL's own configuration language: only what a host name is made of. */
static bool plain_host(const char *hostname)
{
    size_t n = strlen(hostname);

    return n > 0 && n <= 253 &&
           strspn(hostname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

int key_make_pair(int dir, const char *name, const char *hostname, struct fail *f)
{
    EVP_PKEY *key = plain_host(hostname) ? EVP_EC_gen("P-256") : NULL;
    X509 *cert = key != NULL ? make_cert(key, hostname) : NULL;
    BIO *key_text = BIO_new(BIO_s_secmem()), *cert_text = BIO_new(BIO_s_mem());
    int rc = -1;

    if (cert == NULL || key_text == NULL || cert_text == NULL ||
        PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(cert_text, cert) != 1)
        fail_temp(f, "4.3.5", "A TLS key for %.80s could not be made.", hostname);
    else if (write_file(dir, name, "key", key_text) < 0 || write_file(dir, name, "pem", cert_text) < 0)
        fail_errno(f, "keys", errno);
    else
        rc = 0;
    BIO_free(key_text);
    BIO_free(cert_text);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}
