/* login_name: folding of local parts and domains, and the strict rules for new ones. */
#include "login/login_name.h"

#include <idn2.h>

#include "base/utf8.h"
#include "format/idna.h"
#include "login/precis.h"

static bool ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static void lower(char *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
}

size_t login_name_fold_local(struct span local, char out[LOGIN_NAME_LOCAL])
{
    if (local.n == 0)
        return 0;
    if (!ascii(local))
        return precis_fold(local, out, LOGIN_NAME_LOCAL);
    if (local.n > LOGIN_NAME_LOCAL)
        return 0;
    lower(out, local);
    return local.n;
}

size_t login_name_fold_domain(struct span domain, char out[LOGIN_NAME_DOMAIN])
{
    if (domain.n == 0)
        return 0;
    if (!ascii(domain))
        return idna_ascii(domain, out, LOGIN_NAME_DOMAIN);
    if (domain.n > LOGIN_NAME_DOMAIN)
        return 0;
    lower(out, domain);
    return domain.n;
}

size_t login_name_fold(struct span address, char out[LOGIN_NAME_BYTES], size_t *at)
{
    ptrdiff_t cut = span_rfind_char(address, '@');
    size_t l, d;

    if (cut <= 0)
        return 0;
    l = login_name_fold_local(span_sub(address, 0, (size_t)cut), out);
    if (l == 0)
        return 0;
    out[l] = '@';
    d = login_name_fold_domain(span_from(address, (size_t)cut + 1), out + l + 1);
    *at = l;
    return d == 0 ? 0 : l + 1 + d;
}

/* ---- what may be created -------------------------------------------------------------------------------------- */

/* An xn-- label must be the A-label of something (RFC 5891 5.4), or two spellings could name one domain. */
static bool real_a_labels(struct span domain)
{
    char z[LOGIN_NAME_DOMAIN + 1], again[LOGIN_NAME_DOMAIN], *u = NULL;
    size_t n;

    memcpy(z, domain.p, domain.n);
    z[domain.n] = 0;
    if (idn2_to_unicode_8z8z(z, &u, 0) != IDN2_OK)
        return false;
    n = login_name_fold_domain(span_z(u), again);
    idn2_free(u);
    return span_eq(span_of(again, n), domain);
}

static bool good_label(struct span label)
{
    if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    if (label.n >= 4 && label.p[2] == '-' && label.p[3] == '-' && !span_starts(label, SPAN("xn--")))
        return false; /* RFC 5891 4.2.3.1: reserved */
    for (size_t i = 0; i < label.n; i++)
        if (!((label.p[i] >= 'a' && label.p[i] <= 'z') || (label.p[i] >= '0' && label.p[i] <= '9') || label.p[i] == '-'))
            return false;
    return true;
}

int login_name_new_domain(struct span domain, char out[LOGIN_NAME_DOMAIN], size_t *n, struct fail *f)
{
    struct span rest, label = SPAN_NONE;
    size_t labels = 0;

    if (domain.n > 0 && (domain.p[0] == '[' || span_find_char(domain, ':') >= 0))
        return fail_perm(f, "5.1.2", "An address literal is no domain: name a domain such as example.org.");
    *n = login_name_fold_domain(domain, out);
    rest = span_of(out, *n);
    if (*n == 0)
        return fail_perm(f, "5.1.2", "That is no domain name, or it is longer than %d octets.", LOGIN_NAME_DOMAIN);
    while (rest.p != NULL) {
        label = span_split(&rest, '.');
        labels++;
        if (!good_label(label))
            return fail_perm(f, "5.1.2", "Labels of a domain are 1 to 63 letters, digits and inner hyphens.");
    }
    if (labels < 2)
        return fail_perm(f, "5.1.2", "A domain needs at least one dot: name it in full.");
    if (label.p[0] >= '0' && label.p[0] <= '9')
        return fail_perm(f, "5.1.2", "The last label of a domain does not begin with a digit.");
    if (!real_a_labels(span_of(out, *n)))
        return fail_perm(f, "5.1.2", "That is no valid internationalized domain name (IDNA2008).");
    return 0;
}

/* RFC 5321 4.1.2 Dot-string; `signs` are allowed beside letters and digits. */
static bool dot_string(struct span local, const char *signs)
{
    if (local.n == 0 || local.p[0] == '.' || local.p[local.n - 1] == '.' || span_find(local, SPAN("..")) >= 0)
        return false;
    for (size_t i = 0; i < local.n; i++) {
        char c = local.p[i];
        if ((unsigned char)c < 0x80 && c != '.' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') &&
            (c == 0 || strchr(signs, c) == NULL))
            return false;
    }
    return true;
}

/* Without what has been read as a path, a pipe or a route, and without the "*" of wildcards. */
static bool good_local(struct span local)
{
    return dot_string(local, "#$&'+-=?^_`{}~") && precis_identifier(local);
}

int login_name_new(struct span address, char out[LOGIN_NAME_BYTES], size_t *n, size_t *at, struct fail *f)
{
    ptrdiff_t cut = span_rfind_char(address, '@');
    size_t l, d;

    if (cut <= 0)
        return fail_perm(f, "5.1.3", "An address has the form name@domain.");
    l = login_name_fold_local(span_sub(address, 0, (size_t)cut), out);
    if (l == 0)
        return fail_perm(f, "5.1.3", "The part before the @ is not UTF-8, or longer than %d octets.", LOGIN_NAME_LOCAL);
    if (!good_local(span_of(out, l)))
        return fail_perm(f, "5.1.3", "The part before the @ holds a character that no address here may have.");
    out[l] = '@';
    if (login_name_new_domain(span_from(address, (size_t)cut + 1), out + l + 1, &d, f) < 0)
        return -1;
    *at = l;
    *n = l + 1 + d;
    if (*n > 254) /* RFC 5321 4.5.3.1.3: a path is at most 256 octets, brackets included */
        return fail_perm(f, "5.1.3", "An address has at most 254 octets.");
    return 0;
}

int login_name_elsewhere(struct span address, char out[LOGIN_NAME_BYTES], size_t *n, struct fail *f)
{
    ptrdiff_t cut = span_rfind_char(address, '@');
    struct span local = span_sub(address, 0, (size_t)MAX_OF(cut, (ptrdiff_t)0));
    size_t d;

    if (local.n > LOGIN_NAME_LOCAL || !dot_string(local, "!#$%&'*+-/=?^_`{|}~") || !utf8_valid(local))
        return fail_perm(f, "5.1.3", "%.*s is no address.", (int)MIN_OF(address.n, (size_t)80), address.p);
    memcpy(out, address.p, local.n + 1);
    if (login_name_new_domain(span_from(address, local.n + 1), out + local.n + 1, &d, f) < 0)
        return -1;
    *n = local.n + 1 + d;
    return 0;
}
