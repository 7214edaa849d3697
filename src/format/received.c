/* received: writes and counts Received fields. */
#include "format/received.h"

#include "base/clock.h"
#include "format/header.h"
#include "format/header_name.h"

/* Domains, literals, addresses, protocol words. Parentheses, brackets of <>, `;`, quotes and all that is not printable
 * ASCII would change what the field says. */
static bool plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr(".-_:[]+=/@!#$%&'*^`{|}~", c) != NULL);
}

static void add_plain(struct str *out, struct span s, bool blanks)
{
    s = span_sub(s, 0, 255); /* RFC 5321 4.5.3.1.2: no domain is longer */
    for (size_t i = 0; i < s.n; i++)
        str_addc(out, plain((unsigned char)s.p[i]) || (blanks && s.p[i] == ' ') ? s.p[i] : '?');
}

static void clause(struct str *out, const char *before, struct span s, const char *after)
{
    if (s.n == 0)
        return;
    str_addz(out, before);
    add_plain(out, s, true);
    str_addz(out, after);
}

void received_write(struct str *out, const struct received *r)
{
    char date[32];
    struct str v;
    struct span cipher = r->tls, version = span_split(&cipher, ' ');
    str_init(&v, out->mem);
    str_addz(&v, "from ");
    add_plain(&v, r->helo.n > 0 ? r->helo : SPAN("unknown"), false);
    /* RFC 5321 4.1.3: an address literal names its family when that is IPv6 */
    clause(&v, span_find_char(r->peer, ':') >= 0 ? " ([IPv6:" : " ([", r->peer, "])");
    clause(&v, " by ", r->by, "");
    clause(&v, " with ", r->protocol, "");
    clause(&v, " (", version, ")");
    clause(&v, " id ", r->id, "");
    clause(&v, " for <", r->rcpt, ">");
    clause(&v, " tls ", cipher, ""); /* RFC 8314 4.3: by its registered name, behind the clauses of RFC 5321 */
    clock_rfc5322(r->time_s, date);
    str_addz(&v, "; ");
    str_addz(&v, date);
    if (header_write(out, SPAN("Received"), str_span(&v)) != 0)
        base_die("received: a field that cannot be written"); /* add_plain let through what it must not */
}

size_t received_count(struct span message)
{
    struct header_reader r;
    struct header_field f;
    size_t n = 0;
    header_begin(&r, message);
    while (header_next(&r, &f))
        n += header_name_find(f.name) == HEADER_RECEIVED;
    return n;
}
