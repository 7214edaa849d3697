/* Keys of session tickets. RFC 9325 3.4: ticket keys must be changed now and then, and old ones destroyed, or one stolen
 * key opens all of the past. Each service has its own (a ticket of POP3 must open nothing at SMTP), and they are not
 * part of the certificates, so that a renewal does not end every client's session. */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/clock.h"
#include "base/rand.h"
#include "run/tls_inner.h"

enum { LIFE_MS = 6 * 3600 * 1000 }; /* then used for as long again, to open tickets only */

static void make(struct tls_ticket *k)
{
    rand_bytes(&k->now, sizeof k->now);
    k->made_ms = clock_mono_ms();
}

void tls_ticket_init(struct tls_ticket *k)
{
    make(k);
    k->before = k->now;
}

static void wear(struct tls_ticket *k)
{
    int64_t age = clock_mono_ms() - k->made_ms;
    if (age < LIFE_MS)
        return;
    k->before = k->now;
    make(k);
    if (age >= 2 * (int64_t)LIFE_MS) /* nobody came for long: that one is too old as well */
        k->before = k->now;
}

int tls_ticket_use(struct tls_ticket *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int encrypt)
{
    wear(k);
    struct tls_ticket_key *key = &k->now;
    if (encrypt) {
        memcpy(name, key->name, sizeof key->name);
        rand_bytes(iv, 16);
    } else if (memcmp(name, key->name, sizeof key->name) != 0) {
        key = &k->before;
        if (memcmp(name, key->name, sizeof key->name) != 0)
            return 0; /* not ours, or too old: a full handshake */
    }
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (!EVP_MAC_CTX_set_params(mac, params) ||
        !EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, encrypt != 0))
        return -1;
    return key == &k->now ? 1 : 2; /* 2: open it, and send a new one */
}
