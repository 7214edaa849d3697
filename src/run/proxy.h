/* proxy: the PROXY header, versions 1 and 2, of HAProxy's doc/proxy-protocol.txt: for whom a connection speaks. */
#ifndef POSTEL_PROXY_H
#define POSTEL_PROXY_H

#include "base/span.h"

struct proxy {
    bool known;     /* else the connection is the proxy's own (LOCAL, UNKNOWN) */
    unsigned char peer[16], local[16]; /* IPv6, or IPv4 mapped */
    uint16_t peer_port, local_port;
};

enum { PROXY_MOST = 16 + 2048 }; /* a version 2 header with more beside the addresses is refused */

/* How much of `in` is the header: > 0 bytes, and *out filled. 0: more is wanted, *need says how many more bytes at least
 * belong to it: never read further, TLS may follow. -1: that is no PROXY header. */
ptrdiff_t proxy_parse(struct span in, struct proxy *out, size_t *need);

#endif
