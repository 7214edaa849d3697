/* conn: a peer's connection inside a coroutine: buffered, with deadlines, plain or TLS. */
#ifndef POSTEL_CONN_H
#define POSTEL_CONN_H

#include "base/arena.h"
#include "run/coro.h"
#include "run/tls.h"
#include "run/tls_client.h"

struct conn;

struct conn_addr {
    unsigned char ip[16];   /* IPv6; IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
    bool v4;
    char text[46];          /* "192.0.2.1", "2001:db8::1" */
};

enum { CONN_LINE_LONG = -10 }; /* conn_line: the line is longer than its limit */

struct conn *conn_new(int fd, const struct conn_addr *peer, const struct conn_addr *local); /* takes fd; nonblocking is set here */
/* Opens one. from: NULL, or the address to come from (port 0: any). Its first wait, for the connection, is at most wait_ms;
 * later ones as conn_limit says. NULL with *f: FAIL_TEMP 4.4.1 "connecting to 192.0.2.1 port 25: Connection refused". */
WAITS struct conn *conn_connect(const struct conn_addr *to, const struct conn_addr *from, int64_t wait_ms, struct fail *f);
void conn_free(struct conn *c);                       /* TLS close_notify if it goes at once, closes fd; NULL is fine */
const struct conn_addr *conn_peer(const struct conn *c);
const struct conn_addr *conn_local(const struct conn *c);
bool conn_loopback(const struct conn *c);             /* both ends */
void conn_limit(struct conn *c, int64_t wait_ms);     /* each later wait takes at most this long */

/* Input. Before it sleeps for input, output is flushed: that is all there is to PIPELINING (RFC 2920). */
struct span conn_input(const struct conn *c);         /* what was read and not consumed; borrowed until the next call */
void conn_consume(struct conn *c, size_t n);          /* n <= conn_input().n */
WAITS int conn_fill_most(struct conn *c, size_t most); /* the same, and not one byte more than that: TLS may follow */
/* Is there input already, or within conn_limit (0: sends and waits for nothing)? For whoever has not spoken yet. */
WAITS int conn_early(struct conn *c, bool *early);
WAITS int conn_fill(struct conn *c);                  /* reads some more; at most 16 KiB are held, a full buffer gives WAIT_CLOSED */
/* Sleeps until there is input (*input, conn_input has it) or somebody wakes this coroutine (not *input: look why). Sends
 * nothing: call conn_flush first and look at your condition between, for a wake that comes during a flush is not kept. */
WAITS int conn_wait(struct conn *c, bool *input);
/* The next line up to and with its LF, at most max (<= 16 KiB) bytes long; consumed by the next call. WAIT_*, or
 * CONN_LINE_LONG: then the first max bytes were dropped, call conn_drop_line to skip the rest. */
WAITS int conn_line(struct conn *c, size_t max, struct span *line);
WAITS int conn_drop_line(struct conn *c, size_t max); /* skips up to and with the next LF; CONN_LINE_LONG after max bytes */

/* Output: buffered, sent by conn_flush or when 16 KiB have gathered. After cancel, flush sends what goes without waiting. */
WAITS int conn_write(struct conn *c, struct span s);
WAITS int conn_writez(struct conn *c, const char *z);
WAITS int conn_printf(struct conn *c, const char *fmt, ...) PRINTF_LIKE(2, 3); /* at most 4,096 bytes */
WAITS int conn_flush(struct conn *c);

/* TLS. Input that was buffered before the handshake is dropped and conn_tls_start fails when there was some (SEC-04,
 * RFC 3207 4.2). After close_notify or a TLS error every call gives WAIT_CLOSED, never plain text. */
WAITS int conn_tls_start(struct conn *c, struct tls_service *service);
/* The other end of it, for a connection that we opened; the same rule about input before it. 0 with *got, or -1 with *f
 * (FAIL_TEMP 4.7.5 with a word of what was wrong) and got->cause; the connection is then dead, and a plain one would have
 * to be opened anew. A peer that is not who it should be has been told nothing but the handshake. */
WAITS int conn_tls_connect(struct conn *c, const struct tls_client_want *want, struct tls_client_got *got, struct fail *f);
bool conn_tls(const struct conn *c);
struct span conn_tls_info(const struct conn *c, struct arena *mem); /* "TLSv1.3 TLS_AES_128_GCM_SHA256"; lives in mem */
/* What binds a login to this channel: "tls-exporter" of RFC 9266. False, nothing: not TLS 1.3, for which alone that is free
 * of doubt. */
enum { TLS_BINDING = 32 };
bool conn_tls_binding(const struct conn *c, unsigned char out[TLS_BINDING]);
bool conn_dead(const struct conn *c);                 /* broken: nothing can be sent any more */

void conn_addr_of(struct conn_addr *out, const unsigned char ip[16], uint16_t port);
/* Who is really there, when a listed source says so (PROXY, XCLIENT). */
void conn_ends(struct conn *c, const struct conn_addr *peer, const struct conn_addr *local);
/* Parses what accept() gave. */
void conn_addr_from(struct conn_addr *out, const void *sockaddr);
/* ip: 4 or 16 bytes as in A and AAAA records; else -1. */
int conn_addr_ip(struct conn_addr *out, struct span ip, uint16_t port);

#endif
