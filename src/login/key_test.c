/* key_test: making, loading, refusing and using TLS keys. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "login/key.h"
#include "login/key_make.h"

static char dir[64];
static struct arena mem;
static struct fail f;
static struct clock_page page;

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/key_test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    arena_init(&mem);
    clock_use_page(&page);
    return 0;
}

static int teardown(void **state)
{
    DIR *list = opendir(dir);
    struct dirent *e;

    while ((e = readdir(list)) != NULL)
        unlinkat(dirfd(list), e->d_name, 0);
    closedir(list);
    rmdir(dir);
    arena_done(&mem);
    atomic_store(&page.wall_offset_ms, 0);
    clock_use_page(NULL);
    return 0;
}

static X509 *leaf(const struct msg_tls_chain *chain)
{
    BIO *bio = BIO_new_mem_buf(chain->pem.p, (int)chain->pem.n);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static bool verifies(X509 *cert, struct span digest, const unsigned char *sig, size_t n)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(X509_get0_pubkey(cert), NULL);
    bool good = EVP_PKEY_verify_init(ctx) == 1 &&
                EVP_PKEY_verify(ctx, sig, n, (const unsigned char *)digest.p, digest.n) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static void first_start_makes_one(void **state)
{
    struct key_store *k = key_open(dir, SPAN("mail.example.org"), &f);
    struct span digest = SPAN("0123456789abcdef0123456789abcdef"), other = SPAN("0123456789abcdef0123456789abcdeX");
    struct msg_tls_chains_r out = {0};
    unsigned char sig[256];
    struct stat st;
    char path[128];
    X509 *cert;
    ptrdiff_t n;

    assert_non_null(k);
    key_chains(k, &out, &mem);
    assert_int_equal(out.chains.n, 1);
    assert_true(out.chains.v[0].key_id != 0);
    assert_true(span_find(out.chains.v[0].pem, SPAN("PRIVATE")) < 0);
    cert = leaf(&out.chains.v[0]);
    assert_int_equal(X509_check_host(cert, "mail.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), 256);

    n = key_sign(k, out.chains.v[0].key_id, digest, sig, sizeof sig);
    assert_true(n > 0);
    assert_true(verifies(cert, digest, sig, (size_t)n));
    assert_false(verifies(cert, other, sig, (size_t)n));
    assert_int_equal(key_sign(k, out.chains.v[0].key_id + 1, digest, sig, sizeof sig), -1);
    assert_int_equal(key_sign(k, out.chains.v[0].key_id, SPAN("short"), sig, sizeof sig), -1);
    assert_int_equal(key_sign(k, out.chains.v[0].key_id, digest, sig, 10), -1);
    X509_free(cert);
    key_close(k);

    snprintf(path, sizeof path, "%s/self-signed.key", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static uint64_t first_id(const char *hostname)
{
    struct key_store *k = key_open(dir, span_z(hostname), &f);
    struct msg_tls_chains_r out = {0};
    uint64_t id;

    assert_non_null(k);
    key_chains(k, &out, &mem);
    id = out.chains.v[0].key_id;
    key_close(k);
    return id;
}

static void kept_until_it_no_longer_fits(void **state)
{
    uint64_t id = first_id("a.test");

    assert_true(first_id("a.test") == id);
    assert_true(first_id("b.test") != id); /* another name */
    id = first_id("b.test");
    atomic_store(&page.wall_offset_ms, (10ll * 365 - 60) * 86400 * 1000);
    assert_true(first_id("b.test") == id);
    atomic_store(&page.wall_offset_ms, (10ll * 365 - 20) * 86400 * 1000);
    assert_true(first_id("b.test") != id); /* soon over: renewed */
}

static int open_dir(void)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    assert_true(fd >= 0);
    return fd;
}

static void real_ones_go_first(void **state)
{
    struct msg_tls_chains_r out = {0};
    int fd = open_dir();
    struct key_store *k;
    X509 *cert;

    assert_int_equal(key_make_pair(fd, "other", "other.test", &f), 0);
    assert_int_equal(key_make_pair(fd, "zzz", "a.test", &f), 0);
    close(fd);
    k = key_open(dir, SPAN("a.test"), &f);
    key_chains(k, &out, &mem);
    assert_int_equal(out.chains.n, 3);
    cert = leaf(&out.chains.v[0]);
    assert_int_equal(X509_check_host(cert, "a.test", 0, 0, NULL), 1); /* zzz: for our name, not self-signed.pem */
    X509_free(cert);
    cert = leaf(&out.chains.v[1]);
    assert_int_equal(X509_check_host(cert, "other.test", 0, 0, NULL), 1);
    X509_free(cert);
    key_close(k);
}

/* Writes NAME.key holding `key`. */
static void put_key(const char *name, EVP_PKEY *key)
{
    char path[128];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s.key", dir, name);
    to = fopen(path, "w");
    assert_non_null(to);
    PEM_write_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL);
    fclose(to);
    EVP_PKEY_free(key);
}

static void unusable_ones_are_left_out(void **state)
{
    int fd = open_dir();
    struct key_store *k;

    assert_int_equal(key_make_pair(fd, "rsa", "a.test", &f), 0);
    put_key("rsa", EVP_RSA_gen(2048));
    assert_int_equal(key_make_pair(fd, "mixed", "a.test", &f), 0);
    put_key("mixed", EVP_EC_gen("P-256"));
    assert_int_equal(key_make_pair(fd, "nokey", "a.test", &f), 0);
    unlinkat(fd, "nokey.key", 0);
    assert_int_equal(key_make_pair(fd, "link", "a.test", &f), 0);
    unlinkat(fd, "link.key", 0);
    assert_int_equal(symlinkat("mixed.key", fd, "link.key"), 0);
    assert_int_equal(key_make_pair(fd, "p384", "a.test", &f), 0); /* the right curve, the wrong key */
    put_key("p384", EVP_EC_gen("P-384"));
    close(fd);
    k = key_open(dir, SPAN("a.test"), &f);
    assert_non_null(k);
    assert_int_equal(key_count(k), 1);
    key_close(k);
}

static void warns_before_the_end(void **state)
{
    int fd = open_dir();
    struct key_store *k;

    assert_int_equal(key_make_pair(fd, "mail", "a.test", &f), 0);
    close(fd);
    k = key_open(dir, SPAN("a.test"), &f);
    assert_int_equal(key_warn(k), 0);
    atomic_store(&page.wall_offset_ms, (10ll * 365 - 15) * 86400 * 1000);
    assert_int_equal(key_warn(k), 0);
    atomic_store(&page.wall_offset_ms, (10ll * 365 - 13) * 86400 * 1000);
    assert_int_equal(key_warn(k), 2);
    key_close(k);
}

static void strange_hostnames(void **state)
{
    int fd = open_dir();

    assert_int_equal(key_make_pair(fd, "x", "a.test,DNS:evil.test", &f), -1);
    assert_int_equal(key_make_pair(fd, "x", "", &f), -1);
    close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_start_makes_one), TEST(kept_until_it_no_longer_fits), TEST(real_ones_go_first),
        TEST(unusable_ones_are_left_out), TEST(warns_before_the_end), TEST(strange_hostnames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
