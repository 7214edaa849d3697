/* AUTH: the common SASL dialogue (login/sasl_dialog.h) in the words of RFC 4954. */
#include "smtp/smtp_in_auth.h"

#include "base/limits.h"
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

/* RFC 4954 4: "334 " with its space also when nothing follows. */
static WAITS int exchange(void *arg, struct span challenge, struct span *line)
{
    struct smtp_in *s = arg;
    int r = conn_writez(s->c, "334 ");
    if (r == 0)
        r = conn_write(s->c, challenge);
    if (r == 0)
        r = conn_writez(s->c, "\r\n");
    return r != 0 ? r : smtp_in_session_read(s, SASL_DIALOG_LINE, line);
}

static const struct { int code; const char *enhanced, *text; } answers[] = {
    [SASL_DIALOG_IN] = {235, "2.7.0", "Welcome"},
    [SASL_DIALOG_REFUSED] = {535, "5.7.8", "Login failed"},
    [SASL_DIALOG_LATER] = {454, "4.7.0", "Logins are not possible now, try again later"},
    [SASL_DIALOG_NO_MECH] = {504, "5.5.4", "There is no such mechanism here"},
    [SASL_DIALOG_NO_TLS] = {538, "5.7.11", "Logins are possible in TLS only: send STARTTLS first"},
    [SASL_DIALOG_SYNTAX] = {501, "5.5.2", "That is not what the mechanism wants"},
    [SASL_DIALOG_BASE64] = {501, "5.5.2", "That is not base64"},
    [SASL_DIALOG_CANCELLED] = {501, "5.7.0", "Given up"},
    [SASL_DIALOG_LONG] = {500, "5.5.6", "The line is too long"}, /* RFC 4954 4 */
};

static WAITS int finish(struct smtp_in *s, const struct sasl_dialog_result *out)
{
    bool in = out->end == SASL_DIALOG_IN && out->handle.n == sizeof s->handle;
    if (in) {
        memcpy(s->handle, out->handle.p, sizeof s->handle);
        s->user = arena_copy(&s->mem, out->address);
        s->login = true;
    }
    if (out->end == SASL_DIALOG_LONG) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
    }
    LOG(LOG_INFO, "smtp.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_SPAN("user", in ? s->user : SPAN("-")), L_Z("result", in ? "ok" : answers[out->end].enhanced));
    return smtp_in_session_reply(s, answers[out->end].code, answers[out->end].enhanced, "%s", answers[out->end].text);
}

WAITS int smtp_in_auth_run(struct smtp_in *s, struct span args)
{
    struct sasl_dialog d = {.c = s->c, .service = s->env->service, .mem = &s->cmd, .exchange = exchange, .arg = s,
                            .until_ms = clock_mono_ms() + LIMIT(SMTP_COMMAND_S) * 1000};
    struct sasl_dialog_result out = {0};
    struct span initial = args, mech = span_split(&initial, ' ');
    if (s->login) /* RFC 4954 4: once per session */
        return smtp_in_session_reply(s, 503, "5.5.1", "You are logged in already");
    if (mech.n == 0)
        return smtp_in_session_reply(s, 501, "5.5.4", "Wants AUTH mechanism [response]");
    int r = sasl_dialog_run(&d, mech, initial, &out);
    return r != 0 ? r : finish(s, &out);
}
