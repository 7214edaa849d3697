/* queue_address: whom relay does not connect to unless option relay.allow says so: itself, and the inside of networks. */
#ifndef POSTEL_QUEUE_ADDRESS_H
#define POSTEL_QUEUE_ADDRESS_H

#include "base/base.h"

/* ip: IPv6; IPv4 as ::ffff:a.b.c.d. An address that the net at large does not route, or that is one machine's or link's
 * own (RFC 6890): loopback, private, link-local, shared, documentation, benchmarking, multicast, reserved, and IPv6 forms
 * that carry such an IPv4 address. */
bool queue_address_special(const unsigned char ip[16]);

#endif
