/* net: addresses and networks from text: "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". */
#ifndef POSTEL_NET_H
#define POSTEL_NET_H

#include "base/span.h"

struct net {
    unsigned char ip[16]; /* IPv4 mapped; no bit set behind `bits` */
    unsigned bits;        /* 0..128; an IPv4 network of n bits has 96 + n */
};

int net_address(struct span text, unsigned char ip[16]) MUST_CHECK; /* 0 or -1 */
/* Without "/bits" it is the one address. -1 also when bits behind the network's are set: that would be a mistake. */
int net_parse(struct span text, struct net *out) MUST_CHECK;
bool net_has(const struct net *n, const unsigned char ip[16]);

#endif
