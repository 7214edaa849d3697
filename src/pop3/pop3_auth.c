/* AUTH: a SASL dialogue, each step of which auth decides (RFC 5034). The front only wraps and unwraps base64. */
#include "base/base64.h"
#include "base/limits.h"
#include "base/str.h"
#include "login/sasl_mech.h"
#include "pop3/pop3_session.h"

static const struct { const char *name; bool plain; } mechs[] = {
#define X(name, plain, step) {name, plain},
    SASL_MECH_TABLE(X)
#undef X
};

static bool possible(const struct pop3 *s, size_t i) { return !mechs[i].plain || pop3_login_allowed(s); }

bool pop3_auth_any(const struct pop3 *s)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (possible(s, i))
            return true;
    return false;
}

void pop3_auth_list(const struct pop3 *s, struct str *out)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (possible(s, i))
            str_addf(out, " %s", mechs[i].name);
}

/* The mechanism's own spelling; p NULL when it is not to be had here. */
static struct span find(const struct pop3 *s, struct span name)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (span_eq_nocase(name, span_z(mechs[i].name)) && possible(s, i))
            return span_z(mechs[i].name);
    return SPAN_NONE;
}

/* Sends the challenge and reads the line that answers it. 0 and *line without its end, WAIT_*, or CONN_LINE_LONG. */
static WAITS int exchange(struct pop3 *s, struct span challenge, struct span *line)
{
    struct str out;
    int64_t left = s->login_until_ms - clock_mono_ms();
    str_init(&out, &s->cmd);
    str_addz(&out, "+ "); /* RFC 5034 4: with its space also when nothing follows */
    base64_encode(&out, challenge);
    str_addz(&out, "\r\n");
    int r = left > 0 ? conn_write(s->c, str_span(&out)) : WAIT_TIMEOUT;
    if (r != 0)
        return r;
    conn_limit(s->c, left);
    r = conn_line(s->c, (size_t)LIMIT(SASL_LINE), line); /* RFC 5034 4: longer than a command may be */
    if (r == 0 && line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2;
    return r;
}

/* The dialogue behind the initial response. */
static WAITS int dialogue(struct pop3 *s, struct span mech, struct span text)
{
    struct msg_sasl_r out = {0};
    struct str bytes;
    uint64_t dialog = 0;
    for (;;) {
        str_init(&bytes, &s->cmd);
        /* RFC 5034 4: only what is base64 from end to end; "*" is that neither */
        if (base64_decode(&bytes, text) < 0)
            return pop3_session_err(s, span_eq(text, SPAN("*")) ? POP3_TEXT_CANCELLED : POP3_TEXT_BASE64);
        struct msg_sasl in = {.dialog = dialog, .mech = mech, .response = str_span(&bytes)};
        int asked = pop3_login_ask(s, &in, &out);
        if (bytes.n > 0)
            explicit_bzero(bytes.p, bytes.n);
        if (asked == 0 && (out.state == SASL_SYNTAX || out.state == SASL_MECH))
            return pop3_session_err(s, POP3_TEXT_BAD_RESPONSE);
        if (asked < 0 || out.state != SASL_MORE)
            return pop3_login_done(s, &out, asked);
        dialog = out.dialog;
        int r = exchange(s, out.challenge, &text);
        if (r == CONN_LINE_LONG) {
            s->closing = true;
            s->env->linger = SESSION_LINGER;
            return pop3_session_err(s, POP3_TEXT_LINE_LONG);
        }
        if (r != 0)
            return r;
    }
}

WAITS int pop3_auth_auth(struct pop3 *s, struct span args)
{
    struct span initial = args, mech = find(s, span_split(&initial, ' '));
    if (args.n == 0)
        return pop3_session_err(s, POP3_TEXT_MECHANISM);
    if (mech.p == NULL)
        return pop3_session_err(s, pop3_login_allowed(s) ? POP3_TEXT_NO_MECHANISM : POP3_TEXT_IN_TLS_ONLY);
    arena_done(&s->user_mem);
    s->user = SPAN("");
    struct span text = initial.p != NULL ? initial : SPAN("");
    if (span_eq(text, SPAN("="))) /* RFC 5034 4: a response that is there and empty; no mechanism of ours has such */
        return pop3_session_err(s, POP3_TEXT_BAD_RESPONSE);
    return dialogue(s, mech, text);
}
