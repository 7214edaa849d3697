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

/* RFC 3207 4.2, SEC-04: what came in plain text before the handshake was perhaps not said by who we are about to trust; a
 * peer that keeps to the protocol has sent nothing yet. Sends what is left to send in plain text. */
static WAITS int leave_plain(struct conn *c, int64_t deadline_ms)
{
    conn_input_drop_line(c);
    if (c->dead || c->ssl != NULL || c->in_at < c->in_end) {
        conn_io_dead(c);
        return WAIT_CLOSED;
    }
    int r = conn_output_flush(c, deadline_ms);
    if (r == WAIT_OK)
        conn_io_buf_give(&c->in);
    return r;
}

static int64_t handshake_deadline(const struct conn *c)
{
    return clock_mono_ms() + MIN_OF(c->limit_ms, LIMIT(TLS_HANDSHAKE_S) * 1000);
}

/* With c->ssl, or the lack of it. */
static WAITS int handshake(struct conn *c, int64_t deadline_ms)
{
    int r = c->ssl != NULL && SSL_set_fd(c->ssl, c->io.fd) ? shake_hands(c, deadline_ms) : WAIT_CLOSED;
    if (r != WAIT_OK) {
        c->broken = true;
        ERR_clear_error();
        conn_io_dead(c);
    }
    coro_trim(); /* a handshake goes 7 KiB deep and more, the session will not again */
    return r;
}

WAITS int conn_tls_start(struct conn *c, struct tls_service *service)
{
    int64_t deadline = handshake_deadline(c);
    int r = leave_plain(c, deadline);
    if (r != WAIT_OK)
        return r;
    ERR_clear_error();
    c->ssl = tls_ssl(service);
    return handshake(c, deadline);
}

static int tls_refused(const struct conn *c, const struct tls_client_got *got, struct fail *f)
{
    static const char *const why[] = {
        [TLS_TIMEOUT] = "the handshake took too long",
        [TLS_HANDSHAKE] = "the handshake failed",
        [TLS_NAME] = "the certificate is for another name",
        [TLS_EXPIRED] = "the certificate is not valid today",
        [TLS_UNTRUSTED] = "no authority that we know vouches for the certificate",
        [TLS_NO_TLSA_MATCH] = "the certificate is none of those in the TLSA records",
    };
    const char *more = got->cause == TLS_HANDSHAKE && c->tls_error != 0 ? ERR_reason_error_string(c->tls_error) : NULL;
    /* RFC 3463 3.8: X.7.5 cryptographic failure */
    return fail_temp(f, "4.7.5", "TLS with %s: %s%s%s", c->peer.text, why[got->cause], more ? ": " : "", more ? more : "");
}

WAITS int conn_tls_connect(struct conn *c, const struct tls_client_want *want, struct tls_client_got *got, struct fail *f)
{
    int64_t deadline = handshake_deadline(c);
    *got = (struct tls_client_got){0};
    int r = leave_plain(c, deadline);
    if (r == WAIT_OK) {
        ERR_clear_error();
        c->ssl = tls_client_ssl(want, got);
        r = handshake(c, deadline);
    }
    if (r != WAIT_OK)
        got->cause = r == WAIT_TIMEOUT ? TLS_TIMEOUT : TLS_HANDSHAKE;
    else
        tls_client_judge(c->ssl, want, got);
    if (got->cause == TLS_FINE)
        return 0;
    if (c->ssl != NULL)
        SSL_set_app_data(c->ssl, NULL); /* want is the caller's */
    conn_io_dead(c);
    return tls_refused(c, got, f);
}

bool conn_tls(const struct conn *c)
{
    return c->ssl != NULL && SSL_is_init_finished(c->ssl);
}

struct span conn_tls_info(const struct conn *c, struct arena *mem)
{
    if (!conn_tls(c))
        return SPAN_NONE;
    return arena_printf(mem, "%s %s", SSL_get_version(c->ssl),
                        SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)));
}

bool conn_tls_binding(const struct conn *c, unsigned char out[TLS_BINDING])
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 2: that label, a context of no octets, 32 octets */

    return conn_tls(c) && SSL_version(c->ssl) == TLS1_3_VERSION &&
           SSL_export_keying_material(c->ssl, out, TLS_BINDING, label, sizeof label - 1, NULL, 0, 1) == 1;
}
