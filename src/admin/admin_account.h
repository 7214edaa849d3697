/* admin_account: `postel account ...`. */
#ifndef POSTEL_ADMIN_ACCOUNT_H
#define POSTEL_ADMIN_ACCOUNT_H

#include "admin/command.h"

command_fn admin_account_add, admin_account_list, admin_account_passwd, admin_account_remove;
command_fn admin_account_disable, admin_account_enable, admin_account_set;

#endif
