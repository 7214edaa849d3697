/* A connection's life: made from a descriptor, freed; and what is known about its two ends. */
#include "run/conn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "run/conn_inner.h"

enum { FIRST_LIMIT_MS = 300 * 1000 }; /* until conn_limit says otherwise */

/* ---- addresses ---- */

static bool v4_mapped(const unsigned char ip[16])
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, prefix, sizeof prefix) == 0;
}

void conn_addr_of(struct conn_addr *out, const unsigned char ip[16], uint16_t port)
{
    memmove(out->ip, ip, 16);
    out->port = port;
    /* RFC 4291 2.5.5.2: a listener for both families shows IPv4 peers as mapped addresses */
    out->v4 = v4_mapped(out->ip);
    inet_ntop(out->v4 ? AF_INET : AF_INET6, out->ip + (out->v4 ? 12 : 0), out->text, sizeof out->text);
}

void conn_addr_from(struct conn_addr *out, const void *sockaddr)
{
    const struct sockaddr *sa = sockaddr;
    *out = (struct conn_addr){0};
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = sockaddr;
        out->ip[10] = out->ip[11] = 0xff;
        memcpy(out->ip + 12, &in->sin_addr, 4);
        out->port = ntohs(in->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = sockaddr;
        memcpy(out->ip, &in6->sin6_addr, 16);
        out->port = ntohs(in6->sin6_port);
    } else {
        out->ip[15] = 1; /* a Unix socket is as local as ::1 */
    }
    conn_addr_of(out, out->ip, out->port);
}

static bool loopback(const struct conn_addr *a)
{
    static const unsigned char one[16] = {[15] = 1};
    return a->v4 ? a->ip[12] == 127 : memcmp(a->ip, one, sizeof one) == 0;
}

const struct conn_addr *conn_peer(const struct conn *c)
{
    return &c->peer;
}

void conn_ends(struct conn *c, const struct conn_addr *peer, const struct conn_addr *local)
{
    c->peer = *peer;
    c->local = *local;
}

const struct conn_addr *conn_local(const struct conn *c)
{
    return &c->local;
}

bool conn_loopback(const struct conn *c)
{
    return loopback(&c->peer) && loopback(&c->local);
}

/* ---- life ---- */

struct conn *conn_new(int fd, const struct conn_addr *peer, const struct conn_addr *local)
{
    struct conn *c = base_alloc(sizeof *c);
    c->io = (struct loop_io){.fd = fd, .ready = conn_io_ready};
    c->peer = *peer;
    c->local = *local;
    c->limit_ms = FIRST_LIMIT_MS;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* we gather ourselves; fails on Unix sockets */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || loop_watch(&c->io) != 0)
        conn_io_dead(c); /* its first call then tells the session so */
    return c;
}

void conn_limit(struct conn *c, int64_t wait_ms)
{
    c->limit_ms = wait_ms;
}

bool conn_dead(const struct conn *c)
{
    return c->dead;
}

/* Last words, as far as they go without waiting. */
static void say_goodbye(struct conn *c)
{
    while (!c->dead && c->out_at < c->out_end) {
        ssize_t n = conn_io_write(c, c->out + c->out_at, c->out_end - c->out_at);
        if (n <= 0)
            return;
        c->out_at += (size_t)n;
    }
    if (c->ssl != NULL && !c->broken && SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        SSL_shutdown(c->ssl); /* RFC 8446 6.1: close_notify before the close */
        ERR_clear_error();
    }
    /* Closing with unread input makes TCP send a reset, which may overtake what we just said at the peer. */
    if (!c->eof && !c->dead && (c->ready & LOOP_READ)) {
        char *scrap = conn_io_buf();
        for (int i = 0; i < 4 && recv(c->io.fd, scrap, CONN_BUF, MSG_DONTWAIT) == CONN_BUF; i++)
            ;
        conn_io_buf_give(&scrap);
    }
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    say_goodbye(c);
    loop_unwatch(&c->io);
    SSL_free(c->ssl);
    close(c->io.fd);
    conn_io_buf_give(&c->in);
    conn_io_buf_give(&c->out);
    free(c);
}
