/* A connection's life: made from a descriptor, turned to TLS, freed; and what is known about its two ends. */
#include "run/conn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "run/conn_inner.h"
#include "run/coro_loop.h"
#include "run/tls_inner.h"

enum { FIRST_LIMIT_MS = 300 * 1000 }; /* until conn_limit says otherwise */

/* ---- addresses ---- */

static bool v4_mapped(const unsigned char ip[16])
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, prefix, sizeof prefix) == 0;
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
    /* RFC 4291 2.5.5.2: a listener for both families shows IPv4 peers as mapped addresses */
    out->v4 = v4_mapped(out->ip);
    inet_ntop(out->v4 ? AF_INET : AF_INET6, out->ip + (out->v4 ? 12 : 0), out->text, sizeof out->text);
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

/* ---- TLS ---- */

static WAITS int shake_hands(struct conn *c, int64_t deadline_ms)
{
    for (;;) {
        int done = conn_io_handshake(c);
        if (done != 0)
            return done > 0 ? WAIT_OK : WAIT_CLOSED;
        int r = conn_io_wait(c, deadline_ms);
        if (r != WAIT_OK)
            return r;
    }
}

WAITS int conn_tls_start(struct conn *c, struct tls_service *service)
{
    conn_input_drop_line(c);
    /* RFC 3207 4.2, SEC-04: what came in plain text before the handshake was perhaps not said by who we are about to
     * trust; a client that keeps to the protocol has sent nothing yet. */
    if (c->dead || c->ssl != NULL || c->in_at < c->in_end) {
        conn_io_dead(c);
        return WAIT_CLOSED;
    }
    int64_t deadline = clock_mono_ms() + MIN_OF(c->limit_ms, LIMIT(TLS_HANDSHAKE_S) * 1000);
    int r = conn_output_flush(c, deadline);
    if (r != WAIT_OK)
        return r;
    conn_io_buf_give(&c->in);
    ERR_clear_error();
    c->ssl = tls_ssl(service);
    if (c->ssl == NULL || !SSL_set_fd(c->ssl, c->io.fd))
        r = WAIT_CLOSED;
    else
        r = shake_hands(c, deadline);
    if (r != WAIT_OK) {
        c->broken = true;
        ERR_clear_error();
        conn_io_dead(c);
    }
    coro_trim(); /* a handshake goes 7 KiB deep and more, the session will not again */
    return r;
}

bool conn_tls(const struct conn *c)
{
    return c->ssl != NULL && SSL_is_init_finished(c->ssl);
}

struct span conn_tls_info(const struct conn *c, struct arena *mem)
{
    if (!conn_tls(c))
        return SPAN_NONE;
    return arena_printf(mem, "%s %s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl));
}
