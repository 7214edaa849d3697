/* DATA: takes the message in, has it read by scan and kept by store, and says 250 only then (REL-01). */
#include "base/limits.h"
#include "base/log.h"
#include "format/received.h"
#include "run/config.h"
#include "run/shared.h"
#include "smtp/smtp_data.h"
#include "run/scanner.h"
#include "smtp/smtp_in_session.h"

enum { SWALLOW_S = 300 }; /* for the rest of a message that is refused already */

struct incoming {
    struct smtp_data reader;
    struct body body;
    uint64_t taken;           /* of the client's own bytes */
    struct fail fail;         /* why the rest is only swallowed; FAIL_NONE while all is well */
    int64_t swallow_until_ms;
};

/* RFC 5321 4.4: our trace field, in front of what came. */
static WAITS int add_received(struct smtp_in *s, struct incoming *in)
{
    struct str field;
    bool tls = conn_tls(s->c);
    str_init(&field, &s->cmd);
    struct received r = {
        .helo = span_of(s->helo, s->helo_n),
        .peer = span_z(conn_peer(s->c)->text),
        .by = config_text(CONFIG_server_hostname),
        .protocol = !s->esmtp ? SPAN("SMTP") : tls ? SPAN("ESMTPS") : SPAN("ESMTP"), /* RFC 3848 */
        .tls = tls ? conn_tls_info(s->c, &s->cmd) : SPAN_NONE,
        .id = span_z(s->tx.trace),
        .rcpt = s->tx.only,
        .time_s = clock_now_s(),
    };
    received_write(&field, &r);
    return body_add(&in->body, str_span(&field), &in->fail);
}

static WAITS void take(struct incoming *in, struct span bytes)
{
    in->taken += bytes.n;
    if (in->fail.kind != FAIL_NONE || bytes.n == 0)
        return;
    if (in->taken > (uint64_t)LIMIT(MESSAGE_BYTES)) /* RFC 1870 6.3 */
        fail_perm(&in->fail, "5.3.4", "The limit is %lld bytes", (long long)LIMIT(MESSAGE_BYTES));
    else if (body_add(&in->body, bytes, &in->fail) == 0)
        return;
    body_drop(&in->body);
    in->swallow_until_ms = clock_mono_ms() + SWALLOW_S * 1000;
}

/* Reads until the end of data or a byte that must not be. 0 or WAIT_*. */
static WAITS int receive(struct smtp_in *s, struct incoming *in)
{
    conn_limit(s->c, LIMIT(SMTP_DATA_S) * 1000);
    while (in->reader.state < SMTP_DATA_END) {
        struct span rest = conn_input(s->c);
        size_t all = rest.n;
        while (rest.n > 0 && in->reader.state < SMTP_DATA_END) {
            struct span bytes;
            size_t n = smtp_data_take(&in->reader, rest, &bytes);
            take(in, bytes);
            rest = span_from(rest, n);
        }
        conn_consume(s->c, all - rest.n);
        if (in->reader.state >= SMTP_DATA_END)
            break;
        if (in->swallow_until_ms != 0 && clock_mono_ms() > in->swallow_until_ms)
            return WAIT_TIMEOUT;
        int r = conn_fill(s->c);
        if (r != 0)
            return r;
    }
    return 0;
}

static WAITS int summarize_it(struct smtp_in *s, struct incoming *in, struct msg_summarize_r *sum, struct fail *f)
{
    struct msg_summarize ask = {.size = in->body.size, .body = body_bytes(&in->body), .file = in->body.fd};
    if (scanner_summarize(&ask, sum, span_z(s->tx.trace), &s->tx.mem, f) < 0)
        return -1;
    /* RFC 5321 6.3; one of them is ours */
    if (sum->hops > 0 && sum->hops - 1 > LIMIT(HOPS))
        return fail_perm(f, "5.4.6", "Too many hops: this mail runs in a circle");
    return 0;
}

static WAITS int store_it(struct smtp_in *s, struct incoming *in, const struct msg_summarize_r *sum, struct fail *f)
{
    struct smtp_in_tx *tx = &s->tx;
    bool spool = in->body.place == BODY_SPOOL;
    struct msg_ingest_r out;
    struct msg_ingest ask = {
        .op = span_of(tx->op.b, sizeof tx->op.b),
        .sender = tx->sender,
        .size = in->body.size,
        .body = body_bytes(&in->body),
        .file = spool ? -1 : in->body.fd,
        .spool = spool,
        .received_ms = clock_now_ms(),
        .summary_flags = sum->flags,
        .msgid_hash = sum->msgid_hash,
        .date_s = sum->date_s,
        .headers = sum->headers,
        .envelope = sum->envelope,
        .structure = sum->structure,
        .preview = sum->preview,
        .refs = sum->refs,
    };
    ask.targets.v = tx->targets.v;
    ask.targets.n = (uint32_t)tx->targets.n;
    return IPC_CALL(ROLE_STORE, ingest, &ask, &out, &tx->mem, f);
}

static WAITS int deliver(struct smtp_in *s, struct incoming *in, struct fail *f)
{
    struct msg_summarize_r sum;
    if (body_finish(&in->body, &s->tx.mem, f) < 0 || summarize_it(s, in, &sum, f) < 0)
        return -1;
    return store_it(s, in, &sum, f);
}

static void log_end(const struct smtp_in *s, const struct incoming *in, const char *ev, const struct fail *f)
{
    const struct smtp_in_tx *tx = &s->tx;
    LOG(LOG_INFO, ev, L_ID(span_z(tx->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("from", tx->sender),
        L_INT("rcpts", tx->rcpts), L_INT("size", (int64_t)in->taken), L_INT("ms", clock_mono_ms() - tx->begun_ms),
        L_Z("why", f->kind == FAIL_NONE ? "ok" : f->code));
}

/* The whole message is here: what becomes of it. */
static WAITS int conclude(struct smtp_in *s, struct incoming *in)
{
    if (in->reader.state == SMTP_DATA_BAD) { /* SEC-02: who knows where that message ends; nothing behind it is read */
        fail_perm(&in->fail, "5.6.11", "Bare CR, bare LF or NUL in the message");
        s->closing = true;
        s->env->linger = SESSION_LINGER + (size_t)LIMIT(MESSAGE_BYTES);
    }
    if (in->fail.kind != FAIL_NONE || deliver(s, in, &in->fail) < 0) {
        log_end(s, in, "smtp.refused", &in->fail);
        if (in->reader.state == SMTP_DATA_BAD)
            return smtp_in_session_reply(s, 550, in->fail.code, "%s", in->fail.text);
        return smtp_in_session_fail(s, &in->fail);
    }
    log_end(s, in, "smtp.stored", &in->fail);
    counter_add(COUNTER_MESSAGES_IN, 1);
    smtp_in_session_progress(s);
    return smtp_in_session_reply(s, 250, "2.0.0", "Ok, stored as %s", s->tx.trace);
}

WAITS int smtp_in_data_run(struct smtp_in *s, struct span args)
{
    struct incoming in = {0};
    if (!body_room())
        return smtp_in_session_reply(s, 452, "4.3.1", "Too much mail at once, try again soon");
    body_init(&in.body, &s->tx.op);
    int r = add_received(s, &in) < 0 ? smtp_in_session_fail(s, &in.fail)
                                     : smtp_in_session_reply(s, 354, "", "End with a line that is a dot");
    if (r == 0 && s->code == 354)
        r = receive(s, &in);
    if (r == 0 && s->code == 354)
        r = conclude(s, &in);
    body_drop(&in.body);
    smtp_in_session_reset(s); /* RFC 5321 4.1.1.4: whatever came of it, the buffers are empty */
    return r;
}
