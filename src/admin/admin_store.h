/* admin_store: `postel store ...`. */
#ifndef POSTEL_ADMIN_STORE_H
#define POSTEL_ADMIN_STORE_H

#include "admin/command.h"

command_fn admin_store_stats;

#endif
