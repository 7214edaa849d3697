/* conn_inner: the insides of a connection, shared by the conn files only. */
#ifndef POSTEL_CONN_INNER_H
#define POSTEL_CONN_INNER_H

#include <openssl/ssl.h>

#include "run/conn.h"
#include "run/loop.h"

enum { CONN_BUF = 16384 }; /* each way; a TLS record holds as much (RFC 8446 5.1) */

struct conn {
    struct loop_io io;
    SSL *ssl;               /* NULL while plain */
    struct coro *waiter;    /* sleeps until `ready` has one of `want` */
    unsigned ready, want;   /* LOOP_*: what the socket can do as far as we know; HUP stays */
    int64_t limit_ms;
    char *in, *out;         /* from the pool, NULL while there is nothing to hold */
    size_t in_at, in_end;   /* in[in_at..in_end) was read and not consumed */
    size_t line_n;          /* of it the line given last: consumed by the next call */
    size_t out_at, out_end; /* out[out_at..out_end) is to be sent */
    unsigned streak;        /* reads and writes since this coroutine last let others run */
    bool eof;               /* plain only: nothing more comes; sending may still work (half close) */
    bool dead;
    bool broken;            /* TLS failed: not even close_notify may be sent */
    unsigned long tls_error; /* what OpenSSL said when it failed, 0: nothing */
    struct conn_addr peer, local;
};

/* conn_io.c: the socket, tried at once. Reads or writes up to n bytes: > 0 how many; 0: not now,
 * c->want says what to wait for; -1: end of file (c->eof) or the connection is dead (c->dead). */
ssize_t conn_io_read(struct conn *c, char *buf, size_t n);
ssize_t conn_io_write(struct conn *c, const char *buf, size_t n);
bool conn_io_readable(const struct conn *c);    /* a read is worth a try */
WAITS int conn_io_handshake(struct conn *c);    /* 1 done, 0 not now, -1 dead; sleeps inside while auth signs */
void conn_io_dead(struct conn *c);              /* marks it; what was buffered is dropped */
void conn_io_ready(struct loop_io *io, unsigned events);
int64_t conn_io_deadline(const struct conn *c); /* of a wait that begins now */
WAITS int conn_io_wait(struct conn *c, int64_t deadline_ms); /* for c->want */
WAITS int conn_io_fair(struct conn *c);         /* lets others run now and then, however fast the peer is */

char *conn_io_buf(void);                        /* CONN_BUF bytes from the pool */
void conn_io_buf_give(char **buf);              /* back to the pool; *buf becomes NULL */

/* conn_input.c, conn_output.c */
void conn_input_drop_line(struct conn *c);      /* consumes the line given last */
WAITS int conn_output_flush(struct conn *c, int64_t deadline_ms);

#endif
