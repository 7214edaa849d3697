/* admin_login: `postel account app-password ...` and `postel account logins`. */
#ifndef POSTEL_ADMIN_LOGIN_H
#define POSTEL_ADMIN_LOGIN_H

#include "admin/command.h"

command_fn admin_login_app_add, admin_login_app_list, admin_login_app_remove, admin_login_attempts;

#endif
