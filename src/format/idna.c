/* idna: U-labels to A-labels, by libidn2. TR46's mapping runs first, as every client does it: people type capitals. */
#include "format/idna.h"

#include <idn2.h>

#include "base/utf8.h"

enum { DOMAIN_MOST = 1020 }; /* bytes before the mapping: four times what a name in DNS may have */

static void lower(char *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
}

/* RFC 5891 5, with the code points and contexts of RFC 5892 and the Bidi rule of RFC 5893 2 */
size_t idna_ascii(struct span domain, char *out, size_t room)
{
    char z[DOMAIN_MOST + 1];
    uint8_t *a = NULL;
    if (domain.n >= sizeof z || domain.n == 0)
        return 0;
    if (utf8_ascii(domain)) {
        if (domain.n > room)
            return 0;
        lower(out, domain);
        return domain.n;
    }
    if (memchr(domain.p, 0, domain.n) != NULL || !utf8_valid(domain))
        return 0;
    memcpy(z, domain.p, domain.n);
    z[domain.n] = 0;
    if (idn2_lookup_u8((const uint8_t *)z, &a, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES) !=
        IDN2_OK)
        return 0;
    size_t n = strlen((char *)a);
    if (n > room)
        n = 0;
    lower(out, span_of(a, n));
    idn2_free(a);
    return n;
}
