/* Lines in the store end with CRLF and hold no other CR or LF (SEC-03), so a line begins behind each LF. */
#include "smtp/smtp_out_data.h"

#include "base/limits.h"

enum { CHUNK = 256 * 1024 };

void smtp_out_data_stuff(struct str *out, struct span in, bool *bol)
{
    while (in.n > 0) {
        ptrdiff_t lf = span_find_char(in, '\n');
        size_t n = lf < 0 ? in.n : (size_t)lf + 1;
        if (*bol && in.p[0] == '.')
            str_addc(out, '.');
        str_add(out, span_sub(in, 0, n));
        *bol = lf >= 0;
        in = span_from(in, n);
    }
}

static void broke(struct smtp_out *s, struct smtp_out_answer *a, const char *why)
{
    s->over = true;
    smtp_out_say(a, QUEUE_DEFERRED, "4.4.2", "%s", why);
}

/* Our own trouble in the middle: no way back in DATA but to break the connection off (RFC 5321 4.1.1.4). */
static void ours(struct smtp_out *s, struct smtp_out_answer *a, const struct fail *f)
{
    s->over = true;
    smtp_out_say(a, QUEUE_DEFERRED, "4.3.0", "our own store: %s", f->text);
}

/* The answer that decides. Without one the far side may have it all the same (RFC 1047). */
static WAITS void decide(struct smtp_out *s, const struct smtp_out_mail *m, struct smtp_out_answer *a)
{
    struct smtp_out_reply r;
    smtp_out_send_ahead(s, m);
    if (smtp_out_hear(s, &r, LIMIT(RELAY_FINAL_S), "the end of the message", a) < 0)
        a->maybe_sent = true;
    else
        smtp_out_took(a, &r);
}

static WAITS void by_data(struct smtp_out *s, struct smtp_out_mail *m, struct smtp_out_answer *a)
{
    struct fail f;
    struct span in;
    struct str out;
    bool bol = true;
    conn_limit(s->c, LIMIT(RELAY_DATA_S) * 1000);
    str_init(&out, &s->mem);
    for (uint64_t at = 0; at < m->size; at += in.n) {
        if (m->read(m->arg, at, &in, &f) < 0 || in.n == 0) {
            ours(s, a, &f);
            return;
        }
        str_clear(&out);
        smtp_out_data_stuff(&out, in, &bol);
        if (conn_write(s->c, str_span(&out)) != 0) {
            broke(s, a, "the connection broke while the message was sent");
            return;
        }
    }
    if (m->attempt(m->arg, &f) < 0) {
        ours(s, a, &f);
        return;
    }
    /* a last line without its end is no line: it gets one (SEC-03 keeps such from the store) */
    if (conn_writez(s->c, bol ? ".\r\n" : "\r\n.\r\n") != 0)
        broke(s, a, "the connection broke while the message was sent");
    decide(s, m, a);
}

/* RFC 3030 2: chunks of a size that we say. The last one carries LAST; only with it can the message be delivered. */
static WAITS void by_bdat(struct smtp_out *s, struct smtp_out_mail *m, struct smtp_out_answer *a)
{
    struct smtp_out_reply r;
    struct fail f;
    uint64_t at = 0;
    conn_limit(s->c, LIMIT(RELAY_DATA_S) * 1000);
    for (;;) {
        uint64_t n = MIN_OF(m->size - at, (uint64_t)CHUNK), end = at + n;
        bool last = end == m->size;
        struct span in;
        if (last && m->attempt(m->arg, &f) < 0) {
            ours(s, a, &f);
            return;
        }
        conn_printf(s->c, "BDAT %llu%s\r\n", (unsigned long long)n, last ? " LAST" : "");
        while (at < end) {
            if (m->read(m->arg, at, &in, &f) < 0 || in.n == 0) {
                ours(s, a, &f);
                return;
            }
            in = span_sub(in, 0, (size_t)MIN_OF((uint64_t)in.n, end - at));
            if (conn_write(s->c, in) != 0) {
                broke(s, a, "the connection broke while the message was sent");
                a->maybe_sent = false;
                return;
            }
            at += in.n;
        }
        if (last) {
            decide(s, m, a);
            return;
        }
        if (smtp_out_hear(s, &r, LIMIT(RELAY_DATA_S), "BDAT", a) < 0)
            return;
        if (r.code / 100 != 2) { /* RFC 3030 4.2: the transaction is over */
            smtp_out_took(a, &r);
            conn_writez(s->c, "RSET\r\n");
            if (!s->over && smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "RSET", &(struct smtp_out_answer){0}) == 0)
                s->over = r.code / 100 != 2;
            return;
        }
    }
}

WAITS void smtp_out_data_send(struct smtp_out *s, struct smtp_out_mail *m, struct smtp_out_answer *a)
{
    if (s->caps & SMTP_OUT_CHUNKING)
        by_bdat(s, m, a);
    else
        by_data(s, m, a);
}
