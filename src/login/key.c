/* key: loading, making and using TLS keys with OpenSSL. */
#include "login/key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "login/key_make.h"

enum {
    FILE_BYTES = 128 * 1024,   /* of one .pem or .key */
    CHAINS_BYTES = 200 * 1024, /* of all chains: they travel in one frame */
    WARN_S = 14 * 24 * 3600,
    RENEW_S = 30 * 24 * 3600,
};

static const char self_made[] = "self-signed";

struct key {
    char name[65];
    uint64_t id;
    EVP_PKEY *pkey;
    char *pem;          /* certificates only, whatever else the file held */
    size_t pem_n;
    int64_t expires_s;
    int rank;           /* lower is offered first */
};

struct key_store {
    VEC(struct key) keys;
    char hostname[256];
};

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int slurp(int dir, const char *file, char *buf, size_t *n)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* SEC-11 */
    struct stat st;

    *n = 0;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= FILE_BYTES) {
        close(fd);
        errno = EFBIG;
        return -1;
    }
    for (;;) {
        ssize_t got = read(fd, buf + *n, FILE_BYTES - *n);
        if (got <= 0 || (*n += (size_t)got) == FILE_BYTES) {
            close(fd);
            return got == 0 ? 0 : -1;
        }
    }
}

/* Encrypted keys are not asked a password for on somebody's terminal. */
static int no_password(char *buf, int size, int rw, void *arg)
{
    return 0;
}

static EVP_PKEY *parse_key(int dir, const char *name)
{
    char file[80], *buf = base_alloc(FILE_BYTES);
    EVP_PKEY *key = NULL;
    size_t n;

    snprintf(file, sizeof file, "%s.key", name);
    if (slurp(dir, file, buf, &n) == 0) {
        BIO *bio = BIO_new_mem_buf(buf, (int)n);
        key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
        BIO_free(bio);
    }
    OPENSSL_cleanse(buf, FILE_BYTES);
    free(buf);
    ERR_clear_error();
    return key;
}

/* ---- one key ------------------------------------------------------------------------------------------------------ */

/* The same number after each start: a front's copy of the chains stays good. */
static uint64_t key_id(EVP_PKEY *key)
{
    unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
    int n = i2d_PUBKEY(key, &der);
    uint64_t id = 0;

    if (n > 0)
        memcpy(&id, SHA256(der, (size_t)n, hash), sizeof id);
    OPENSSL_free(der);
    return id;
}

static int64_t expiry(const X509 *cert)
{
    int days = 0, seconds = 0;
    ASN1_TIME *zero = ASN1_TIME_set(NULL, 0);
    int64_t s = 0;

    if (zero != NULL && ASN1_TIME_diff(&days, &seconds, zero, X509_get0_notAfter(cert)) == 1)
        s = (int64_t)days * 86400 + seconds;
    ASN1_TIME_free(zero);
    return s;
}

/* Reads the certificates of NAME.pem into key->pem; returns the leaf, or NULL. */
static X509 *read_chain(int dir, struct key *key)
{
    char file[80], *buf = base_alloc(FILE_BYTES), *data;
    BIO *in = NULL, *out = BIO_new(BIO_s_mem());
    X509 *leaf = NULL, *cert;
    size_t n;
    long len;

    snprintf(file, sizeof file, "%s.pem", key->name);
    if (out != NULL && slurp(dir, file, buf, &n) == 0 && (in = BIO_new_mem_buf(buf, (int)n)) != NULL) {
        while ((cert = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
            PEM_write_bio_X509(out, cert);
            if (leaf == NULL)
                leaf = cert;
            else
                X509_free(cert);
        }
        len = BIO_get_mem_data(out, &data);
        key->pem = base_alloc((size_t)len + 1);
        if (len > 0)
            memcpy(key->pem, data, (size_t)len);
        key->pem_n = (size_t)len;
    }
    BIO_free(in);
    BIO_free(out);
    OPENSSL_cleanse(buf, FILE_BYTES); /* the file may hold a key as well */
    free(buf);
    ERR_clear_error();
    return leaf;
}

static void key_drop(struct key *key)
{
    EVP_PKEY_free(key->pkey);
    free(key->pem);
    memset(key, 0, sizeof *key);
}

/* Loads NAME. NULL when it can be used, else what is wrong with it. */
static const char *load_one(struct key_store *k, int dir, const char *name, struct key *key)
{
    X509 *leaf;
    bool ours = strcmp(name, self_made) == 0, match;

    memset(key, 0, sizeof *key);
    snprintf(key->name, sizeof key->name, "%s", name);
    key->pkey = parse_key(dir, name);
    if (key->pkey == NULL)
        return "no readable private key beside it (encrypted keys and symbolic links are not read)";
    if (EVP_PKEY_get_base_id(key->pkey) != EVP_PKEY_EC)
        return "only EC keys are used (P-256 by preference): RSA and others are refused";
    leaf = read_chain(dir, key);
    if (leaf == NULL)
        return "no readable certificate";
    match = X509_check_private_key(leaf, key->pkey) == 1;
    key->id = key_id(key->pkey);
    key->expires_s = expiry(leaf);
    key->rank = (ours ? 2 : 0) + (X509_check_host(leaf, k->hostname, 0, 0, NULL) == 1 ? 0 : 1);
    X509_free(leaf);
    ERR_clear_error();
    return match && key->id != 0 ? NULL : "the private key is not that of the certificate";
}

/* Whether the self-made pair must be made, or made again. */
static bool self_made_stale(struct key_store *k, int dir)
{
    struct key key;
    bool stale = load_one(k, dir, self_made, &key) != NULL || key.rank != 2 ||
                 key.expires_s - clock_now_s() < RENEW_S;

    key_drop(&key);
    return stale;
}

/* ---- the store ---------------------------------------------------------------------------------------------------- */

static int by_rank(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    return x->rank != y->rank ? x->rank - y->rank : strcmp(x->name, y->name);
}

static void load_all(struct key_store *k, int dir)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    while (list != NULL && (entry = readdir(list)) != NULL) {
        struct span file = span_z(entry->d_name);
        char name[65];
        const char *wrong;
        struct key key;

        if (file.n <= 4 || file.n > 64 || !span_ends_nocase(file, SPAN(".pem")))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(file.n - 4), file.p);
        wrong = load_one(k, dir, name, &key);
        if (wrong != NULL) {
            LOG(LOG_WARN, "auth.key", L_Z("file", entry->d_name), L_Z("not_used", wrong));
            key_drop(&key);
            continue;
        }
        LOG(LOG_INFO, "auth.key", L_Z("file", entry->d_name), L_INT("days_left", (key.expires_s - clock_now_s()) / 86400));
        *VEC_PUSH(&k->keys) = key;
    }
    if (list != NULL)
        closedir(list);
    if (k->keys.n > 0)
        qsort(k->keys.v, k->keys.n, sizeof *k->keys.v, by_rank);
}

struct key_store *key_open(const char *dir, struct span hostname, struct fail *f)
{
    struct key_store *k = base_alloc(sizeof *k);
    int fd;

    snprintf(k->hostname, sizeof k->hostname, "%.*s", SPAN_ARGS(hostname));
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        fail_errno(f, "keys", errno);
        goto out;
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        fail_errno(f, "keys", errno);
        goto out;
    }
    if (self_made_stale(k, fd) && key_make_pair(fd, self_made, k->hostname, f) < 0) {
        close(fd);
        goto out;
    }
    load_all(k, fd);
    close(fd);
    key_warn(k);
    if (k->keys.n > 0)
        return k;
    fail_temp(f, "4.3.5", "There is no usable TLS key.");
out:
    key_close(k);
    return NULL;
}

void key_close(struct key_store *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->keys.n; i++)
        key_drop(&k->keys.v[i]);
    VEC_FREE(&k->keys);
    free(k);
}

size_t key_count(const struct key_store *k)
{
    return k->keys.n;
}

void key_chains(const struct key_store *k, struct msg_tls_chains_r *out, struct arena *mem)
{
    struct msg_tls_chain *v = arena_alloc(mem, k->keys.n * sizeof *v);
    size_t n = 0, used = 0;

    for (size_t i = 0; i < k->keys.n; i++) {
        const struct key *key = &k->keys.v[i];
        used += key->pem_n + 32;
        if (used > CHAINS_BYTES) {
            LOG(LOG_WARN, "auth.key", L_Z("file", key->name), L_Z("not_used", "more certificates than fit one answer"));
            break;
        }
        v[n++] = (struct msg_tls_chain){.key_id = key->id, .pem = arena_copy(mem, span_of(key->pem, key->pem_n))};
    }
    out->chains.v = v;
    out->chains.n = (uint32_t)n;
}

ptrdiff_t key_sign(struct key_store *k, uint64_t id, struct span digest, unsigned char *sig, size_t cap)
{
    EVP_PKEY_CTX *ctx = NULL;
    ptrdiff_t n = -1;
    size_t len = cap;

    if (digest.n < 32 || digest.n > 64) /* nothing but what a hash gave */
        return -1;
    for (size_t i = 0; i < k->keys.n; i++)
        if (k->keys.v[i].id == id) {
            ctx = EVP_PKEY_CTX_new(k->keys.v[i].pkey, NULL);
            break;
        }
    if (ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
        EVP_PKEY_sign(ctx, sig, &len, (const unsigned char *)digest.p, digest.n) == 1)
        n = (ptrdiff_t)len;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return n;
}

size_t key_warn(const struct key_store *k)
{
    int64_t now = clock_now_s();
    size_t n = 0;

    for (size_t i = 0; i < k->keys.n; i++) {
        const struct key *key = &k->keys.v[i];
        if (key->expires_s - now >= WARN_S)
            continue;
        n++;
        LOG(LOG_WARN, "auth.key", L_Z("file", key->name), L_Z("warning", "certificate expires soon or has expired"),
            L_INT("days_left", (key->expires_s - now) / 86400));
    }
    return n;
}
