/* admin_queue: `postel queue ...`. */
#ifndef POSTEL_ADMIN_QUEUE_H
#define POSTEL_ADMIN_QUEUE_H

#include "admin/command.h"

command_fn admin_queue_list, admin_queue_show, admin_queue_hold, admin_queue_release, admin_queue_retry, admin_queue_drop,
    admin_queue_bounce, admin_queue_route, admin_queue_suspend, admin_queue_resume;

#endif
