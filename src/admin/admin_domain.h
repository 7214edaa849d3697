/* admin_domain: `postel domain ...`. */
#ifndef POSTEL_ADMIN_DOMAIN_H
#define POSTEL_ADMIN_DOMAIN_H

#include "admin/command.h"

command_fn admin_domain_add, admin_domain_list;
command_fn admin_domain_admin, admin_domain_remove, admin_domain_alias_add, admin_domain_alias_list, admin_domain_alias_remove;

#endif
