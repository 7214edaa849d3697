/* The grammar of RFC 5321 4.1.2 and 4.1.3, rule by rule. Each `take_*` says how many bytes at the start of a span its
 * rule matches, or a negative enum smtp_error; all move only forward. */
#include "smtp/smtp_grammar.h"

#include "base/num.h"
#include "base/utf8.h"

#include <arpa/inet.h>

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, LABEL_MAX = 63, PATH_MAX_OCTETS = 256 };

/* What a domain may hold beside letters, digits and hyphens. */
enum domain_may {
    UNDERSCORE = 1, /* too many clients have one in their host name */
    U_LABELS = 2,   /* RFC 6531 3.3 */
};

static bool is_alpha(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_let_dig(unsigned char c)
{
    return is_alpha(c) || is_digit(c);
}

/* RFC 5322 3.2.3 */
static bool is_atext(unsigned char c)
{
    return is_let_dig(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static unsigned char at(struct span s, size_t i)
{
    return i < s.n ? (unsigned char)s.p[i] : 0; /* NUL belongs to no rule, so it ends every one */
}

/* What a rule says that met `c` where it cannot go on. */
static ptrdiff_t refuse(unsigned char c, ptrdiff_t error)
{
    return c >= 0x80 ? SMTP_8BIT : error;
}

/* sub-domain = Let-dig [Ldh-str] / U-label. may: enum domain_may. */
static ptrdiff_t take_label(struct span in, unsigned may)
{
    size_t n = 0;
    bool ascii = true;
    for (;; n++) {
        unsigned char c = at(in, n);
        if (c >= 0x80 && (may & U_LABELS))
            ascii = false;
        else if (!is_let_dig(c) && c != '-' && (c != '_' || !(may & UNDERSCORE)))
            break;
    }
    if (n == 0 || in.p[0] == '-' || in.p[n - 1] == '-')
        return refuse(at(in, n), SMTP_BAD_ADDRESS);
    /* RFC 5890 4.2: the limit is one of A-labels; what a U-label comes to is seen when it is folded */
    return n <= LABEL_MAX || !ascii ? (ptrdiff_t)n : SMTP_TOO_LONG;
}

static ptrdiff_t take_domain(struct span in, unsigned may)
{
    size_t n = 0;
    for (;;) {
        ptrdiff_t r = take_label(span_from(in, n), may);
        if (r < 0)
            return r;
        n += (size_t)r;
        if (n > DOMAIN_MAX)
            return SMTP_TOO_LONG; /* RFC 5321 4.5.3.1.2 */
        if (at(in, n) != '.')
            return (ptrdiff_t)n;
        n++;
    }
}

ptrdiff_t smtp_grammar_domain(struct span in)
{
    return take_domain(in, 0);
}

static bool literal_ok(struct span text)
{
    char z[64];
    unsigned char ip[16];
    bool v6 = span_starts_nocase(text, SPAN("IPv6:"));
    if (v6)
        text = span_from(text, 5);
    if (text.n == 0)
        return false;
    if (v6 || span_find_char(text, ':') < 0) {
        if (text.n >= sizeof z)
            return false;
        memcpy(z, text.p, text.n);
        z[text.n] = 0;
        return inet_pton(v6 ? AF_INET6 : AF_INET, z, ip) == 1;
    }
    /* General-address-literal = Standardized-tag ":" 1*dcontent; the tag is an Ldh-str */
    size_t colon = (size_t)span_find_char(text, ':');
    if (colon == 0 || colon + 1 == text.n || !is_let_dig(at(text, colon - 1)))
        return false;
    for (size_t i = 0; i < colon; i++)
        if (!is_let_dig(at(text, i)) && at(text, i) != '-')
            return false;
    return true;
}

ptrdiff_t smtp_grammar_literal(struct span in)
{
    size_t n = 1;
    if (at(in, 0) != '[')
        return refuse(at(in, 0), SMTP_BAD_ADDRESS);
    /* dcontent: printable but [ \ ] */
    while (at(in, n) > 32 && at(in, n) < 127 && at(in, n) != '[' && at(in, n) != '\\' && at(in, n) != ']')
        n++;
    if (at(in, n) != ']' || !literal_ok(span_sub(in, 1, n - 1)))
        return refuse(at(in, n), SMTP_BAD_ADDRESS);
    return n + 1 <= DOMAIN_MAX ? (ptrdiff_t)n + 1 : SMTP_TOO_LONG;
}

/* Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE: printable ASCII and space; and UTF-8 (RFC 6531 3.3) */
static ptrdiff_t take_quoted(struct span in)
{
    size_t n = 1;
    while (at(in, n) >= 32 && at(in, n) != 127 && at(in, n) != '"') {
        if (at(in, n) == '\\' && (at(in, ++n) < 32 || at(in, n) >= 127))
            return refuse(at(in, n), SMTP_BAD_ADDRESS);
        n++;
    }
    return at(in, n) == '"' ? (ptrdiff_t)n + 1 : refuse(at(in, n), SMTP_BAD_ADDRESS);
}

/* Local-part = Dot-string / Quoted-string */
ptrdiff_t smtp_grammar_local(struct span in)
{
    size_t n = 0;
    if (at(in, 0) == '"')
        return take_quoted(in);
    for (;;) {
        size_t atom = n;
        while (is_atext(at(in, n)) || at(in, n) >= 0x80) /* RFC 6531 3.3 */
            n++;
        if (n == atom)
            return refuse(at(in, n), SMTP_BAD_ADDRESS);
        if (at(in, n) != '.')
            return (ptrdiff_t)n;
        n++;
    }
}

/* A-d-l ":" = "@" Domain *("," "@" Domain) ":". RFC 5321 4.1.1.3: accepted, ignored. 0 when there is none. */
static ptrdiff_t take_route(struct span in)
{
    size_t n = 0;
    if (at(in, 0) != '@')
        return 0;
    while (at(in, n) == '@') {
        ptrdiff_t r = take_domain(span_from(in, n + 1), UNDERSCORE);
        if (r < 0)
            return r;
        n += 1 + (size_t)r;
        if (at(in, n) == ':')
            return (ptrdiff_t)n + 1;
        if (at(in, n) != ',')
            break;
        n++;
    }
    return refuse(at(in, n), SMTP_BAD_ADDRESS);
}

/* Mailbox = Local-part "@" ( Domain / address-literal ) */
static ptrdiff_t take_mailbox(struct span in, struct smtp_path *out)
{
    ptrdiff_t r = smtp_grammar_local(in);
    if (r < 0)
        return r;
    size_t n = (size_t)r;
    out->local = span_sub(in, 0, n);
    if (at(in, n) != '@') {
        out->domain = SPAN_NONE;
        return (ptrdiff_t)n;
    }
    struct span domain = span_from(in, n + 1);
    r = at(domain, 0) == '[' ? smtp_grammar_literal(domain) : take_domain(domain, U_LABELS);
    if (r < 0)
        return r;
    out->domain = span_sub(domain, 0, (size_t)r);
    struct span all = span_sub(in, 0, n + 1 + (size_t)r);
    out->utf8 = !utf8_ascii(all);
    return utf8_valid(all) ? (ptrdiff_t)all.n : SMTP_8BIT;
}

/* "<" [A-d-l ":"] Mailbox ">". forward: RFC 5321 4.5.3.1.1 holds its local part to 64 octets; a reverse-path may have
 * more (VERP and SRS addresses of others do, and 4.5.3.1 asks to take what one can). */
static ptrdiff_t take_path(struct span in, bool forward, struct smtp_path *out)
{
    *out = (struct smtp_path){0};
    if (at(in, 0) != '<')
        return refuse(at(in, 0), SMTP_BAD_SYNTAX);
    if (at(in, 1) == '>' && !forward) {
        out->null = true;
        return 2;
    }
    ptrdiff_t r = take_route(span_from(in, 1));
    if (r < 0)
        return r;
    size_t n = 1 + (size_t)r;
    r = take_mailbox(span_from(in, n), out);
    if (r < 0)
        return r;
    if (at(in, n + (size_t)r) != '>')
        return refuse(at(in, n + (size_t)r), SMTP_BAD_ADDRESS);
    /* RFC 5321 4.5.1: <postmaster> alone, in any case, has a meaning without a domain */
    if (out->domain.n == 0 && !(forward && n == 1 && span_eq_nocase(out->local, SPAN("postmaster"))))
        return SMTP_BAD_ADDRESS;
    if ((forward && out->local.n > LOCAL_MAX) || (size_t)r + 2 > PATH_MAX_OCTETS)
        return SMTP_TOO_LONG;
    return (ptrdiff_t)n + r + 1;
}

/* ---- commands --------------------------------------------------------------------------------------------------------- */

ptrdiff_t smtp_grammar_command(struct span line, struct span *verb, struct span *args)
{
    if (!is_alpha(at(line, 0)))
        return SMTP_BAD_SYNTAX;
    for (size_t i = 0; i < line.n; i++) /* a NUL or a bare CR inside a command (RFC 5321 2.3.8) is refused here */
        if (at(line, i) < 32 ? at(line, i) != '\t' : at(line, i) == 127)
            return SMTP_BAD_SYNTAX;
    struct span rest = line;
    *verb = span_split(&rest, ' ');
    *args = rest.p != NULL ? span_trim(rest) : span_of(line.p + line.n, 0);
    *verb = span_trim(*verb);
    return (ptrdiff_t)line.n;
}

ptrdiff_t smtp_grammar_helo(struct span args, struct span *name)
{
    ptrdiff_t r = at(args, 0) == '[' ? smtp_grammar_literal(args) : take_domain(args, UNDERSCORE);
    if (r < 0)
        return r;
    if ((size_t)r != args.n)
        return refuse(at(args, (size_t)r), SMTP_BAD_SYNTAX);
    *name = args;
    return r;
}

static ptrdiff_t path_command(struct span args, struct span word, enum smtp_command on, unsigned ext,
                              struct smtp_path *path, struct smtp_params *params)
{
    *params = (struct smtp_params){0};
    if (!span_starts_nocase(args, word))
        return SMTP_BAD_SYNTAX;
    size_t n = word.n;
    while (at(args, n) == ' ') /* RFC 5321 3.3 forbids it, old clients send it, nothing is ambiguous about it */
        n++;
    ptrdiff_t r = take_path(span_from(args, n), on == SMTP_RCPT, path);
    if (r < 0)
        return r;
    int bad = smtp_param_take(span_from(args, n + (size_t)r), on, ext, params);
    /* RFC 6531 3.4: the parameter of MAIL allows it, there and in the RCPTs behind */
    if (bad == 0 && path->utf8 && !(on == SMTP_MAIL ? params->utf8 : (ext & SMTP_EXT_UTF8) != 0))
        return SMTP_8BIT;
    return bad < 0 ? bad : (ptrdiff_t)args.n;
}

ptrdiff_t smtp_grammar_mail(struct span args, unsigned ext, struct smtp_path *path, struct smtp_params *params)
{
    return path_command(args, SPAN("FROM:"), SMTP_MAIL, ext, path, params);
}

ptrdiff_t smtp_grammar_rcpt(struct span args, unsigned ext, struct smtp_path *path, struct smtp_params *params)
{
    return path_command(args, SPAN("TO:"), SMTP_RCPT, ext, path, params);
}

ptrdiff_t smtp_grammar_bdat(struct span args, uint64_t *size, bool *last)
{
    struct span rest = args, number = span_split(&rest, ' ');
    if (num_u64(number, INT64_MAX, size) < 0)
        return SMTP_BAD_SYNTAX;
    rest = rest.p != NULL ? span_trim(rest) : rest;
    *last = rest.n > 0;
    return rest.n == 0 || span_eq_nocase(rest, SPAN("LAST")) ? (ptrdiff_t)args.n : SMTP_BAD_SYNTAX;
}

void smtp_grammar_address(struct str *out, const struct smtp_path *path)
{
    struct span local = path->local;
    if (local.n >= 2 && local.p[0] == '"') {
        for (size_t i = 1; i + 1 < local.n; i++) {
            if (local.p[i] == '\\')
                i++;
            str_addc(out, local.p[i]);
        }
    } else {
        str_add(out, local);
    }
    if (path->domain.n > 0) {
        str_addc(out, '@');
        str_add(out, path->domain);
    }
}
