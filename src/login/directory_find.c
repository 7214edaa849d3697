/* directory_find: the order in which names are tried. One address costs one lookup when it is somebody's name; the
 * others a lookup per sign in it, and per character only in domains that have wildcards. */
#include "login/directory_find.h"

static struct span domain_of(const struct directory_found *f)
{
    return span_of(f->folded + f->at + 1, f->n - f->at - 1);
}

size_t directory_find_home(const struct directory_cache *c, char folded[LOGIN_NAME_BYTES], size_t n, size_t at)
{
    struct directory_domain *d = directory_cache_home(c, span_of(folded + at + 1, n - at - 1));
    size_t length;

    if (d == NULL)
        return n;
    length = strlen(d->name);
    if (at + 1 + length > LOGIN_NAME_BYTES)
        return 0;
    memcpy(folded + at + 1, d->name, length);
    return at + 1 + length;
}

/* The name that is the first `local` characters, then `more`, then the domain. */
static struct directory_name *look(const struct directory_cache *c, const struct directory_found *f, size_t local,
                                   const char *more)
{
    char key[LOGIN_NAME_BYTES + 2];
    int n = snprintf(key, sizeof key, "%.*s%s@%.*s", (int)local, f->folded, more, SPAN_ARGS(domain_of(f)));

    return n > 0 && (size_t)n < sizeof key ? directory_cache_name(c, span_of(key, (size_t)n)) : NULL;
}

static bool by_subaddress(const struct directory_cache *c, struct directory_found *f)
{
    for (size_t i = f->at; c->sign != 0 && i-- > 1;)
        if (f->folded[i] == c->sign && (f->name = look(c, f, i, "")) != NULL) {
            f->detail = i + 1;
            f->detail_n = f->at - i - 1;
            return true;
        }
    return false;
}

static bool by_role(struct directory_found *f)
{
    struct span local = span_of(f->folded, f->at);

    if (!span_eq(local, SPAN("postmaster")) && !span_eq(local, SPAN("abuse")))
        return false;
    f->account = f->domain->admin;
    return true;
}

static bool by_wildcard(const struct directory_cache *c, struct directory_found *f)
{
    for (size_t i = f->at + 1; f->domain->wild > 0 && i-- > 0;)
        if ((f->name = look(c, f, i, "*")) != NULL && f->name->targets != NULL)
            return true;
    f->name = NULL;
    return false;
}

bool directory_find(struct directory_cache *c, struct span address, struct directory_found *out)
{
    ptrdiff_t cut = span_rfind_char(address, '@');

    memset(out, 0, offsetof(struct directory_found, folded));
    if (cut < 0 && c->first != NULL && span_eq_nocase(address, SPAN("postmaster"))) { /* RFC 5321 4.5.1 */
        out->at = address.n;
        out->n = (size_t)snprintf(out->folded, sizeof out->folded, "postmaster@%s", c->first->name);
    } else {
        out->n = login_name_fold(address, out->folded, &out->at);
    }
    if (out->n == 0) { /* a local part that can be nobody's name, too long for instance: still, whose domain is it? */
        out->at = 0;
        out->n = 1 + login_name_fold_domain(span_from(address, (size_t)(cut + 1)), out->folded + 1);
        out->domain = cut < 0 ? NULL : directory_cache_home(c, domain_of(out));
        out->n = 0;
        return out->domain != NULL;
    }
    out->domain = directory_cache_home(c, domain_of(out));
    if (out->domain == NULL)
        return false;
    out->n = directory_find_home(c, out->folded, out->n, out->at);
    if (out->n == 0)
        return true;
    out->name = directory_cache_name(c, span_of(out->folded, out->n));
    if (out->name == NULL && !by_subaddress(c, out) && !by_role(out))
        by_wildcard(c, out);
    if (out->name != NULL)
        out->account = out->name->account;
    return true;
}
