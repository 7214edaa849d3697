/* Output: gathered in one buffer, sent when it is full, when the caller says so, or before the coroutine sleeps for
 * input. What is larger than the buffer goes out from where it lies. */
#include <stdarg.h>

#include "run/conn_inner.h"

enum { PRINTF_MAX = 4096 };

/* Waits until c->want is there. A peer that took nothing for so long has had its chance: part of what was said is under
 * way, nothing that fits can follow. */
static WAITS int wait_output(struct conn *c, int64_t deadline_ms)
{
    int r = conn_io_wait(c, deadline_ms);
    if (r == WAIT_TIMEOUT)
        conn_io_dead(c);
    return r;
}

WAITS int conn_output_flush(struct conn *c, int64_t deadline_ms)
{
    while (!c->dead && c->out_at < c->out_end) {
        ssize_t n = conn_io_write(c, c->out + c->out_at, c->out_end - c->out_at);
        int r;
        if (n > 0)
            c->out_at += (size_t)n;
        else if (n == 0 && (r = wait_output(c, deadline_ms)) != WAIT_OK)
            return r;
    }
    if (c->dead)
        return WAIT_CLOSED;
    c->out_at = c->out_end = 0;
    conn_io_buf_give(&c->out);
    return WAIT_OK;
}

WAITS int conn_flush(struct conn *c)
{
    return conn_output_flush(c, conn_io_deadline(c));
}

/* Room at the end of the buffer; makes one. */
static size_t room(struct conn *c)
{
    if (c->out == NULL)
        c->out = conn_io_buf();
    if (c->out_at > 0) { /* left by a flush that was cancelled */
        memmove(c->out, c->out + c->out_at, c->out_end - c->out_at);
        c->out_end -= c->out_at;
        c->out_at = 0;
    }
    return CONN_BUF - c->out_end;
}

static void add(struct conn *c, struct span *s, size_t n)
{
    memcpy(c->out + c->out_end, s->p, n);
    c->out_end += n;
    *s = span_from(*s, n);
}

/* Sends all of s; the buffer is empty. When that ends half way the connection is of no more use: TLS insists on the same
 * bytes when it tries again, and the peer on the rest of what it was promised. */
static WAITS int send_direct(struct conn *c, struct span s)
{
    int64_t deadline = conn_io_deadline(c);
    while (!c->dead && s.n > 0) {
        ssize_t n = conn_io_write(c, s.p, s.n);
        int r = n > 0 ? conn_io_fair(c) : n == 0 ? wait_output(c, deadline) : WAIT_CLOSED;
        if (n > 0) {
            s = span_from(s, (size_t)n);
            deadline = conn_io_deadline(c); /* slow, but it moves */
        }
        if (r != WAIT_OK && s.n > 0) {
            conn_io_dead(c);
            return r;
        }
    }
    return c->dead ? WAIT_CLOSED : WAIT_OK;
}

WAITS int conn_write(struct conn *c, struct span s)
{
    if (c->dead)
        return WAIT_CLOSED;
    if (s.n == 0)
        return WAIT_OK;
    if (s.n >= CONN_BUF && c->out_at == c->out_end)
        return send_direct(c, s);
    add(c, &s, MIN_OF(s.n, room(c)));
    if (c->out_end < CONN_BUF)
        return WAIT_OK;
    int r = conn_flush(c);
    if (r != WAIT_OK) {
        if (s.n > 0) /* cut in the middle: nothing may follow */
            conn_io_dead(c);
        return r;
    }
    return conn_write(c, s); /* once more at most: the buffer is empty now */
}

WAITS int conn_writez(struct conn *c, const char *z)
{
    return conn_write(c, span_z(z));
}

WAITS int conn_printf(struct conn *c, const char *fmt, ...)
{
    if (c->dead)
        return WAIT_CLOSED;
    if (room(c) <= PRINTF_MAX) {
        int r = conn_flush(c);
        if (r != WAIT_OK)
            return r;
    }
    size_t cap = MIN_OF(room(c), (size_t)PRINTF_MAX + 1); /* in a line of its own: it makes the buffer */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(c->out + c->out_end, cap, fmt, ap);
    va_end(ap);
    if (n < 0 || n > PRINTF_MAX) { /* half a line would be read as something else */
        conn_io_dead(c);
        return WAIT_CLOSED;
    }
    c->out_end += (size_t)n;
    return WAIT_OK;
}
