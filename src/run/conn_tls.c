/* A connection turned to TLS. */
#include <openssl/err.h>

#include "base/clock.h"
#include "base/limits.h"
#include "run/conn_inner.h"
#include "run/coro_loop.h"
#include "run/tls_inner.h"

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
