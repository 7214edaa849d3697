/* role_kind: names of the roles, as they stand in logs, in `ps` and in `postel role NAME`. */
#include "run/role_kind.h"

static const char *const names[ROLE_COUNT] = {
    [ROLE_MASTER] = "master",
    [ROLE_FRONT_MX] = "front-mx",
    [ROLE_FRONT_USER] = "front-user",
    [ROLE_SCAN] = "scan",
    [ROLE_RELAY] = "relay",
    [ROLE_STORE] = "store",
    [ROLE_AUTH] = "auth",
    [ROLE_ADMIN] = "admin",
};

const char *role_kind_name(enum role_kind k)
{
    return (unsigned)k < ROLE_COUNT ? names[k] : "unknown";
}

int role_kind_of(const char *name)
{
    for (int i = 0; i < ROLE_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}
