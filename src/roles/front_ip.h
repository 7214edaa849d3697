/* front_ip: how many connections each neighbourhood has (one IPv4 address, one IPv6 /64). */
#ifndef POSTEL_FRONT_IP_H
#define POSTEL_FRONT_IP_H

#include "run/conn.h"

/* Counts one more; false when limit sessions_per_ip is reached. Loopback is not limited. */
bool front_ip_enter(const struct conn_addr *peer);
void front_ip_leave(const struct conn_addr *peer); /* for each one that entered */

#endif
