/* directory: what may be changed, and the three steps of a change. */
#include "login/directory.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "login/directory_db.h"
#include "login/directory_find.h"
#include "login/directory_rcpt.h"
#include "login/login_name.h"
#include "login/precis.h"

enum { TARGETS_BYTES = 180 * 1024 }; /* of an alias, so that it fits a frame with what stands around it */

struct directory {
    struct directory_cache cache;
    struct directory_db *db;
    unsigned char secret[32];
};

struct directory *directory_open(const char *path, struct fail *f)
{
    struct directory *d = base_alloc(sizeof *d);

    umask(077); /* SEC-11: SQLite makes its files with the process's mask */
    directory_cache_init(&d->cache);
    d->cache.sign = '+';
    d->db = directory_db_open(path, f);
    if (d->db == NULL || directory_db_load(d->db, &d->cache, d->secret, f) < 0) {
        directory_close(d);
        return NULL;
    }
    srs_key(directory_secret(d), d->cache.srs);
    return d;
}

void directory_close(struct directory *d)
{
    if (d == NULL)
        return;
    directory_cache_done(&d->cache);
    directory_db_close(d->db);
    free(d);
}

void directory_checkpoint(struct directory *d)
{
    directory_db_checkpoint(d->db);
}

int directory_snapshot(struct directory *d, struct span *out, struct fail *f)
{
    return directory_db_snapshot(d->db, out, f);
}

struct directory_cache *directory_memory(struct directory *d)
{
    return &d->cache;
}

struct span directory_secret(const struct directory *d)
{
    return span_of(d->secret, sizeof d->secret);
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

static void begin(struct directory_change *c, enum directory_change_kind kind)
{
    memset(c, 0, sizeof *c);
    c->kind = kind;
    c->now_s = clock_now_s();
}

/* RFC 5646 2.1, as far as its characters go. */
static int good_lang(struct span lang, struct fail *f)
{
    if (lang.n > 35)
        return fail_perm(f, "5.5.4", "A language is a tag such as en or de.");
    for (size_t i = 0; i < lang.n; i++)
        if (!((lang.p[i] >= 'a' && lang.p[i] <= 'z') || (lang.p[i] >= 'A' && lang.p[i] <= 'Z') ||
              (lang.p[i] >= '0' && lang.p[i] <= '9') || lang.p[i] == '-'))
            return fail_perm(f, "5.5.4", "A language is a tag such as en or de.");
    return 0;
}

/* Folds and checks an address that is to be made; its domain must be `own`, or one of ours. */
static int new_address(struct directory *d, struct span address, struct span own, struct span *out, struct arena *mem,
                       struct fail *f)
{
    char folded[LOGIN_NAME_BYTES];
    struct directory_domain *home;
    size_t n = 0, at = 0;
    struct span domain;

    if (login_name_new(address, folded, &n, &at, f) < 0)
        return -1;
    *out = arena_copy(mem, span_of(folded, n));
    domain = span_from(*out, at + 1);
    home = directory_cache_home(&d->cache, domain);
    if (home != NULL && !span_eq(domain, span_z(home->name)))
        return fail_perm(f, "5.1.2", "%.60s is another name of %.60s: make the address there.", domain.p, home->name);
    if (!span_eq(domain, own) && home == NULL)
        return fail_perm(f, "5.1.2", "The domain %.*s is not served here: add it first.", SPAN_ARGS(domain));
    if (directory_cache_name(&d->cache, *out) != NULL)
        return fail_perm(f, "5.1.0", "There is an account or alias of that name already.");
    return 0;
}

/* Folds an address that is looked for. */
static struct span old_address(struct directory *d, struct span address, struct arena *mem)
{
    char folded[LOGIN_NAME_BYTES];
    size_t at = 0, n;

    if (address.n > 0 && address.p[0] == '@')
        address = arena_printf(mem, "*%.*s", SPAN_ARGS(address));
    n = login_name_fold(address, folded, &at);
    if (n > 0)
        n = directory_find_home(&d->cache, folded, n, at);
    return n == 0 ? SPAN_NONE : arena_copy(mem, span_of(folded, n));
}

static struct span fold_domain(struct span name, struct arena *mem)
{
    char folded[LOGIN_NAME_DOMAIN];

    return arena_copy(mem, span_of(folded, login_name_fold_domain(name, folded)));
}

/* The domain of that very name. */
static struct directory_domain *find_domain(struct directory *d, struct span name, struct directory_change *c,
                                            struct arena *mem, struct fail *f)
{
    struct directory_domain *domain;

    c->domain = fold_domain(name, mem);
    domain = directory_cache_domain(&d->cache, c->domain);
    if (domain == NULL)
        fail_perm(f, "5.1.2", "There is no domain of that name here.");
    else
        c->domain_id = domain->id;
    return domain;
}

/* A domain that whoever makes a new one may not take. */
static int new_domain(struct directory *d, struct span name, struct span *out, struct arena *mem, struct fail *f)
{
    char folded[LOGIN_NAME_DOMAIN];
    size_t n = 0;

    if (login_name_new_domain(name, folded, &n, f) < 0)
        return -1;
    *out = arena_copy(mem, span_of(folded, n));
    if (directory_cache_home(&d->cache, *out) != NULL)
        return fail_perm(f, "5.1.2", "The domain is served here already.");
    return 0;
}

int directory_plan_domain_add(struct directory *d, struct span name, struct span admin, struct span lang,
                              struct directory_change *c, struct arena *mem, struct fail *f)
{
    struct directory_account *a;

    begin(c, DIRECTORY_DOMAIN_ADD);
    if (new_domain(d, name, &c->domain, mem, f) < 0 || good_lang(lang, f) < 0)
        return -1;
    c->lang = lang.n > 0 ? lang : SPAN("en");
    if (admin.n == 0)
        return fail_perm(f, "5.1.1", "Each domain needs an admin account, for postmaster and abuse: name one.");
    a = directory_cache_account(&d->cache, old_address(d, admin, mem));
    if (a != NULL) {
        c->account = a->id;
        return 0;
    }
    c->new_account = true;
    return new_address(d, admin, c->domain, &c->address, mem, f);
}

int directory_plan_account_add(struct directory *d, struct span address, struct span lang, struct directory_change *c,
                               struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_ACCOUNT_ADD);
    c->lang = lang.n > 0 ? lang : SPAN("en");
    c->new_account = true;
    return good_lang(lang, f) < 0 ? -1 : new_address(d, address, SPAN_NONE, &c->address, mem, f);
}

static int find_account(struct directory *d, struct span address, struct directory_change *c, struct arena *mem,
                        struct fail *f)
{
    struct directory_account *a;

    c->address = old_address(d, address, mem);
    a = directory_cache_account(&d->cache, c->address);
    if (a == NULL)
        return fail_perm(f, "5.1.1", "There is no account of that address.");
    c->account = a->id;
    return 0;
}

int directory_plan_domain_admin(struct directory *d, struct span name, struct span admin, struct directory_change *c,
                                struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_DOMAIN_ADMIN);
    return find_domain(d, name, c, mem, f) == NULL ? -1 : find_account(d, admin, c, mem, f);
}

int directory_plan_domain_alias_add(struct directory *d, struct span name, struct span domain, struct directory_change *c,
                                    struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_DOMAIN_ALIAS_ADD);
    if (new_domain(d, name, &c->address, mem, f) < 0)
        return -1;
    return find_domain(d, domain, c, mem, f) == NULL ? -1 : 0;
}

int directory_plan_domain_alias_remove(struct directory *d, struct span name, struct directory_change *c,
                                       struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_DOMAIN_ALIAS_REMOVE);
    c->address = fold_domain(name, mem);
    if (map_get(&d->cache.domain_aliases, c->address) == NULL)
        return fail_perm(f, "5.1.2", "There is no domain alias of that name.");
    directory_leads_find(&d->cache, c->address, mem, &c->leads);
    return 0;
}

/* Its accounts, into c->gone. */
static void accounts_of(struct directory *d, struct directory_change *c, struct arena *mem)
{
    void *value;

    c->gone = arena_alloc(mem, (map_count(&d->cache.accounts) + 1) * sizeof *c->gone);
    for (size_t at = 0; map_next(&d->cache.accounts, &at, NULL, &value);) {
        const struct directory_account *a = value;
        struct span address = span_z(a->address);
        if (span_eq(span_from(address, (size_t)span_rfind_char(address, '@') + 1), c->domain))
            c->gone[c->n_gone++] = a->id;
    }
}

int directory_plan_domain_remove(struct directory *d, struct span name, bool accounts, struct directory_change *c,
                                 struct arena *mem, struct fail *f)
{
    struct directory_domain *domain;
    void *value;

    begin(c, DIRECTORY_DOMAIN_REMOVE);
    domain = find_domain(d, name, c, mem, f);
    if (domain == NULL)
        return -1;
    accounts_of(d, c, mem);
    if (c->n_gone > 0 && !accounts)
        return fail_perm(f, "5.7.0", "The domain has %zu accounts: remove them first, or say that they go with it.", c->n_gone);
    for (size_t at = 0; map_next(&d->cache.domains, &at, NULL, &value);) {
        const struct directory_domain *other = value;
        for (size_t i = 0; other != domain && i < c->n_gone; i++)
            if (other->admin != NULL && other->admin->id == c->gone[i])
                return fail_perm(f, "5.7.0", "%.80s is the admin of %.60s: give that another one first.",
                                 other->admin->address, other->name);
    }
    directory_leads_find(&d->cache, c->domain, mem, &c->leads);
    return 0;
}

int directory_plan_password(struct directory *d, struct span address, bool revoke_apps, struct directory_change *c,
                            struct arena *mem, struct fail *f)
{
    const struct directory_account *a;

    begin(c, DIRECTORY_PASSWORD);
    if (find_account(d, address, c, mem, f) < 0)
        return -1;
    a = directory_cache_account(&d->cache, c->address);
    c->verifier = a->verifier;
    c->n_apps = directory_cache_apps(a);
    c->revoke_apps = revoke_apps;
    c->keep_salt = c->n_apps > 0 && !revoke_apps;
    return 0;
}

struct directory_account *directory_account(struct directory *d, struct span address, struct arena *mem, struct fail *f)
{
    struct directory_change c = {0};

    return find_account(d, address, &c, mem, f) < 0 ? NULL : directory_cache_account(&d->cache, c.address);
}

int directory_plan_app_add(struct directory *d, struct span address, struct span label, uint32_t scope,
                           struct directory_change *c, struct arena *mem, struct fail *f)
{
    const struct directory_account *a;

    begin(c, DIRECTORY_APP_ADD);
    if (find_account(d, address, c, mem, f) < 0)
        return -1;
    a = directory_cache_account(&d->cache, c->address);
    label = span_trim(label);
    if (label.n == 0 || label.n > APP_PASSWORD_LABEL || precis_opaque(label, c->app.label, APP_PASSWORD_LABEL) != label.n)
        return fail_perm(f, "5.5.4", "A label is 1 to %d bytes of text: say which program or device it is.", APP_PASSWORD_LABEL);
    if (scope == 0 || (scope & ~(uint32_t)APP_SCOPE_ALL) != 0)
        return fail_perm(f, "5.5.4", "A scope is imap, pop3, smtp or all.");
    if (directory_cache_app(a, label) != NULL)
        return fail_perm(f, "5.5.4", "There is an app password of that label already.");
    if (directory_cache_apps(a) >= (size_t)LIMIT(APP_PASSWORDS))
        return fail_perm(f, "5.5.3", "An account has at most %d app passwords: remove one first.", (int)LIMIT(APP_PASSWORDS));
    memcpy(c->app.label, label.p, label.n);
    c->app.label[label.n] = 0;
    c->app.scope = scope;
    c->app.created_s = c->now_s;
    c->verifier = a->verifier;
    return 0;
}

int directory_plan_app_remove(struct directory *d, struct span address, struct span label, struct directory_change *c,
                              struct arena *mem, struct fail *f)
{
    const struct app_password *app;

    begin(c, DIRECTORY_APP_REMOVE);
    if (find_account(d, address, c, mem, f) < 0)
        return -1;
    app = directory_cache_app(directory_cache_account(&d->cache, c->address), span_trim(label));
    if (app == NULL)
        return fail_perm(f, "5.1.1", "There is no app password of that label.");
    c->app = *app;
    return 0;
}

/* RFC 5321 4.5.1: postmaster@ must be somebody. */
static int no_admin(struct directory *d, const struct directory_change *c, struct fail *f)
{
    void *value;

    for (size_t at = 0; map_next(&d->cache.domains, &at, NULL, &value);) {
        const struct directory_domain *domain = value;
        if (domain->admin != NULL && domain->admin->id == c->account)
            return fail_perm(f, "5.7.0", "The account is the admin of %.60s, which must have one: give it another first.",
                             domain->name);
    }
    return 0;
}

int directory_plan_account_remove(struct directory *d, struct span address, struct directory_change *c,
                                  struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_ACCOUNT_REMOVE);
    return find_account(d, address, c, mem, f) < 0 ? -1 : no_admin(d, c, f);
}

int directory_plan_account_state(struct directory *d, struct span address, bool disabled, struct directory_change *c,
                                 struct arena *mem, struct fail *f)
{
    begin(c, DIRECTORY_ACCOUNT_STATE);
    c->disabled = disabled;
    if (find_account(d, address, c, mem, f) < 0)
        return -1;
    return disabled ? no_admin(d, c, f) : 0;
}

/* Checks one target of a new alias and adds its folded form. */
static int add_target(struct directory *d, struct span raw, struct str *out, struct fail *f)
{
    char elsewhere[LOGIN_NAME_BYTES];
    struct directory_found found;
    size_t n = 0;

    if (!directory_find(&d->cache, raw, &found)) {
        if (login_name_elsewhere(raw, elsewhere, &n, f) < 0)
            return -1;
    } else if (found.account == NULL && found.name == NULL) {
        return fail_perm(f, "5.1.1", "%.*s does not exist: add it first.", (int)MIN_OF(raw.n, (size_t)80), raw.p);
    }
    if (out->n > 0)
        str_addc(out, ' ');
    str_add(out, n > 0 ? span_of(elsewhere, n) : span_of(found.folded, found.n));
    if (out->n > TARGETS_BYTES)
        return fail_perm(f, "5.5.3", "An alias holds at most %d bytes of addresses.", TARGETS_BYTES);
    return 0;
}

/* The address of an alias: an ordinary one, "prefix*@domain", or "@domain" for "*@domain". */
static int new_alias(struct directory *d, struct span address, struct span *out, struct arena *mem, struct fail *f)
{
    ptrdiff_t at = span_rfind_char(address, '@');
    struct span prefix = span_sub(address, 0, (size_t)MAX_OF(at, (ptrdiff_t)0));
    bool wild = at == 0 || (at > 0 && address.p[at - 1] == '*');
    char *star;

    if (!wild)
        return new_address(d, address, SPAN_NONE, out, mem, f);
    prefix.n -= at > 0;
    /* what a wildcard stands for must be an address: checked with a digit, which may stand in any script */
    address = arena_printf(mem, "%.*s0%.*s", SPAN_ARGS(prefix), SPAN_ARGS(span_from(address, (size_t)at)));
    if (new_address(d, address, SPAN_NONE, out, mem, f) < 0)
        return -1;
    star = (char *)(uintptr_t)out->p + span_rfind_char(*out, '@') - 1;
    *star = '*';
    if (directory_cache_name(&d->cache, *out) != NULL)
        return fail_perm(f, "5.1.0", "There is an alias of that name already.");
    return 0;
}

int directory_plan_alias_add(struct directory *d, struct span address, struct span targets, struct directory_change *c,
                             struct arena *mem, struct fail *f)
{
    struct span rest = targets;
    struct str out;
    size_t n = 0;

    begin(c, DIRECTORY_ALIAS_ADD);
    if (new_alias(d, address, &c->address, mem, f) < 0)
        return -1;
    str_init(&out, mem);
    while (rest.p != NULL) {
        struct span one = span_split(&rest, ' ');
        if (one.n == 0)
            continue;
        if (span_eq(old_address(d, one, mem), c->address))
            return fail_perm(f, "5.4.6", "The alias would name itself.");
        if (add_target(d, one, &out, f) < 0)
            return -1;
        n++;
    }
    if (n == 0)
        return fail_perm(f, "5.1.1", "An alias needs at least one target.");
    c->targets = str_span(&out);
    if (directory_rcpt_loops(&d->cache, c->address, c->targets))
        return fail_perm(f, "5.4.6", "The alias would run in a circle, or expand to more than %d steps or %d addresses.",
                         (int)LIMIT(ALIAS_DEPTH), (int)LIMIT(ALIAS_TARGETS));
    return 0;
}

int directory_plan_alias_remove(struct directory *d, struct span address, struct directory_change *c,
                                struct arena *mem, struct fail *f)
{
    struct directory_name *name;

    begin(c, DIRECTORY_ALIAS_REMOVE);
    c->address = old_address(d, address, mem);
    name = directory_cache_name(&d->cache, c->address);
    if (name == NULL || name->targets == NULL)
        return fail_perm(f, "5.1.1", "There is no alias of that address.");
    return 0;
}

/* ---- write and apply ------------------------------------------------------------------------------------------------- */

int directory_write(struct directory *d, struct directory_change *c, bool *broken, struct fail *f)
{
    return directory_db_write(d->db, c, broken, f);
}

void directory_apply(struct directory *d, const struct directory_change *c)
{
    struct directory_account *a;

    if (c->new_account)
        directory_cache_add_account(&d->cache, c->address, c->lang, c->account, false, c->now_s, &c->verifier);
    switch (c->kind) {
    case DIRECTORY_DOMAIN_ADD:
        directory_cache_add_domain(&d->cache, c->domain, c->domain_id, c->account);
        break;
    case DIRECTORY_DOMAIN_ADMIN:
        directory_cache_domain(&d->cache, c->domain)->admin = directory_cache_account(&d->cache, c->address);
        break;
    case DIRECTORY_DOMAIN_REMOVE:
        directory_cache_remove_domain(&d->cache, c->domain);
        break;
    case DIRECTORY_DOMAIN_ALIAS_ADD:
        directory_cache_add_domain_alias(&d->cache, c->address, c->domain);
        break;
    case DIRECTORY_DOMAIN_ALIAS_REMOVE:
        directory_cache_remove_domain_alias(&d->cache, c->address);
        break;
    case DIRECTORY_ACCOUNT_ADD:
        break;
    case DIRECTORY_ACCOUNT_STATE:
        directory_cache_account(&d->cache, c->address)->disabled = c->disabled;
        break;
    case DIRECTORY_PASSWORD:
        a = directory_cache_account(&d->cache, c->address);
        assert(a != NULL);
        a->verifier = c->verifier;
        if (c->revoke_apps)
            directory_cache_remove_apps(a);
        break;
    case DIRECTORY_APP_ADD:
        directory_cache_add_app(directory_cache_account(&d->cache, c->address), &c->app);
        break;
    case DIRECTORY_APP_REMOVE:
        directory_cache_remove_app(directory_cache_account(&d->cache, c->address), span_z(c->app.label));
        break;
    case DIRECTORY_ALIAS_ADD:
        directory_cache_add_alias(&d->cache, c->address, c->targets);
        break;
    case DIRECTORY_ACCOUNT_REMOVE:
    case DIRECTORY_ALIAS_REMOVE:
        directory_cache_remove(&d->cache, c->address);
        break;
    }
}

/* ---- lists ------------------------------------------------------------------------------------------------------------ */

int directory_list_domains(struct directory *d, struct msg_domain_list_r *out, struct arena *mem, struct fail *f)
{
    return directory_db_domains(d->db, out, mem, f);
}

int directory_list_domain_aliases(struct directory *d, struct msg_domain_alias_list_r *out, struct arena *mem, struct fail *f)
{
    return directory_db_domain_aliases(d->db, out, mem, f);
}

int directory_list_accounts(struct directory *d, struct span after, struct msg_account_list_r *out, struct arena *mem,
                            struct fail *f)
{
    return directory_db_accounts(d->db, old_address(d, after, mem), out, mem, f);
}

int directory_list_aliases(struct directory *d, struct span after, struct msg_alias_list_r *out, struct arena *mem,
                           struct fail *f)
{
    return directory_db_aliases(d->db, old_address(d, after, mem), out, mem, f);
}

int directory_list_gone(struct directory *d, uint64_t **ids, size_t *n, struct arena *mem, struct fail *f)
{
    return directory_db_gone(d->db, ids, n, mem, f);
}

/* ---- attempts to log in ------------------------------------------------------------------------------------------------- */

int directory_write_attempts(struct directory *d, const struct directory_attempt *v, size_t n, bool *broken, struct fail *f)
{
    return directory_db_write_attempts(d->db, v, n, broken, f);
}

int directory_list_logins(struct directory *d, uint64_t account, uint64_t before, struct msg_logins_r *out,
                          struct arena *mem, struct fail *f)
{
    return directory_db_logins(d->db, account, before, out, mem, f);
}
