/* front_ip: how many connections each neighbourhood has: an IPv4 address and its /24, an IPv6 /64 and its /48 (SEC-14). */
#ifndef POSTEL_FRONT_IP_H
#define POSTEL_FRONT_IP_H

#include "run/conn.h"

/* Counts one more; false when a limit is reached: sessions_per_ip, sessions_per_net, or those of connections a minute.
 * Who is exempt (rate.h) is not counted. */
bool front_ip_enter(const struct conn_addr *peer);
void front_ip_leave(const struct conn_addr *peer); /* for each one that entered */

#endif
