/* admin_config: `postel config ...`. */
#ifndef POSTEL_ADMIN_CONFIG_H
#define POSTEL_ADMIN_CONFIG_H

#include "admin/command.h"

command_fn admin_config_check, admin_config_show;

#endif
