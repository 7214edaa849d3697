/* rate: how often an address and its network may do something: token buckets (SEC-14). */
#ifndef POSTEL_RATE_H
#define POSTEL_RATE_H

#include "run/conn.h"

enum rate_what { RATE_CONNECT, RATE_MAIL, RATE_COUNT };

/* Takes a token of the address (IPv4 /32, IPv6 /64) and of its network (/24, /48); false: one of them has none left.
 * Buckets hold what a minute allows (limits connects_per_ip, ...). Exempt ones always may. */
bool rate_take(enum rate_what what, const struct conn_addr *peer);
/* Loopback, and the networks of option server.no_limits. */
bool rate_exempt(const struct conn_addr *peer);
void rate_forget(void); /* all buckets are full again */

/* The part of an address that its bucket is named by: /32 or /64; wide: /24 or /48. Borrowed from peer. */
struct span rate_key(const struct conn_addr *peer, bool wide);

#endif
