/* directory_cache: maps of names, domains and accounts. The loop thread's alone. */
#include "login/directory_cache.h"

#include <openssl/crypto.h>

static char *copy_z(struct span s)
{
    char *z = base_alloc(s.n + 1);

    if (s.n > 0)
        memcpy(z, s.p, s.n);
    return z;
}

void directory_cache_init(struct directory_cache *c)
{
    memset(c, 0, sizeof *c);
    map_init(&c->names);
    map_init(&c->domains);
    map_init(&c->domain_aliases);
    map_init(&c->accounts);
}

static void account_free(struct directory_account *a)
{
    directory_cache_remove_apps(a);
    free(a->address);
    free(a->lang);
    OPENSSL_cleanse(a, sizeof *a);
    free(a);
}

void directory_cache_done(struct directory_cache *c)
{
    struct span key;
    void *value;

    for (size_t at = 0; map_next(&c->names, &at, &key, &value);) {
        struct directory_name *name = value;
        free(name->targets);
        free(name);
    }
    for (size_t at = 0; map_next(&c->domains, &at, &key, &value);) {
        struct directory_domain *domain = value;
        free(domain->name);
        free(domain);
    }
    for (size_t at = 0; map_next(&c->accounts, &at, &key, &value);)
        account_free(value);
    map_done(&c->names);
    map_done(&c->domains);
    map_done(&c->domain_aliases);
    map_done(&c->accounts);
}

struct directory_domain *directory_cache_domain(const struct directory_cache *c, struct span name)
{
    return map_get(&c->domains, name);
}

struct directory_domain *directory_cache_home(const struct directory_cache *c, struct span name)
{
    struct directory_domain *d = map_get(&c->domains, name);

    return d != NULL ? d : map_get(&c->domain_aliases, name);
}

struct directory_name *directory_cache_name(const struct directory_cache *c, struct span address)
{
    return map_get(&c->names, address);
}

struct directory_account *directory_cache_account(const struct directory_cache *c, struct span address)
{
    struct directory_name *name = map_get(&c->names, address);

    return name != NULL ? name->account : NULL;
}

struct directory_account *directory_cache_add_account(struct directory_cache *c, struct span address, struct span lang,
                                                      uint64_t id, bool disabled, int64_t created_s,
                                                      const struct password_verifier *v)
{
    struct directory_account *a = base_alloc(sizeof *a);
    struct directory_name *name = base_alloc(sizeof *name);

    a->id = id;
    a->address = copy_z(address);
    a->lang = copy_z(lang);
    a->disabled = disabled;
    a->created_s = created_s;
    a->verifier = *v;
    name->account = a;
    map_put_u64(&c->accounts, id, a);
    map_put(&c->names, address, name);
    return a;
}

void directory_cache_add_domain(struct directory_cache *c, struct span name, int64_t id, uint64_t admin)
{
    struct directory_domain *domain = base_alloc(sizeof *domain);

    domain->name = copy_z(name);
    domain->id = id;
    domain->admin = map_get_u64(&c->accounts, admin);
    map_put(&c->domains, name, domain);
    if (c->first == NULL || id < c->first->id)
        c->first = domain;
}

void directory_cache_add_domain_alias(struct directory_cache *c, struct span name, struct span domain)
{
    struct directory_domain *d = map_get(&c->domains, domain);

    assert(d != NULL);
    map_put(&c->domain_aliases, name, d);
}

/* The domain of a wildcard, or NULL: it ends in a "*". */
static struct directory_domain *wild_domain(const struct directory_cache *c, struct span address)
{
    ptrdiff_t at = span_rfind_char(address, '@');

    return at > 0 && address.p[at - 1] == '*' ? map_get(&c->domains, span_from(address, (size_t)at + 1)) : NULL;
}

void directory_cache_add_alias(struct directory_cache *c, struct span address, struct span targets)
{
    struct directory_name *name = base_alloc(sizeof *name);
    struct directory_domain *wild = wild_domain(c, address);

    name->targets = copy_z(targets);
    map_put(&c->names, address, name);
    if (wild != NULL)
        wild->wild++;
}

void directory_cache_remove(struct directory_cache *c, struct span address)
{
    struct directory_domain *wild = wild_domain(c, address);
    struct directory_name *name = map_take(&c->names, address); /* address may be the map's own: not used any more */

    if (name == NULL)
        return;
    if (name->targets != NULL && wild != NULL)
        wild->wild--;
    if (name->account != NULL) {
        map_take_u64(&c->accounts, name->account->id);
        account_free(name->account);
    }
    free(name->targets);
    free(name);
}

void directory_cache_remove_domain_alias(struct directory_cache *c, struct span name)
{
    map_take(&c->domain_aliases, name);
}

void directory_cache_remove_domain(struct directory_cache *c, struct span name)
{
    struct directory_domain *d = map_take(&c->domains, name);
    struct span key;
    void *value;

    if (d == NULL)
        return;
    for (size_t at = 0; map_next(&c->names, &at, &key, &value);) {
        ptrdiff_t cut = span_rfind_char(key, '@');
        if (span_eq(span_from(key, (size_t)cut + 1), name))
            directory_cache_remove(c, key);
    }
    for (size_t at = 0; map_next(&c->domain_aliases, &at, &key, &value);)
        if (value == d)
            map_take(&c->domain_aliases, key);
    if (c->first == d)
        c->first = NULL;
    for (size_t at = 0; map_next(&c->domains, &at, &key, &value);) {
        struct directory_domain *other = value;
        if (c->first == NULL || other->id < c->first->id)
            c->first = other;
    }
    free(d->name);
    free(d);
}

/* ---- app passwords --------------------------------------------------------------------------------------------------- */

size_t directory_cache_apps(const struct directory_account *a)
{
    size_t n = 0;

    for (const struct app_password *app = a->apps; app != NULL; app = app->next)
        n++;
    return n;
}

struct app_password *directory_cache_app(const struct directory_account *a, struct span label)
{
    for (struct app_password *app = a->apps; app != NULL; app = app->next)
        if (span_eq(span_z(app->label), label))
            return app;
    return NULL;
}

void directory_cache_add_app(struct directory_account *a, const struct app_password *app)
{
    struct app_password **last = &a->apps;

    while (*last != NULL)
        last = &(*last)->next;
    *last = base_alloc(sizeof **last);
    **last = *app;
    (*last)->next = NULL;
}

static void free_app(struct app_password *a)
{
    OPENSSL_cleanse(a, sizeof *a);
    free(a);
}

void directory_cache_remove_apps(struct directory_account *a)
{
    while (a->apps != NULL) {
        struct app_password *gone = a->apps;
        a->apps = gone->next;
        free_app(gone);
    }
}

void directory_cache_remove_app(struct directory_account *a, struct span label)
{
    for (struct app_password **at = &a->apps; *at != NULL; at = &(*at)->next)
        if (span_eq(span_z((*at)->label), label)) {
            struct app_password *gone = *at;
            *at = gone->next;
            free_app(gone);
            return;
        }
}
