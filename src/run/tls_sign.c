/* Keys that live elsewhere. OpenSSL 3.0 offers two ways to sign with a key it does not have: a provider, some 400 lines
 * of dispatch tables, or an EC_KEY_METHOD, which is deprecated and thirty. In this file, and only here, it is used. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "run/tls_inner.h"

#include <openssl/ec.h>
#include <openssl/err.h>

struct remote_key {
    uint64_t key_id;
    tls_sign_fn *sign;
};

static EC_KEY_METHOD *method;
static int remote_slot = -1;

/* Called by OpenSSL in the middle of SSL_accept, and the callback goes to auth and sleeps meanwhile: other coroutines
 * run, and leave their entries in the error queue, which belongs to the thread. So it is emptied here before OpenSSL
 * goes on: what SSL_accept's caller reads right after it is then about this connection alone. That is how "never switch
 * between a call and reading its errors" is kept although this call does switch. Nothing else in OpenSSL is held across
 * the callback: no lock, and no state that is not this connection's own. */
static int sign(int type, const unsigned char *digest, int n, unsigned char *sig, unsigned int *sig_n,
                const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
    const struct remote_key *remote = EC_KEY_get_ex_data(key, remote_slot);
    int most = ECDSA_size(key);
    if (remote == NULL || n < 0 || most <= 0)
        return 0;
    ptrdiff_t got = remote->sign(remote->key_id, span_of(digest, (size_t)n), sig, (size_t)most);
    ERR_clear_error();
    if (got <= 0 || got > most)
        return 0;
    *sig_n = (unsigned int)got;
    return 1;
}

static void remote_free(void *parent, void *p, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    free(p);
}

static void set_up(void)
{
    if (method != NULL)
        return;
    method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    remote_slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, remote_free);
    if (method == NULL || remote_slot < 0)
        base_die("EC_KEY_METHOD");
    EC_KEY_METHOD_set_sign(method, sign, NULL, NULL); /* the raw form (sign_sig) is not needed: it fails */
}

EVP_PKEY *tls_sign_key(X509 *leaf, uint64_t key_id, tls_sign_fn *sign_fn)
{
    set_up();
    EVP_PKEY *public = X509_get0_pubkey(leaf);
    if (public == NULL || EVP_PKEY_get_base_id(public) != EVP_PKEY_EC)
        return NULL;

    const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(public);
    EC_KEY *key = ec ? EC_KEY_dup(ec) : NULL;
    struct remote_key *remote = base_alloc(sizeof *remote);
    *remote = (struct remote_key){.key_id = key_id, .sign = sign_fn};
    EVP_PKEY *out = EVP_PKEY_new();
    if (key == NULL || out == NULL || !EC_KEY_set_method(key, method) || !EC_KEY_set_ex_data(key, remote_slot, remote)) {
        free(remote);
        goto fail;
    }
    if (!EVP_PKEY_assign_EC_KEY(out, key)) /* from here `remote` is the key's */
        goto fail;
    return out;
fail:
    EC_KEY_free(key);
    EVP_PKEY_free(out);
    return NULL;
}
