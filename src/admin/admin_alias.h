/* admin_alias: `postel alias ...`. */
#ifndef POSTEL_ADMIN_ALIAS_H
#define POSTEL_ADMIN_ALIAS_H

#include "admin/command.h"

command_fn admin_alias_add, admin_alias_list, admin_alias_remove;

#endif
