/* Input: one buffer, lines found in place. What a peer may make us hold is CONN_BUF bytes and no more, and an idle peer
 * makes us hold nothing: the buffer goes back to the pool before the coroutine sleeps. */
#include "base/clock.h"
#include "run/conn_inner.h"

struct span conn_input(const struct conn *c)
{
    size_t at = c->in_at + c->line_n;
    return at < c->in_end ? span_of(c->in + at, c->in_end - at) : SPAN_NONE;
}

void conn_consume(struct conn *c, size_t n)
{
    conn_input_drop_line(c);
    assert(n <= c->in_end - c->in_at);
    c->in_at += n;
    if (c->in_at == c->in_end)
        c->in_at = c->in_end = 0;
}

void conn_input_drop_line(struct conn *c)
{
    size_t n = c->line_n;
    c->line_n = 0;
    if (n > 0)
        conn_consume(c, n);
}

static ssize_t read_some(struct conn *c, size_t most)
{
    if (c->in == NULL)
        c->in = conn_io_buf();
    if (c->in_at > 0 && c->in_end == CONN_BUF) {
        memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
        c->in_end -= c->in_at;
        c->in_at = 0;
    }
    ssize_t n = conn_io_read(c, c->in + c->in_end, MIN_OF(most, CONN_BUF - c->in_end));
    if (n > 0)
        c->in_end += (size_t)n;
    return n;
}

/* Sleeps until there may be input, after sending what the peer waits for (RFC 2920 3.2: an answer to a group of commands
 * may be held back only while more of the group is at hand). */
static WAITS int wait_input(struct conn *c, unsigned want, int64_t deadline_ms)
{
    int r = conn_output_flush(c, deadline_ms);
    if (r != WAIT_OK)
        return r;
    if (c->in_at == c->in_end)
        conn_io_buf_give(&c->in);
    c->want = want;
    return c->ready & want ? WAIT_OK : conn_io_wait(c, deadline_ms); /* the flush may have slept */
}

static WAITS int fill(struct conn *c, size_t most, int64_t deadline_ms)
{
    if (c->dead || c->in_end - c->in_at == CONN_BUF)
        return WAIT_CLOSED;
    int r = conn_io_fair(c);
    if (r == WAIT_OK && coro_cancelled()) /* a peer that sends without pause must not hold off the end */
        r = WAIT_CANCELLED;
    if (r != WAIT_OK) {
        conn_output_flush(c, deadline_ms);
        return r;
    }
    while (!c->dead && !c->eof) {
        bool tried = conn_io_readable(c);
        ssize_t n = tried ? read_some(c, most) : 0;
        if (n > 0)
            return WAIT_OK;
        /* TLS may want to write before it can read on */
        if (n == 0 && (r = wait_input(c, tried ? c->want : LOOP_READ, deadline_ms)) != WAIT_OK)
            return r;
    }
    /* Whoever closes only its half still waits for the answers. */
    return conn_output_flush(c, deadline_ms) == WAIT_CANCELLED ? WAIT_CANCELLED : WAIT_CLOSED;
}

WAITS int conn_fill(struct conn *c)
{
    conn_input_drop_line(c);
    return fill(c, CONN_BUF, conn_io_deadline(c));
}

WAITS int conn_fill_most(struct conn *c, size_t most)
{
    conn_input_drop_line(c);
    return fill(c, most, conn_io_deadline(c));
}

WAITS int conn_early(struct conn *c, bool *early)
{
    int64_t deadline = conn_io_deadline(c);
    int r = WAIT_OK;
    *early = !c->dead && read_some(c, CONN_BUF) > 0; /* whatever epoll has told so far */
    if (!*early && !c->dead && !c->eof && c->limit_ms > 0) {
        conn_io_buf_give(&c->in);
        c->want = LOOP_READ;
        r = conn_io_wait(c, deadline);
        *early = r == WAIT_OK && !c->dead && read_some(c, CONN_BUF) > 0;
        r = r == WAIT_TIMEOUT ? WAIT_OK : r;
    }
    if (!*early)
        conn_io_buf_give(&c->in);
    return r;
}

WAITS int conn_wait(struct conn *c, bool *input)
{
    int64_t deadline = conn_io_deadline(c);
    conn_input_drop_line(c);
    *input = c->in_at < c->in_end;
    while (!*input) {
        bool tried = !c->dead && !c->eof && conn_io_readable(c);
        ssize_t n = tried ? read_some(c, CONN_BUF) : 0;
        if (c->dead || c->eof)
            return WAIT_CLOSED;
        *input = n > 0;
        if (n > 0)
            break;
        conn_io_buf_give(&c->in);
        c->want = tried ? c->want : LOOP_READ;
        if (c->ready & c->want)
            continue;
        c->streak = 0;
        c->waiter = coro_self();
        int r = coro_wait(deadline);
        c->waiter = NULL;
        if (r != WAIT_OK || !(c->ready & c->want)) /* woken by somebody else */
            return r;
    }
    return WAIT_OK;
}

WAITS int conn_line(struct conn *c, size_t max, struct span *line)
{
    assert(max > 0 && max <= CONN_BUF);
    conn_input_drop_line(c);
    int64_t deadline = 0; /* of the whole line: a byte now and then does not buy more time */
    for (size_t seen = 0;;) {
        size_t have = MIN_OF(c->in_end - c->in_at, max);
        const char *start = c->in + c->in_at;
        const char *lf = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;
        if (lf != NULL) {
            c->line_n = (size_t)(lf - start) + 1;
            *line = span_of(start, c->line_n);
            return WAIT_OK;
        }
        if (have == max) {
            conn_consume(c, max);
            return CONN_LINE_LONG;
        }
        seen = have;
        if (deadline == 0)
            deadline = conn_io_deadline(c);
        int r = fill(c, CONN_BUF, deadline);
        if (r != WAIT_OK)
            return r;
    }
}

WAITS int conn_drop_line(struct conn *c, size_t max)
{
    conn_input_drop_line(c);
    int64_t deadline = conn_io_deadline(c);
    for (;;) {
        size_t have = MIN_OF(c->in_end - c->in_at, max);
        const char *start = c->in + c->in_at;
        const char *lf = have > 0 ? memchr(start, '\n', have) : NULL;
        if (lf != NULL) {
            conn_consume(c, (size_t)(lf - start) + 1);
            return WAIT_OK;
        }
        conn_consume(c, have);
        max -= have;
        if (max == 0)
            return CONN_LINE_LONG;
        int r = fill(c, CONN_BUF, deadline);
        if (r != WAIT_OK)
            return r;
    }
}
