/* app_password: made, hashed, found. */
#include "login/app_password.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/rand.h"
#include "run/ipc_table.h"

void app_password_text(char out[APP_PASSWORD_TEXT + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 6 */
    unsigned char bits[APP_PASSWORD_TEXT];

    rand_bytes(bits, sizeof bits); /* five bits of each: 130 in all */
    for (size_t i = 0; i < sizeof bits; i++)
        out[i] = letters[bits[i] & 31];
    out[APP_PASSWORD_TEXT] = 0;
    OPENSSL_cleanse(bits, sizeof bits);
}

static void hash_of(const struct password *p, unsigned char out[32])
{
    SHA256((const unsigned char *)p->b, p->n, out);
}

int app_password_make(struct app_password *a, const char *text, const struct password_verifier *of, struct fail *f)
{
    struct span salt = span_of(of->salt, PASSWORD_SALT);
    struct password p;
    int rc = password_prepare(&p, span_z(text), f);

    hash_of(&p, a->hash);
    for (enum scram_hash h = SCRAM_SHA1; rc == 0 && h <= SCRAM_SHA256; h++)
        if (scram_derive(h, &p, salt, of->iterations, a->stored_key[h], a->server_key[h]) < 0)
            rc = fail_temp(f, "4.3.0", "The password could not be hashed.");
    password_wipe(&p);
    return rc;
}

const struct app_password *app_password_find(const struct app_password *list, const struct password *p)
{
    const struct app_password *found = NULL;
    unsigned char hash[32];

    hash_of(p, hash);
    for (const struct app_password *a = list; a != NULL; a = a->next)
        if (CRYPTO_memcmp(a->hash, hash, sizeof hash) == 0)
            found = a;
    OPENSSL_cleanse(hash, sizeof hash);
    return found;
}

bool app_password_opens(const struct app_password *a, uint32_t service)
{
    static const uint32_t scopes[SERVICE_COUNT] = {
        [SERVICE_imap] = APP_SCOPE_IMAP,       [SERVICE_imaps] = APP_SCOPE_IMAP,
        [SERVICE_pop3] = APP_SCOPE_POP3,       [SERVICE_pop3s] = APP_SCOPE_POP3,
        [SERVICE_submission] = APP_SCOPE_SMTP, [SERVICE_submissions] = APP_SCOPE_SMTP,
    };

    return service < SERVICE_COUNT && (a->scope & scopes[service]) != 0;
}
