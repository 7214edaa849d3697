/* postel rebuild: a new index from the message log. */
#ifndef POSTEL_ADMIN_REBUILD_H
#define POSTEL_ADMIN_REBUILD_H

#include "admin/command.h"

command_fn admin_rebuild;

#endif
