/* role_kind: the roles, by number and name (doc/architecture.md, 1). */
#ifndef POSTEL_ROLE_KIND_H
#define POSTEL_ROLE_KIND_H

#include "base/base.h"

enum role_kind {
    ROLE_MASTER,
    ROLE_FRONT_MX,
    ROLE_FRONT_USER,
    ROLE_SCAN,
    ROLE_RELAY,
    ROLE_STORE,
    ROLE_AUTH,
    ROLE_ADMIN, /* no process of its own: the command line at a control socket */
    ROLE_COUNT,
};

#define ROLE_BIT(k) (1u << (k))
#define ROLES_FRONT (ROLE_BIT(ROLE_FRONT_MX) | ROLE_BIT(ROLE_FRONT_USER))

const char *role_kind_name(enum role_kind k);       /* "front-mx" */
int role_kind_of(const char *name);                 /* -1 when there is none */

#endif
