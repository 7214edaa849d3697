/* directory_find: what an address of ours stands for: names, domain aliases, subaddresses, wildcards, in that order. */
#ifndef POSTEL_DIRECTORY_FIND_H
#define POSTEL_DIRECTORY_FIND_H

#include "login/directory_cache.h"
#include "login/login_name.h"

struct directory_found {
    struct directory_domain *domain;    /* NULL: no domain of ours, and nothing below counts */
    struct directory_name *name;        /* what carries it: of an account, an alias or a wildcard; or NULL */
    struct directory_account *account;  /* of that name, or the admin behind postmaster@ and abuse@; or NULL */
    size_t n, at;                       /* of `folded`: the address in its domain's own name; at: of its "@" */
    size_t detail, detail_n;            /* behind the subaddress sign, in `folded` */
    char folded[LOGIN_NAME_BYTES];
};

/* address: as a grammar accepted it, or folded. The first that there is: the name itself; the longest part of it before
 * a subaddress sign (RFC 5233 1); postmaster and abuse (RFC 5321 4.5.1, RFC 2142 2); the longest alias "prefix*"; the
 * catch-all "*". "postmaster" alone is that of the first domain. False: no domain of ours. Some lookups, no SQL. */
bool directory_find(struct directory_cache *c, struct span address, struct directory_found *out);

/* Brings a folded address under its domain's own name if it has another one of it. at: of the "@". Returns its length, 0
 * when it gets too long. */
size_t directory_find_home(const struct directory_cache *c, char folded[LOGIN_NAME_BYTES], size_t n, size_t at);

#endif
