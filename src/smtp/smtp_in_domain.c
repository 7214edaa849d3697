/* Has a domain somebody who takes its mail? Relay keeps the answers as long as they live. */
#include "smtp/smtp_in_domain.h"

#include <limits.h>

#include "run/dns.h"

WAITS enum smtp_in_domain smtp_in_domain_ask(struct span domain, struct arena *mem)
{
    struct dns_mx mx;
    struct dns_addresses own;
    enum dns_status is = dns_mx(domain, &mx, mem);
    if (is == DNS_OK)
        return mx.null_mx ? SMTP_IN_DOMAIN_NULL_MX : SMTP_IN_DOMAIN_OK;
    if (is == DNS_NODATA) /* RFC 5321 5.1: without an MX the domain is its own */
        is = dns_addresses(domain, &own, mem);
    if (is == DNS_OK)
        return SMTP_IN_DOMAIN_OK;
    return is == DNS_NXDOMAIN || is == DNS_NODATA ? SMTP_IN_DOMAIN_NONE : SMTP_IN_DOMAIN_UNKNOWN;
}

/* ---- did you mean ------------------------------------------------------------------------------------------------------ */

unsigned smtp_in_domain_distance(struct span a, struct span b)
{
    unsigned row[3][65]; /* the last three rows of the table: row[i % 3][j] makes b's first j of a's first i */
    if (a.n > 64 || b.n > 64)
        return UINT_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *twice = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned best = before[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = MIN_OF(best, MIN_OF(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                best = MIN_OF(best, twice[j - 2] + 1);
            now[j] = best;
        }
    }
    return row[a.n % 3][b.n];
}

struct span smtp_in_domain_suggest(struct span domain, struct span own)
{
    static const char *const common[] = {
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "yahoo.de",
        "icloud.com", "me.com", "aol.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "gmx.com", "gmx.at",
        "gmx.ch", "web.de", "t-online.de", "freenet.de", "posteo.de", "mailbox.org", "fastmail.com", "zoho.com",
        "yandex.ru", "mail.ru", "orange.fr", "free.fr", "laposte.net", "libero.it", "comcast.net", "qq.com", "163.com",
        "bluewin.ch", "hotmail.de", "outlook.de", "hotmail.fr", "yahoo.fr", "yahoo.co.uk", "hotmail.co.uk",
    };
    struct span best = own;
    unsigned least = own.n > 0 ? smtp_in_domain_distance(domain, own) : UINT_MAX;
    for (size_t i = 0; i < COUNT_OF(common); i++) {
        unsigned d = smtp_in_domain_distance(domain, span_z(common[i]));
        if (d < least) {
            least = d;
            best = span_z(common[i]);
        }
    }
    /* of a short name half would be another one */
    return least > 0 && least <= (domain.n < 8 ? 1u : 2u) ? best : SPAN_NONE;
}
