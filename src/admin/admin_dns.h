/* admin_dns: `postel dns`: looks at names as the server does. */
#ifndef POSTEL_ADMIN_DNS_H
#define POSTEL_ADMIN_DNS_H

#include "admin/command.h"

command_fn admin_dns_lookup;

#endif
