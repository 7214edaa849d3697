/* queue_route: which way a message goes: to the domain's MX hosts, to a smart host, or where a route says. */
#ifndef POSTEL_QUEUE_ROUTE_H
#define POSTEL_QUEUE_ROUTE_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/vec.h"

/* Where to. host: a name (A-labels) or an address in brackets; borrowed from the routes or from what was parsed. */
struct queue_hop {
    struct span host;
    uint16_t port;
    bool mx;     /* the MX hosts of `host` (RFC 5321 5.1); else `host` itself */
    bool login;  /* the smart host: with its login, and never without TLS */
};

struct queue_route {
    enum { QUEUE_ROUTE_RCPT, QUEUE_ROUTE_RCPT_BELOW, QUEUE_ROUTE_SENDER, QUEUE_ROUTE_SENDER_DOMAIN } kind;
    struct span key; /* lower case */
    struct queue_hop hop;
};

struct queue_routes {
    VEC(struct queue_route) rows;
    struct queue_hop smarthost; /* host.n 0: none */
    uint16_t mx_port;
};

/* "host", "host:port", "[192.0.2.1]:port", "[IPv6:2001:db8::1]"; "mx": as if there was no route. 0, or -1. */
int queue_route_hop(struct span text, uint16_t mx_port, struct queue_hop *out);
/* routes: items separated by spaces: "example.org=HOP" for that domain, ".example.org=HOP" for those below it,
 * "from:ann@example.org=HOP" and "from:example.org=HOP" for a sender. smarthost: HOP or empty. Text is borrowed, and
 * what is lower-cased lives in mem. 0, or -1 and *f. */
int queue_route_parse(struct queue_routes *r, struct span routes, struct span smarthost, uint16_t mx_port, struct arena *mem,
                      struct fail *f);
void queue_route_done(struct queue_routes *r);
/* The first that fits: forced (of `postel queue route`, a HOP or empty), sender, sender's domain, recipient's domain,
 * longest domain above it, smart host, MX. sender may be empty. domain: folded A-labels, or a literal. */
void queue_route_find(const struct queue_routes *r, struct span forced, struct span sender, struct span domain,
                      struct queue_hop *out);
/* Does a route speak of this domain's or any sender's mail, so that messages to one domain may go different ways? */
bool queue_route_by_sender(const struct queue_routes *r);

#endif
