/* The socket of a connection. epoll tells each change once (edge-triggered), so what it told is kept in `ready` until
 * the socket itself says otherwise: EAGAIN, or a short read, which saves the call that would say EAGAIN. A short read
 * says nothing when the peer has closed: its FIN may be queued behind these bytes and its edge is already spent. So HUP
 * is remembered for ever, and with it reading goes on to the end of file. */
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "run/conn_inner.h"
#include "run/coro_stack.h"

enum { FAIR_STREAK = 16 };
/* A pool of buffers; under ASan none, so that a span used after its buffer went back is found. */
enum { POOLED = CORO_STACK_ASAN ? 1 : 256 };

static char *pool[POOLED];
static size_t n_pool;

char *conn_io_buf(void)
{
    return n_pool > 0 ? pool[--n_pool] : base_realloc(NULL, CONN_BUF);
}

void conn_io_buf_give(char **buf)
{
    if (*buf == NULL)
        return;
    if (!CORO_STACK_ASAN && n_pool < POOLED)
        pool[n_pool++] = *buf;
    else
        free(*buf);
    *buf = NULL;
}

void conn_io_dead(struct conn *c)
{
    c->dead = true;
    c->in_at = c->in_end = c->line_n = 0;
    c->out_at = c->out_end = 0;
    conn_io_buf_give(&c->in);
    conn_io_buf_give(&c->out);
}

/* ---- waiting ---- */

void conn_io_ready(struct loop_io *io, unsigned events)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    c->ready |= events;
    if (c->waiter != NULL && (c->want & events))
        coro_wake(c->waiter);
}

int64_t conn_io_deadline(const struct conn *c)
{
    return clock_mono_ms() + c->limit_ms;
}

WAITS int conn_io_wait(struct conn *c, int64_t deadline_ms)
{
    assert(c->waiter == NULL && "one coroutine per connection");
    int r = WAIT_OK;
    c->streak = 0;
    c->waiter = coro_self();
    while (r == WAIT_OK && !(c->ready & c->want))
        r = coro_wait(deadline_ms);
    c->waiter = NULL;
    return r;
}

WAITS int conn_io_fair(struct conn *c)
{
    if (++c->streak < FAIR_STREAK)
        return WAIT_OK;
    c->streak = 0;
    return coro_yield();
}

/* ---- TLS ---- */

/* What a call of OpenSSL that did not succeed came to: 0 = not now, -1 = dead. To be called right after it: the error
 * queue is the thread's, and it was emptied right before. */
static int tls_failed(struct conn *c, int ret)
{
    switch (SSL_get_error(c->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        c->ready &= ~LOOP_READ;
        c->want = LOOP_READ;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        c->ready &= ~LOOP_WRITE;
        c->want = LOOP_WRITE;
        return 0;
    case SSL_ERROR_ZERO_RETURN: /* SEC-04: after close_notify nothing, least of all plain text */
        break;
    default:
        c->broken = true;
        c->tls_error = ERR_peek_error();
    }
    ERR_clear_error();
    conn_io_dead(c);
    return -1;
}

WAITS int conn_io_handshake(struct conn *c)
{
    ERR_clear_error();
    int r = SSL_do_handshake(c->ssl);
    return r == 1 ? 1 : tls_failed(c, r);
}

bool conn_io_readable(const struct conn *c)
{
    return (c->ready & LOOP_READ) || (c->ssl != NULL && SSL_has_pending(c->ssl));
}

static ssize_t tls_read(struct conn *c, char *buf, size_t n)
{
    ERR_clear_error();
    size_t got = 0;
    int r = SSL_read_ex(c->ssl, buf, n, &got);
    return r == 1 ? (ssize_t)got : tls_failed(c, r);
}

static ssize_t tls_write(struct conn *c, const char *buf, size_t n)
{
    ERR_clear_error();
    size_t sent = 0;
    int r = SSL_write_ex(c->ssl, buf, n, &sent);
    return r == 1 ? (ssize_t)sent : tls_failed(c, r);
}

/* ---- plain ---- */

static ssize_t plain_failed(struct conn *c, unsigned what)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        c->ready &= ~what;
        c->want = what;
        return 0;
    }
    conn_io_dead(c);
    return -1;
}

ssize_t conn_io_read(struct conn *c, char *buf, size_t n)
{
    if (c->ssl != NULL)
        return tls_read(c, buf, n);
    ssize_t r;
    do
        r = recv(c->io.fd, buf, n, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return plain_failed(c, LOOP_READ);
    if (r == 0) {
        c->eof = true;
        return -1;
    }
    if ((size_t)r < n && !(c->ready & LOOP_HUP)) {
        c->ready &= ~LOOP_READ;
        c->want = LOOP_READ;
    }
    return r;
}

ssize_t conn_io_write(struct conn *c, const char *buf, size_t n)
{
    if (c->ssl != NULL)
        return tls_write(c, buf, n);
    ssize_t r;
    do
        r = send(c->io.fd, buf, n, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? plain_failed(c, LOOP_WRITE) : r;
}
