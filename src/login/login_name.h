/* login_name: addresses and domains in the one form in which they are stored and compared (SEC-23). */
#ifndef POSTEL_LOGIN_NAME_H
#define POSTEL_LOGIN_NAME_H

#include "base/fail.h"

#define LOGIN_NAME_LOCAL 64   /* RFC 5321 4.5.3.1.1, octets */
#define LOGIN_NAME_DOMAIN 253 /* RFC 5321 4.5.3.1.2 allows 255, RFC 1035 2.3.4 leaves 253 without the last dot */
#define LOGIN_NAME_BYTES (LOGIN_NAME_LOCAL + 1 + LOGIN_NAME_DOMAIN)

/* Folding, for looking up what a stranger wrote: local parts to lower case (RFC 8265 3.3), domains to lower-case
 * A-labels (RFC 5891 5, so that both forms of an IDN are one). They write into `out` and return the length, 0 for
 * what can be nobody's name. No check beyond that. */
size_t login_name_fold_local(struct span local, char out[LOGIN_NAME_LOCAL]);
size_t login_name_fold_domain(struct span domain, char out[LOGIN_NAME_DOMAIN]);
/* local@domain, cut at the last "@". *at: where it is in out. */
size_t login_name_fold(struct span address, char out[LOGIN_NAME_BYTES], size_t *at);

/* What may be created; strict. The folded form goes to out. 0, or -1 with FAIL_PERM saying what is wrong. */
int login_name_new_domain(struct span domain, char out[LOGIN_NAME_DOMAIN], size_t *n, struct fail *f);
/* An address elsewhere that an alias may lead to: its local part is its own affair and stays as it is, but is no quoted
 * string; its domain is folded. Else as login_name_new. */
int login_name_elsewhere(struct span address, char out[LOGIN_NAME_BYTES], size_t *n, struct fail *f);
int login_name_new(struct span address, char out[LOGIN_NAME_BYTES], size_t *n, size_t *at, struct fail *f);

#endif
