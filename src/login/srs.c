/* srs: the hash is HMAC-SHA-256 cut to 30 bits: six letters that survive any server which changes case, and cost little
 * of the 64 octets. A guess buys a bounce to one address; the time in it makes an overheard one worthless. */
#include "login/srs.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "login/login_name.h"

enum { HASH = 6, DAY_S = 24 * 3600, CYCLE = 1024 /* days of two letters */ };

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 6 */

void srs_key(struct span secret, unsigned char key[SRS_KEY])
{
    unsigned n = SRS_KEY;

    HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)"srs", 3, key, &n);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Of `what` in lower case. */
static void hash_of(const unsigned char key[SRS_KEY], struct span what, char out[HASH])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char low[512];
    unsigned n = 0;
    uint32_t bits;

    assert(what.n <= sizeof low);
    for (size_t i = 0; i < what.n; i++)
        low[i] = lower(what.p[i]);
    HMAC(EVP_sha256(), key, SRS_KEY, (unsigned char *)low, what.n, mac, &n);
    bits = (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];
    for (int i = 0; i < HASH; i++, bits <<= 5)
        out[i] = letters[bits >> 27];
}

/* "SRS0=" or "SRS0+", "SRS0-": the separator behind the tag is free (the paper's section on separators). */
static bool tagged(struct span local, char digit)
{
    return local.n > 5 && span_starts_nocase(local, SPAN("SRS")) && local.p[3] == digit &&
           memchr("=+-", local.p[4], 3) != NULL;
}

bool srs_is(struct span local)
{
    return tagged(local, '0') || tagged(local, '1');
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static struct span sign(const unsigned char key[SRS_KEY], char digit, struct span what, struct span domain,
                        struct arena *mem)
{
    char hash[HASH];

    if (5 + HASH + 1 + what.n > LOGIN_NAME_LOCAL)
        return SPAN_NONE;
    hash_of(key, what, hash);
    return arena_printf(mem, "SRS%c=%.*s=%.*s@%.*s", digit, HASH, hash, SPAN_ARGS(what), SPAN_ARGS(domain));
}

struct span srs_forward(const unsigned char key[SRS_KEY], struct span sender, struct span domain, int64_t now_s,
                        struct arena *mem)
{
    ptrdiff_t at = span_rfind_char(sender, '@');
    struct span local = span_sub(sender, 0, (size_t)MAX_OF(at, (ptrdiff_t)0));
    struct span from = span_from(sender, (size_t)(at + 1)), what;
    unsigned day = (unsigned)(now_s / DAY_S % CYCLE);

    if (at <= 0)
        return SPAN_NONE;
    if (tagged(local, '0')) { /* made elsewhere: we stand behind its maker, which can undo it */
        what = arena_printf(mem, "%.*s=%.*s", SPAN_ARGS(from), SPAN_ARGS(span_from(local, 4)));
        return sign(key, '1', what, domain, mem);
    }
    if (tagged(local, '1')) { /* we take the place of whoever stands behind the first one */
        struct span rest = span_from(local, 5);
        span_split(&rest, '=');
        if (rest.p != NULL && span_find(rest, SPAN("=")) > 0)
            return sign(key, '1', rest, domain, mem);
    }
    what = arena_printf(mem, "%c%c=%.*s=%.*s", letters[day >> 5], letters[day & 31], SPAN_ARGS(from), SPAN_ARGS(local));
    return sign(key, '0', what, domain, mem);
}

/* ---- reverse ----------------------------------------------------------------------------------------------------- */

static int letter(char c)
{
    const char *p = memchr(letters, lower(c), 32);

    return p != NULL ? (int)(p - letters) : -1;
}

/* "tt=domain=local" -> local@domain */
static struct span reverse_0(struct span what, int64_t now_s, struct arena *mem)
{
    struct span time = span_split(&what, '='), domain = span_split(&what, '=');
    int64_t age;

    if (time.n != 2 || letter(time.p[0]) < 0 || letter(time.p[1]) < 0 || domain.n == 0 || what.n == 0)
        return SPAN_NONE;
    age = (now_s / DAY_S - letter(time.p[0]) * 32 - letter(time.p[1])) % CYCLE;
    if ((age + CYCLE) % CYCLE > SRS_DAYS)
        return SPAN_NONE;
    return arena_printf(mem, "%.*s@%.*s", SPAN_ARGS(what), SPAN_ARGS(domain));
}

/* "domain==hash=tt=..." -> SRS0=hash=tt=...@domain; the second "=" is the first maker's separator. */
static struct span reverse_1(struct span what, struct arena *mem)
{
    struct span domain = span_split(&what, '=');

    if (domain.n == 0 || what.n < 2 || memchr("=+-", what.p[0], 3) == NULL)
        return SPAN_NONE;
    return arena_printf(mem, "SRS0%.*s@%.*s", SPAN_ARGS(what), SPAN_ARGS(domain));
}

struct span srs_reverse(const unsigned char key[SRS_KEY], struct span local, int64_t now_s, struct arena *mem)
{
    struct span what = span_from(local, 5 + HASH + 1);
    char hash[HASH];
    unsigned wrong = 0;

    if (!srs_is(local) || local.n > LOGIN_NAME_LOCAL || what.n == 0 || local.p[5 + HASH] != '=')
        return SPAN_NONE;
    hash_of(key, what, hash);
    for (int i = 0; i < HASH; i++)
        wrong |= (unsigned char)(hash[i] ^ lower(local.p[5 + i]));
    if (wrong != 0)
        return SPAN_NONE;
    return local.p[3] == '0' ? reverse_0(what, now_s, mem) : reverse_1(what, mem);
}
