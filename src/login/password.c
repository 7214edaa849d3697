/* password: SCRAM-SHA-256 verifiers, made and checked with OpenSSL. */
#include "login/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "base/rand.h"
#include "login/precis.h"

static _Atomic uint64_t computed;

int password_prepare(struct password *p, struct span raw, struct fail *f)
{
    p->n = 0;
    if (raw.n == 0)
        return fail_perm(f, "5.7.0", "A password may not be empty.");
    if (raw.n > (size_t)LIMIT(PASSWORD_BYTES))
        return fail_perm(f, "5.7.0", "A password has at most %d bytes.", (int)LIMIT(PASSWORD_BYTES));
    p->n = precis_opaque(raw, p->b, sizeof p->b);
    if (p->n == 0)
        return fail_perm(f, "5.7.0", "A password is UTF-8 text without control or unassigned characters.");
    return 0;
}

void password_wipe(struct password *p)
{
    OPENSSL_cleanse(p, sizeof *p);
}

void password_wipe_span(struct span s)
{
    if (s.p != NULL)
        OPENSSL_cleanse((void *)(uintptr_t)s.p, s.n);
}

static int hmac(const unsigned char key[PASSWORD_KEY], const char *text, unsigned char out[PASSWORD_KEY])
{
    unsigned n = PASSWORD_KEY;

    return HMAC(EVP_sha256(), key, PASSWORD_KEY, (const unsigned char *)text, strlen(text), out, &n) != NULL ? 0 : -1;
}

int password_derive(struct password_verifier *v, const struct password *p, struct fail *f)
{
    unsigned char salted[PASSWORD_KEY], client[PASSWORD_KEY];
    int rc = -1;

    atomic_fetch_add_explicit(&computed, 1, memory_order_relaxed);
    /* RFC 5802 3: SaltedPassword, ClientKey, StoredKey, ServerKey; RFC 7677: the hash is SHA-256 */
    if (PKCS5_PBKDF2_HMAC(p->b, (int)p->n, v->salt, PASSWORD_SALT, (int)v->iterations, EVP_sha256(), PASSWORD_KEY,
                          salted) == 1 &&
        hmac(salted, "Client Key", client) == 0 && SHA256(client, PASSWORD_KEY, v->stored_key) != NULL &&
        hmac(salted, "Server Key", v->server_key) == 0)
        rc = 0;
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    return rc == 0 ? 0 : fail_temp(f, "4.3.0", "The password could not be hashed.");
}

int password_make(struct password_verifier *v, const struct password *p, struct fail *f)
{
    rand_bytes(v->salt, sizeof v->salt);
    v->iterations = (uint32_t)LIMIT(PASSWORD_ITERATIONS);
    return password_derive(v, p, f);
}

bool password_check(const struct password_verifier *v, const struct password *p)
{
    struct password_verifier own = *v;
    bool same = password_derive(&own, p, NULL) == 0 && CRYPTO_memcmp(own.stored_key, v->stored_key, PASSWORD_KEY) == 0;

    OPENSSL_cleanse(&own, sizeof own);
    return same;
}

uint64_t password_computed(void)
{
    return atomic_load_explicit(&computed, memory_order_relaxed);
}

void password_fake(struct password_verifier *v, struct span secret, struct span name)
{
    unsigned char mac[32];
    unsigned n = sizeof mac;

    if (HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)name.p, name.n, mac, &n) == NULL)
        base_die("HMAC-SHA-256 is not to be had");
    memcpy(v->salt, mac, PASSWORD_SALT);
    v->iterations = (uint32_t)LIMIT(PASSWORD_ITERATIONS);
    rand_bytes(v->stored_key, PASSWORD_KEY); /* no password leads there */
    rand_bytes(v->server_key, PASSWORD_KEY);
}
