/* AUTH (RFC 4954): SMTP's words for what login/sasl_dialog does. */
#include "smtp/smtp_in_auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "login/sasl_dialog.h"

bool smtp_in_auth_possible(const struct smtp_in *s)
{
    return smtp_in_submits(s) && !s->login && sasl_dialog_allowed(s->c);
}

void smtp_in_auth_say(const struct smtp_in *s, struct str *out)
{
    sasl_dialog_list(s->c, " ", out);
}

/* "334 challenge" (RFC 4954 4: with its space also when nothing follows) and the client's line. A line that was too long
 * is answered where it is read. */
static WAITS int exchange(void *arg, struct span challenge, struct span *line)
{
    struct smtp_in *s = arg;
    int r = conn_write(s->c, SPAN("334 "));
    if (r == 0)
        r = conn_write(s->c, challenge);
    if (r == 0)
        r = conn_write(s->c, SPAN("\r\n"));
    if (r == 0)
        r = smtp_in_session_line(s, SASL_DIALOG_LINE, line);
    return r == 0 && line->p == NULL ? CONN_LINE_LONG : r;
}

static WAITS int logged_in(struct smtp_in *s, const struct sasl_dialog_result *in)
{
    if (in->handle.n != sizeof s->handle)
        return smtp_in_session_reply(s, 454, "4.7.0", "Logins are not possible now, try again later");
    memcpy(s->handle, in->handle.p, sizeof s->handle);
    s->user = arena_copy(&s->mem, in->address);
    s->login = true;
    return smtp_in_session_reply(s, 235, "2.7.0", "Welcome");
}

static WAITS int finish(struct smtp_in *s, const struct sasl_dialog_result *r)
{
    LOG(LOG_INFO, "smtp.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", r->address),
        L_Z("result", r->end == SASL_DIALOG_IN ? "ok" : r->end == SASL_DIALOG_LATER ? "later" : "refused"));
    switch (r->end) { /* RFC 4954 4, 6 */
    case SASL_DIALOG_IN: return logged_in(s, r);
    case SASL_DIALOG_REFUSED: return smtp_in_session_reply(s, 535, "5.7.8", "Login failed");
    case SASL_DIALOG_LATER: return smtp_in_session_reply(s, 454, "4.7.0", "Logins are not possible now, try again later");
    case SASL_DIALOG_NO_MECH: return smtp_in_session_reply(s, 504, "5.5.4", "There is no such mechanism here");
    case SASL_DIALOG_NO_TLS:
        return smtp_in_session_reply(s, 538, "5.7.11", "Logins are possible in TLS only: send STARTTLS first");
    case SASL_DIALOG_SYNTAX: return smtp_in_session_reply(s, 501, "5.5.2", "That is not what the mechanism wants");
    case SASL_DIALOG_BASE64: return smtp_in_session_reply(s, 501, "5.5.2", "That is not base64");
    case SASL_DIALOG_CANCELLED: return smtp_in_session_reply(s, 501, "5.7.0", "Given up");
    case SASL_DIALOG_LONG: break; /* answered */
    }
    return 0;
}

WAITS int smtp_in_auth_run(struct smtp_in *s, struct span args)
{
    struct span initial = args, mech = span_split(&initial, ' ');
    struct sasl_dialog d = {.c = s->c, .service = s->env->service, .mem = &s->cmd, .exchange = exchange, .arg = s,
                            .until_ms = clock_mono_ms() + LIMIT(SMTP_COMMAND_S) * 1000};
    struct sasl_dialog_result result;
    if (s->login) /* RFC 4954 4: once per session */
        return smtp_in_session_reply(s, 503, "5.5.1", "You are logged in already");
    if (mech.n == 0)
        return smtp_in_session_reply(s, 501, "5.5.4", "Wants AUTH mechanism [response]");
    int r = sasl_dialog_run(&d, mech, initial, &result);
    return r != 0 ? r : finish(s, &result);
}
