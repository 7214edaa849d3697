/* roles: what each role wires together, and the master that starts them. */
#ifndef POSTEL_ROLES_H
#define POSTEL_ROLES_H

#include "run/role.h"

extern const struct role_def front_mx_role, front_user_role, scan_role, relay_role, store_role, auth_role;

/* `postel serve`: binds, starts every role, starts again what dies, until SIGTERM or SIGINT. text: the configuration's
 * text as the roles will get it. Returns the exit status. */
int master_main(const struct config *config, struct span text);

#endif
