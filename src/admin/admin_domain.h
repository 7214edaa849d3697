/* admin_domain: `postel domain ...`. */
#ifndef POSTEL_ADMIN_DOMAIN_H
#define POSTEL_ADMIN_DOMAIN_H

#include "admin/command.h"

command_fn admin_domain_add, admin_domain_list;

#endif
