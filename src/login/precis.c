/* precis: preparation and enforcement of names and passwords with libunistring's tables. */
#include "login/precis.h"

#include <openssl/crypto.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

#include "base/utf8.h"

enum { PRECIS_MAX = 4096 }; /* bytes of one string; limit password_bytes goes no further */

/* RFC 8264 9.9: conjoining jamo of old Hangul */
static bool old_jamo(uint32_t cp)
{
    return (cp >= 0x1100 && cp <= 0x11ff) || (cp >= 0xa960 && cp <= 0xa97c) || (cp >= 0xd7b0 && cp <= 0xd7fb);
}

/* Neither class ever allows these (RFC 8264 8: unassigned, old jamo, ignorable, controls). */
static bool never_valid(uint32_t cp)
{
    return old_jamo(cp) || uc_is_property_default_ignorable_code_point(cp) || uc_is_property_not_a_character(cp) ||
           uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Cs |
                                                    UC_CATEGORY_MASK_Co);
}

/* RFC 8265 3.3.1, width mapping: fullwidth and halfwidth forms become what they stand for. */
static uint32_t width_map(uint32_t cp)
{
    ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
    int tag = 0;

    if (cp < 0x3000 || uc_decomposition(cp, &tag, parts) != 1)
        return cp;
    return tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW ? parts[0] : cp;
}

static uint32_t space_map(uint32_t cp)
{
    return uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Zs) ? ' ' : cp;
}

/* Puts each character through `map`. Returns the length, or 0 for bad UTF-8 or no room. */
static size_t map_each(struct span in, uint32_t (*map)(uint32_t), char *out, size_t cap)
{
    size_t n = 0;
    char one[4];

    while (in.n > 0) {
        uint32_t cp = 0;
        size_t used = utf8_decode(in, &cp), len;
        if (used == 0)
            return 0;
        len = utf8_encode(map(cp), one);
        if (len == 0 || n + len > cap)
            return 0;
        memcpy(out + n, one, len);
        n += len;
        in = span_from(in, used);
    }
    return n;
}

size_t precis_fold(struct span in, char *out, size_t cap)
{
    uint8_t wide[1024];
    size_t n, len = cap;
    uint8_t *r;

    if (in.n == 0 || in.n > sizeof wide)
        return 0;
    n = map_each(in, width_map, (char *)wide, sizeof wide);
    if (n == 0)
        return 0;
    r = u8_tolower(wide, n, NULL, UNINORM_NFC, (uint8_t *)out, &len);
    if (r == NULL)
        return 0;
    if (r != (uint8_t *)out) { /* did not fit, the library allocated */
        free(r);
        return 0;
    }
    return len;
}

/* RFC 8264 9.17: a compatibility decomposition makes it confusable with something else. */
static bool has_compat(uint32_t cp)
{
    uint32_t in[1] = {cp}, buf[32], *r;
    size_t n = COUNT_OF(buf);
    bool same;

    r = u32_normalize(UNINORM_NFKC, in, 1, buf, &n);
    same = r != NULL && n == 1 && r[0] == cp;
    if (r != NULL && r != buf)
        free(r);
    return !same;
}

static bool identifier_char(uint32_t cp)
{
    /* RFC 8264 9.6, exceptions that are PVALID; those that need a context are left out. */
    static const uint32_t pvalid[] = {0x00df, 0x03c2, 0x06fd, 0x06fe, 0x0f0b, 0x3007};
    static const uint32_t refused[] = {0x00b7, 0x0375, 0x05f3, 0x05f4, 0x30fb, 0x0640, 0x07fa, 0x302e, 0x302f,
                                       0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303b};

    for (size_t i = 0; i < COUNT_OF(pvalid); i++)
        if (cp == pvalid[i])
            return true;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (cp == refused[i])
            return false;
    if ((cp >= 0x0660 && cp <= 0x0669) || (cp >= 0x06f0 && cp <= 0x06f9))
        return false;
    if (cp < 0x80)
        return cp > 0x20 && cp < 0x7f;
    if (never_valid(cp) || has_compat(cp))
        return false;
    /* RFC 8264 9.1: letters and digits */
    return uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Lo |
                                                    UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
                                                    UC_CATEGORY_MASK_Mc);
}

#define BIDI(c) (1u << UC_BIDI_##c)

/* RFC 5893 2, conditions 1 to 6, over the whole string. */
static bool bidi_rule(const unsigned *classes, size_t n)
{
    unsigned all = 0, neutral = BIDI(ES) | BIDI(CS) | BIDI(ET) | BIDI(ON) | BIDI(BN) | BIDI(NSM) | BIDI(EN);
    size_t last = n;

    for (size_t i = 0; i < n; i++)
        all |= classes[i];
    if ((all & (BIDI(R) | BIDI(AL) | BIDI(AN))) == 0)
        return true;
    while (last > 0 && classes[last - 1] == BIDI(NSM))
        last--;
    if (last == 0)
        return false;
    if (classes[0] & (BIDI(R) | BIDI(AL)))
        return (all & ~(neutral | BIDI(R) | BIDI(AL) | BIDI(AN))) == 0 &&
               (classes[last - 1] & (BIDI(R) | BIDI(AL) | BIDI(EN) | BIDI(AN))) != 0 &&
               (all & (BIDI(EN) | BIDI(AN))) != (BIDI(EN) | BIDI(AN));
    return false; /* it holds right-to-left characters and does not begin with one */
}

bool precis_identifier(struct span folded)
{
    unsigned classes[256];
    size_t n = 0;

    while (folded.n > 0) {
        uint32_t cp = 0;
        size_t used = utf8_decode(folded, &cp);
        if (used == 0 || n == COUNT_OF(classes) || !identifier_char(cp))
            return false;
        classes[n++] = 1u << uc_bidi_class(cp);
        folded = span_from(folded, used);
    }
    return n > 0 && bidi_rule(classes, n);
}

size_t precis_opaque(struct span in, char *out, size_t cap)
{
    uint8_t spaced[PRECIS_MAX], *r;
    size_t n, len = cap;

    if (in.n == 0 || in.n > sizeof spaced)
        return 0;
    n = map_each(in, space_map, (char *)spaced, sizeof spaced);
    for (struct span rest = span_of(spaced, n); rest.n > 0;) {
        uint32_t cp = 0;
        rest = span_from(rest, utf8_decode(rest, &cp));
        if (never_valid(cp)) {
            n = 0;
            break;
        }
    }
    if (n > 0) {
        r = u8_normalize(UNINORM_NFC, spaced, n, (uint8_t *)out, &len);
        if (r != (uint8_t *)out) {
            if (r != NULL) {
                OPENSSL_cleanse(r, len);
                free(r);
            }
            len = 0;
        }
    }
    OPENSSL_cleanse(spaced, sizeof spaced);
    return n > 0 ? len : 0;
}
