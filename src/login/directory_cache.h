/* directory_cache: the whole directory in memory, so that a recipient or a login costs two lookups and no SQL. */
#ifndef POSTEL_DIRECTORY_CACHE_H
#define POSTEL_DIRECTORY_CACHE_H

#include "base/map.h"
#include "login/app_password.h"
#include "login/password.h"
#include "login/srs.h"
#include "run/ipc.h"

struct directory_account {
    uint64_t id;
    char *address, *lang;   /* folded address; language tag */
    bool disabled;
    int64_t created_s;
    struct password_verifier verifier;
    struct app_password *apps; /* owned */
    uint64_t seen;          /* expansion that reached it last */
};

struct directory_domain {
    char *name;             /* A-labels */
    int64_t id;
    struct directory_account *admin;
    size_t wild;            /* aliases that end in a "*" */
};

/* What an address stands for: an account, or targets. */
struct directory_name {
    struct directory_account *account;
    char *targets;          /* alias: addresses separated by a space; NULL for an account */
    uint64_t seen;
    bool on_path;
};

struct directory_cache {
    struct map names;       /* folded address -> struct directory_name */
    struct map domains;     /* A-labels -> struct directory_domain */
    struct map domain_aliases; /* A-labels of another name -> struct directory_domain */
    struct map accounts;    /* id -> struct directory_account */
    struct directory_domain *first; /* the domain made first: bare postmaster goes to its admin */
    uint64_t expansion;
    char sign;              /* option server.subaddress; 0: none */
    unsigned char srs[SRS_KEY];
};

void directory_cache_init(struct directory_cache *c);
void directory_cache_done(struct directory_cache *c);

/* Lookups; keys are folded (login_name.h). NULL when there is none. */
struct directory_domain *directory_cache_domain(const struct directory_cache *c, struct span name);
/* By its name or another one of it. */
struct directory_domain *directory_cache_home(const struct directory_cache *c, struct span name);
struct directory_name *directory_cache_name(const struct directory_cache *c, struct span address);
struct directory_account *directory_cache_account(const struct directory_cache *c, struct span address);

size_t directory_cache_apps(const struct directory_account *a); /* how many */
struct app_password *directory_cache_app(const struct directory_account *a, struct span label); /* or NULL */

/* Changes, after the database has them. Everything is copied. */
struct directory_account *directory_cache_add_account(struct directory_cache *c, struct span address, struct span lang,
                                                      uint64_t id, bool disabled, int64_t created_s,
                                                      const struct password_verifier *v);
void directory_cache_add_domain(struct directory_cache *c, struct span name, int64_t id, uint64_t admin);
void directory_cache_add_domain_alias(struct directory_cache *c, struct span name, struct span domain);
void directory_cache_add_alias(struct directory_cache *c, struct span address, struct span targets);
void directory_cache_add_app(struct directory_account *a, const struct app_password *app);
void directory_cache_remove_app(struct directory_account *a, struct span label);
void directory_cache_remove_apps(struct directory_account *a); /* all */
void directory_cache_remove(struct directory_cache *c, struct span address); /* account or alias */
void directory_cache_remove_domain(struct directory_cache *c, struct span name); /* with all that is in it */
void directory_cache_remove_domain_alias(struct directory_cache *c, struct span name);

#endif
