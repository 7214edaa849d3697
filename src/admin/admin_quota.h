/* postel quota show, set, recount: what an account may hold and holds (RFC 9208). */
#ifndef POSTEL_ADMIN_QUOTA_H
#define POSTEL_ADMIN_QUOTA_H

#include "admin/command.h"

command_fn admin_quota_show, admin_quota_set, admin_quota_recount;

#endif
