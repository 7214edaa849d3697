/* DATA and BDAT: take the text of a message in, and no byte of it for anything else (SEC-02). */
#include "base/limits.h"
#include "smtp/smtp_in_session.h"

enum { SWALLOW_S = 300 }; /* for the rest of a message that is refused already */

static WAITS void take(struct smtp_in_text *t, struct span bytes)
{
    t->taken += bytes.n;
    if (t->fail.kind != FAIL_NONE || bytes.n == 0)
        return;
    if (t->taken > (uint64_t)LIMIT(MESSAGE_BYTES)) /* RFC 1870 6.3 */
        fail_perm(&t->fail, "5.3.4", "The limit is %lld bytes", (long long)LIMIT(MESSAGE_BYTES));
    else if (body_add(&t->body, bytes, &t->fail) == 0)
        return;
    body_drop(&t->body);
}

/* SEC-02: who knows where other readers would see that message end. RFC 3463 3.7: something about its content. */
static void spoilt(struct smtp_in_text *t)
{
    fail_perm(&t->fail, "5.6.0", "Bare CR, bare LF or NUL in the message");
    body_drop(&t->body);
}

/* All that was read, up to `most` bytes or the end of the message; *used says how much. */
static WAITS void take_input(struct smtp_in *s, uint64_t most, uint64_t *used)
{
    struct smtp_in_text *t = &s->tx.text;
    struct span rest = conn_input(s->c);
    rest.n = (size_t)MIN_OF((uint64_t)rest.n, most);
    size_t all = rest.n;
    while (rest.n > 0 && t->reader.state < SMTP_DATA_END) {
        struct span bytes;
        size_t n = smtp_data_take(&t->reader, rest, &bytes);
        take(t, bytes);
        rest = span_from(rest, n);
    }
    if (t->reader.state == SMTP_DATA_BAD) {
        spoilt(t);
        if (t->reader.chunked) /* its size still says how much is no command */
            rest = SPAN_NONE;
    }
    conn_consume(s->c, all - rest.n);
    *used = all - rest.n;
}

/* Waits for more; what is refused already may not go on for ever. */
static WAITS int more(struct smtp_in *s)
{
    struct smtp_in_text *t = &s->tx.text;
    if (t->fail.kind != FAIL_NONE && t->swallow_until_ms == 0)
        t->swallow_until_ms = clock_mono_ms() + SWALLOW_S * 1000;
    if (t->swallow_until_ms != 0 && clock_mono_ms() > t->swallow_until_ms)
        return WAIT_TIMEOUT;
    return conn_fill(s->c);
}

/* Opens the message: room for it, and our trace field. -1: *f says why not. */
static WAITS int open_text(struct smtp_in *s, bool chunked, struct fail *f)
{
    struct smtp_in_text *t = &s->tx.text;
    *t = (struct smtp_in_text){.open = true, .reader.chunked = chunked};
    body_init(&t->body, &s->tx.op);
    if (!body_room())
        return fail_temp(f, "4.3.1", "Too much mail at once, try again soon");
    return smtp_in_deliver_begin(s, f);
}

WAITS int smtp_in_data_data(struct smtp_in *s, struct span args)
{
    struct fail f;
    int r = open_text(s, false, &f) < 0 ? smtp_in_session_fail(s, &f)
                                        : smtp_in_session_reply(s, 354, "", "End with a line that is a dot");
    if (r == 0 && s->code == 354) {
        struct smtp_in_text *t = &s->tx.text;
        uint64_t used;
        conn_limit(s->c, LIMIT(SMTP_DATA_S) * 1000);
        for (;;) {
            take_input(s, UINT64_MAX, &used);
            if (t->reader.state >= SMTP_DATA_END || (r = more(s)) != 0)
                break;
        }
        if (r == 0)
            r = smtp_in_deliver_end(s, true);
    }
    smtp_in_session_reset(s); /* RFC 5321 4.1.1.4: whatever came of it, the buffers are empty */
    return r;
}

/* ---- BDAT ------------------------------------------------------------------------------------------------------------ */

/* The chunk's octets. */
static WAITS int take_chunk(struct smtp_in *s, uint64_t size)
{
    conn_limit(s->c, LIMIT(SMTP_DATA_S) * 1000);
    while (size > 0) {
        uint64_t used;
        take_input(s, size, &used);
        size -= used;
        int r = size > 0 ? more(s) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

/* RFC 3030 2: a size that cannot be read leaves no way to tell text from commands. */
static WAITS int no_size(struct smtp_in *s)
{
    s->closing = true;
    s->env->linger = SESSION_LINGER;
    return smtp_in_session_reply(s, 501, "5.5.4", "Wants BDAT size [LAST]");
}

static WAITS int last_chunk(struct smtp_in *s)
{
    struct smtp_in_text *t = &s->tx.text;
    struct span end = smtp_data_last(&t->reader);
    if (t->reader.state == SMTP_DATA_BAD)
        spoilt(t);
    if (t->fail.kind == FAIL_NONE && body_add(&t->body, end, &t->fail) < 0)
        body_drop(&t->body);
    return smtp_in_deliver_end(s, true);
}

WAITS int smtp_in_data_bdat(struct smtp_in *s, struct span args)
{
    struct smtp_in_text *t = &s->tx.text;
    struct fail f;
    uint64_t size;
    bool last;
    if (smtp_grammar_bdat(args, &size, &last) < 0) {
        smtp_in_session_reset(s);
        return no_size(s);
    }
    if (!t->open && open_text(s, true, &f) < 0)
        t->fail = f;
    if (t->fail.kind == FAIL_NONE && size > (uint64_t)LIMIT(MESSAGE_BYTES) - t->taken) /* nothing is kept of what cannot fit */
        fail_perm(&t->fail, "5.3.4", "The limit is %lld bytes", (long long)LIMIT(MESSAGE_BYTES));
    int r = take_chunk(s, size);
    if (r != 0)
        return r;
    if (last || t->fail.kind != FAIL_NONE) {
        r = last ? last_chunk(s) : smtp_in_deliver_end(s, false);
        smtp_in_session_reset(s); /* RFC 3030 4.2: chunks behind a failed one are read away and refused */
        return r;
    }
    s->state = SMTP_IN_BDAT;
    return smtp_in_session_reply(s, 250, "2.0.0", "%llu octets more", (unsigned long long)size);
}

WAITS int smtp_in_data_swallow(struct smtp_in *s, struct span args)
{
    uint64_t size;
    bool last;
    if (smtp_grammar_bdat(args, &size, &last) < 0) {
        s->closing = true; /* what follows is anybody's guess */
        s->env->linger = SESSION_LINGER;
        return 0;
    }
    int64_t until = clock_mono_ms() + SWALLOW_S * 1000;
    conn_limit(s->c, LIMIT(SMTP_DATA_S) * 1000);
    while (size > 0) {
        size_t n = (size_t)MIN_OF((uint64_t)conn_input(s->c).n, size);
        conn_consume(s->c, n);
        size -= n;
        int r = size == 0 ? 0 : clock_mono_ms() > until ? WAIT_TIMEOUT : conn_fill(s->c);
        if (r != 0)
            return r;
    }
    return 0;
}
