/* LOGIN and AUTHENTICATE: IMAP's words for what login/sasl_dialog does. */
#include "base/log.h"
#include "imap/imap_session.h"
#include "login/sasl_dialog.h"

bool imap_login_allowed(const struct imap *s)
{
    return sasl_dialog_allowed(s->c);
}

void imap_login_capabilities(const struct imap *s, struct str *out)
{
    sasl_dialog_list(s->c, " AUTH=", out); /* RFC 9051 6.2.2 */
}

/* "+ challenge" and the client's line. */
static WAITS int exchange(void *arg, struct span challenge, struct span *line)
{
    struct imap *s = arg;
    int r = conn_write(s->c, SPAN("+ "));
    if (r == 0)
        r = conn_write(s->c, challenge);
    if (r == 0)
        r = conn_write(s->c, SPAN("\r\n"));
    return r != 0 ? r : imap_session_line(s, SASL_DIALOG_LINE, line);
}

static struct sasl_dialog dialog_of(struct imap *s)
{
    return (struct sasl_dialog){.c = s->c, .service = s->env->service, .mem = &s->cmd, .until_ms = s->login_until_ms,
                                .exchange = exchange, .arg = s};
}

static WAITS int logged_in(struct imap *s, const struct sasl_dialog_result *in)
{
    struct str text;
    if (in->handle.n != sizeof s->handle)
        return imap_session_no(s, "[UNAVAILABLE] Logins are not possible now, try again later");
    memcpy(s->handle, in->handle.p, sizeof s->handle);
    s->account = in->account;
    s->user = arena_copy(&s->mem, in->address);
    s->state = IMAP_AUTHENTICATED;
    str_init(&text, &s->cmd);
    imap_session_capabilities(s, &text); /* others than before: saves the client from asking */
    return imap_session_ok(s, "[%s] Logged in", str_z(&text));
}

static WAITS int finish(struct imap *s, const struct sasl_dialog_result *r)
{
    LOG(LOG_INFO, "imap.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", r->address),
        L_Z("result", r->end == SASL_DIALOG_IN ? "ok" : r->end == SASL_DIALOG_LATER ? "later" : "refused"));
    switch (r->end) {
    case SASL_DIALOG_IN: return logged_in(s, r);
    case SASL_DIALOG_REFUSED: return imap_session_no(s, "[AUTHENTICATIONFAILED] Login failed"); /* RFC 5530 3 */
    case SASL_DIALOG_LATER: return imap_session_no(s, "[UNAVAILABLE] Logins are not possible now, try again later");
    case SASL_DIALOG_NO_MECH: return imap_session_no(s, "There is no such mechanism here");
    case SASL_DIALOG_NO_TLS: return imap_session_no(s, "[PRIVACYREQUIRED] Logins are possible in TLS only: send STARTTLS first");
    case SASL_DIALOG_SYNTAX: return imap_session_no(s, "[AUTHENTICATIONFAILED] That is no answer of this mechanism");
    case SASL_DIALOG_BASE64: return imap_session_bad(s, "that is not base64");
    case SASL_DIALOG_CANCELLED: return imap_session_bad(s, "given up"); /* RFC 9051 6.2.2 */
    case SASL_DIALOG_LONG: break;
    }
    s->closing = true;
    s->env->linger = SESSION_LINGER;
    return imap_session_bad(s, "that line is too long");
}

WAITS int imap_login_login(struct imap *s, struct imap_lex *in)
{
    struct sasl_dialog d = dialog_of(s);
    struct sasl_dialog_result result;
    struct span user, password;
    imap_grammar_astring(in, &user);
    imap_grammar_sp(in);
    imap_grammar_astring(in, &password);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    int r = sasl_dialog_password(&d, user, password, &result);
    return r != 0 ? r : finish(s, &result);
}

WAITS int imap_login_authenticate(struct imap *s, struct imap_lex *in)
{
    struct sasl_dialog d = dialog_of(s);
    struct sasl_dialog_result result;
    struct span mech, initial = SPAN_NONE;
    if (imap_grammar_atom(in, &mech) && imap_grammar_may(in, ' ')) { /* RFC 4959 3 */
        initial = in->at;
        in->at = SPAN_NONE;
    }
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    int r = sasl_dialog_run(&d, mech, initial, &result);
    return r != 0 ? r : finish(s, &result);
}
