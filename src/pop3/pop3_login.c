/* USER and PASS. Whatever was wrong, the answer is the same and comes after the time that auth asks for (SEC-13, -14). */
#include "base/log.h"
#include "base/str.h"
#include "pop3/pop3_session.h"
#include "run/config.h"

bool pop3_login_allowed(const struct pop3 *s)
{
    return conn_tls(s->c) || (conn_loopback(s->c) && config_bool(CONFIG_server_cleartext_loopback));
}

WAITS int pop3_login_user(struct pop3 *s, struct span args)
{
    if (!pop3_login_allowed(s))
        return pop3_session_err(s, POP3_TEXT_IN_TLS_ONLY);
    if (args.n == 0)
        return pop3_session_err(s, POP3_TEXT_WHO);
    arena_done(&s->user_mem);
    s->user = arena_copy(&s->user_mem, args);
    s->state = POP3_NAMED;
    return pop3_session_ok(s, POP3_TEXT_PASSWORD);
}

WAITS int pop3_login_ask(struct pop3 *s, struct msg_sasl *in, struct msg_sasl_r *out)
{
    struct fail f;
    in->service = s->env->service;
    in->ip = span_of(conn_peer(s->c)->ip, sizeof conn_peer(s->c)->ip);
    in->flags = (conn_tls(s->c) ? SASL_IN_TLS : 0) | (conn_loopback(s->c) ? SASL_LOOPBACK : 0);
    return IPC_CALL(ROLE_AUTH, sasl, in, out, &s->cmd, &f);
}

static WAITS int refuse(struct pop3 *s, const struct msg_sasl_r *out, int asked)
{
    bool temp = asked < 0 || out->state == SASL_BUSY;
    LOG(LOG_INFO, "pop3.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", s->user),
        L_Z("result", temp ? "later" : "refused"));
    if (asked == 0 && out->wait_ms > 0) {
        int64_t left = s->login_until_ms - clock_mono_ms();
        int r = coro_sleep(MAX_OF(MIN_OF((int64_t)out->wait_ms, left), (int64_t)0));
        if (r != WAIT_TIMEOUT && r != 0)
            return r;
    }
    return pop3_session_err(s, temp ? POP3_TEXT_LOGIN_BUSY : POP3_TEXT_LOGIN_FAILED); /* RFC 3206 */
}

WAITS int pop3_login_done(struct pop3 *s, const struct msg_sasl_r *out, int asked)
{
    struct fail f;
    bool busy;
    s->state = POP3_AUTHORIZATION;
    if (asked < 0 || out->state != SASL_OK || out->handle.n != sizeof s->drop.handle)
        return refuse(s, out, asked);
    if (pop3_drop_open(&s->drop, out->handle, &busy, &f) < 0) {
        pop3_drop_done(&s->drop);
        return pop3_session_err(s, busy ? POP3_TEXT_IN_USE : POP3_TEXT_NO_MAILBOX);
    }
    s->state = POP3_TRANSACTION;
    int own = pop3_text_find(out->lang);
    s->own = own >= 0 ? (enum pop3_lang)own : POP3_LANG_EN;
    LOG(LOG_INFO, "pop3.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", s->user),
        L_Z("result", "ok"), L_INT("messages", (int64_t)s->drop.items.n));
    return pop3_session_ok_count(s, POP3_TEXT_MESSAGES, s->drop.items.n);
}

WAITS int pop3_login_pass(struct pop3 *s, struct span args)
{
    struct msg_sasl_r out = {0};
    struct str plain; /* RFC 4616: no authorization identity, NUL, user, NUL, password */
    str_init(&plain, &s->cmd);
    str_reserve(&plain, s->user.n + args.n + 2);
    str_addc(&plain, 0);
    str_add(&plain, s->user);
    str_addc(&plain, 0);
    str_add(&plain, args);
    struct msg_sasl in = {.mech = SPAN("PLAIN"), .response = str_span(&plain)};
    int asked = pop3_login_ask(s, &in, &out);
    explicit_bzero(plain.p, plain.n);
    return pop3_login_done(s, &out, asked);
}
