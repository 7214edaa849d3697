/* scram: the grammar of RFC 5802 7, read from left to right; the sums of its section 3. */
#include "login/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/utf8.h"
#include "login/password.h"

/* ---- grammar -------------------------------------------------------------------------------------------------------- */

static bool letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* value: value-char, which is all but NUL and ","; that it is UTF-8 was looked at before. */
static bool good_value(struct span s)
{
    return s.n > 0 && memchr(s.p, 0, s.n) == NULL;
}

/* saslname: "=" stands only in "=2C" and "=3D". */
static bool good_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '=' && !span_starts(span_from(s, i), SPAN("=2C")) && !span_starts(span_from(s, i), SPAN("=3D")))
            return false;
    return good_value(s);
}

/* printable = %x21-2B / %x2D-7E */
static bool good_nonce(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.n > 0 && s.n <= SCRAM_NONCE;
}

/* The next attribute, if it is that one, and what is behind its "="; moves on behind the comma. */
static bool take(struct span *rest, char attribute, struct span *value)
{
    struct span all = *rest, one = span_split(rest, ',');

    if (all.p == NULL || one.n < 2 || one.p[0] != attribute || one.p[1] != '=')
        return false;
    *value = span_from(one, 2);
    return true;
}

/* extensions = attr-val *("," attr-val); which ones does not matter, but "m" is one that must not be passed over. */
static bool good_extensions(struct span rest)
{
    while (rest.p != NULL) {
        struct span one = span_split(&rest, ',');
        if (one.n < 3 || !letter(one.p[0]) || one.p[0] == 'm' || one.p[1] != '=' || !good_value(span_from(one, 2)))
            return false;
    }
    return true;
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-") */
static bool good_binding(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return s.n > 0;
}

int scram_first_parse(struct span in, struct scram_first *out)
{
    struct span rest = in, flag = span_split(&rest, ','), authzid;

    memset(out, 0, sizeof *out);
    if (!utf8_valid(in) || rest.p == NULL || flag.n == 0)
        return -1;
    out->flag = flag.p[0];
    if (out->flag == 'p') {
        out->binding = span_from(flag, 2);
        if (flag.n < 3 || flag.p[1] != '=' || !good_binding(out->binding))
            return -1;
    } else if (flag.n != 1 || (out->flag != 'n' && out->flag != 'y')) {
        return -1;
    }
    authzid = span_split(&rest, ',');
    if (rest.p == NULL)
        return -1;
    if (authzid.n > 0) {
        out->authzid = span_from(authzid, 2);
        if (!span_starts(authzid, SPAN("a=")) || !good_name(out->authzid))
            return -1;
    }
    out->gs2 = span_sub(in, 0, (size_t)(rest.p - in.p));
    out->bare = rest;
    if (!take(&rest, 'n', &out->name) || !good_name(out->name) || !take(&rest, 'r', &out->nonce) ||
        !good_nonce(out->nonce))
        return -1;
    return good_extensions(rest) ? 0 : -1;
}

int scram_final_parse(struct span in, struct scram_final *out)
{
    ptrdiff_t comma = span_rfind_char(in, ',');
    struct span rest = span_sub(in, 0, (size_t)MAX_OF(comma, (ptrdiff_t)0));
    struct span proof = span_from(in, (size_t)(comma + 1));

    memset(out, 0, sizeof *out);
    if (!utf8_valid(in) || comma <= 0 || !span_starts(proof, SPAN("p=")))
        return -1;
    out->without_proof = rest;
    out->proof = span_from(proof, 2);
    if (!take(&rest, 'c', &out->binding) || !good_value(out->binding) || !take(&rest, 'r', &out->nonce) ||
        !good_value(out->proof))
        return -1;
    return out->nonce.n > 0 && good_extensions(rest) ? 0 : -1;
}

size_t scram_name_decode(struct span name, char out[SCRAM_NAME])
{
    size_t n = 0;

    if (name.n > SCRAM_NAME || !good_name(name))
        return 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '=') {
            out[n++] = name.p[i];
        } else {
            out[n++] = name.p[i + 1] == '2' ? ',' : '=';
            i += 2;
        }
    }
    return n;
}

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

static const EVP_MD *md_of(enum scram_hash h)
{
    return h == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
}

size_t scram_key_size(enum scram_hash h)
{
    return h == SCRAM_SHA1 ? 20 : 32;
}

static void hmac(enum scram_hash h, const unsigned char *key, struct span text, unsigned char out[SCRAM_KEY])
{
    unsigned n = SCRAM_KEY;

    if (HMAC(md_of(h), key, (int)scram_key_size(h), (const unsigned char *)text.p, text.n, out, &n) == NULL)
        base_die("HMAC is not to be had");
}

static void hash(enum scram_hash h, const unsigned char *in, unsigned char out[SCRAM_KEY])
{
    if (EVP_Digest(in, scram_key_size(h), out, NULL, md_of(h), NULL) != 1)
        base_die("no hash is to be had");
}

int scram_derive(enum scram_hash h, const struct password *p, struct span salt, uint32_t iterations,
                 unsigned char stored_key[SCRAM_KEY], unsigned char server_key[SCRAM_KEY])
{
    unsigned char salted[SCRAM_KEY], client[SCRAM_KEY];
    int ok = PKCS5_PBKDF2_HMAC(p->b, (int)p->n, (const unsigned char *)salt.p, (int)salt.n, (int)iterations, md_of(h),
                               (int)scram_key_size(h), salted);

    if (ok == 1) {
        hmac(h, salted, SPAN("Client Key"), client);
        hash(h, client, stored_key);
        hmac(h, salted, SPAN("Server Key"), server_key);
    }
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client, sizeof client);
    return ok == 1 ? 0 : -1;
}

bool scram_proves(enum scram_hash h, const unsigned char *stored_key, struct span auth_message, struct span proof)
{
    unsigned char key[SCRAM_KEY], own[SCRAM_KEY];
    size_t n = scram_key_size(h);
    bool same;

    if (proof.n != n)
        return false;
    hmac(h, stored_key, auth_message, key); /* ClientSignature; with the proof it gives the ClientKey */
    for (size_t i = 0; i < n; i++)
        key[i] ^= (unsigned char)proof.p[i];
    hash(h, key, own);
    same = CRYPTO_memcmp(own, stored_key, n) == 0;
    OPENSSL_cleanse(key, sizeof key);
    return same;
}

size_t scram_sign(enum scram_hash h, const unsigned char *server_key, struct span auth_message,
                  unsigned char out[SCRAM_KEY])
{
    hmac(h, server_key, auth_message, out);
    return scram_key_size(h);
}
