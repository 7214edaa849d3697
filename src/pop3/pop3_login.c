/* USER and PASS, and how a login ends. */
#include "base/log.h"
#include "base/str.h"
#include "login/sasl_dialog.h"
#include "pop3/pop3_session.h"

bool pop3_login_allowed(const struct pop3 *s)
{
    return sasl_dialog_allowed(s->c);
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

static WAITS int logged_in(struct pop3 *s, const struct sasl_dialog_result *in)
{
    struct fail f;
    bool busy;
    if (in->handle.n != sizeof s->drop.handle)
        return pop3_session_err(s, POP3_TEXT_LOGIN_BUSY);
    if (pop3_drop_open(&s->drop, in->handle, &busy, &f) < 0) {
        pop3_drop_done(&s->drop);
        return pop3_session_err(s, busy ? POP3_TEXT_IN_USE : POP3_TEXT_NO_MAILBOX);
    }
    s->state = POP3_TRANSACTION;
    pop3_keep_open(&s->keep, &s->drop);
    int own = pop3_text_find(in->lang);
    s->own = own >= 0 ? (enum pop3_lang)own : POP3_LANG_EN;
    return pop3_session_ok_count(s, POP3_TEXT_MESSAGES, s->drop.items.n);
}

WAITS int pop3_login_done(struct pop3 *s, const struct sasl_dialog_result *r)
{
    static const enum pop3_text texts[] = {
        [SASL_DIALOG_REFUSED] = POP3_TEXT_LOGIN_FAILED, [SASL_DIALOG_LATER] = POP3_TEXT_LOGIN_BUSY, /* RFC 3206 */
        [SASL_DIALOG_NO_MECH] = POP3_TEXT_NO_MECHANISM, [SASL_DIALOG_NO_TLS] = POP3_TEXT_IN_TLS_ONLY,
        [SASL_DIALOG_SYNTAX] = POP3_TEXT_BAD_RESPONSE,  [SASL_DIALOG_BASE64] = POP3_TEXT_BASE64,
        [SASL_DIALOG_CANCELLED] = POP3_TEXT_CANCELLED,  [SASL_DIALOG_LONG] = POP3_TEXT_LINE_LONG,
    };
    s->state = POP3_AUTHORIZATION;
    LOG(LOG_INFO, "pop3.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", r->address),
        L_Z("result", r->end == SASL_DIALOG_IN ? "ok" : r->end == SASL_DIALOG_LATER ? "later" : "refused"));
    if (r->end == SASL_DIALOG_IN)
        return logged_in(s, r);
    if (r->end == SASL_DIALOG_LONG) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
    }
    return pop3_session_err(s, texts[r->end]);
}

WAITS int pop3_login_pass(struct pop3 *s, struct span args)
{
    struct sasl_dialog d = pop3_auth_dialog(s);
    struct sasl_dialog_result result;
    int r = sasl_dialog_password(&d, s->user, args, &result);
    return r != 0 ? r : pop3_login_done(s, &result);
}
