/* AUTH: a SASL dialogue, each step of which auth decides; here it is wrapped in 334 and base64. Whatever was wrong, the
 * answer is the same and comes after the time that auth asks for (SEC-13, SEC-14). */
#include "smtp/smtp_in_auth.h"

#include "base/base64.h"
#include "base/limits.h"
#include "base/log.h"
#include "login/sasl_mech.h"
#include "run/config.h"

static const struct mech { const char *name; bool plain; } mechs[] = {
#define X(name, plain, step) {name, plain},
    SASL_MECH_TABLE(X)
#undef X
};

static bool private(const struct smtp_in *s)
{
    return conn_tls(s->c) || (conn_loopback(s->c) && config_bool(CONFIG_server_cleartext_loopback));
}

static bool has(const struct smtp_in *s, const struct mech *m)
{
    return !m->plain || private(s);
}

bool smtp_in_auth_possible(const struct smtp_in *s)
{
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        n += has(s, &mechs[i]);
    return smtp_in_submits(s) && !s->login && n > 0;
}

void smtp_in_auth_say(const struct smtp_in *s, struct str *out)
{
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (has(s, &mechs[i]))
            str_addf(out, " %s", mechs[i].name);
}

/* ---- the dialogue -------------------------------------------------------------------------------------------------------- */

static WAITS int ask_auth(struct smtp_in *s, const struct mech *mech, struct span response, uint64_t dialog,
                          struct msg_sasl_r *out)
{
    struct fail f;
    struct msg_sasl in = {
        .dialog = dialog,
        .service = s->env->service,
        .mech = span_z(mech->name),
        .response = response,
        .ip = span_of(conn_peer(s->c)->ip, sizeof conn_peer(s->c)->ip),
        .flags = (conn_tls(s->c) ? SASL_IN_TLS : 0) | (conn_loopback(s->c) ? SASL_LOOPBACK : 0),
    };
    return IPC_CALL(ROLE_AUTH, sasl, &in, out, &s->cmd, &f);
}

static WAITS int refuse(struct smtp_in *s, const struct msg_sasl_r *out, int answered)
{
    bool temp = answered < 0 || out->state == SASL_BUSY;
    LOG(LOG_INFO, "smtp.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_Z("result", temp ? "later" : "refused"));
    if (answered == 0 && out->wait_ms > 0) {
        int r = coro_sleep(out->wait_ms);
        if (r != WAIT_TIMEOUT && r != 0)
            return r;
    }
    if (temp) /* RFC 4954 6 */
        return smtp_in_session_reply(s, 454, "4.7.0", "Logins are not possible now, try again later");
    if (out->state == SASL_SYNTAX)
        return smtp_in_session_reply(s, 501, "5.5.2", "That is not what the mechanism wants");
    if (out->state == SASL_MECH)
        return smtp_in_session_reply(s, 504, "5.5.4", "There is no such mechanism here");
    return smtp_in_session_reply(s, 535, "5.7.8", "Login failed");
}

static WAITS int finish(struct smtp_in *s, const struct msg_sasl_r *out, int answered)
{
    if (answered < 0 || out->state != SASL_OK || out->handle.n != sizeof s->handle)
        return refuse(s, out, answered);
    memcpy(s->handle, out->handle.p, sizeof s->handle);
    s->user = arena_copy(&s->mem, out->address);
    s->login = true;
    LOG(LOG_INFO, "smtp.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", s->user),
        L_Z("result", "ok"));
    return smtp_in_session_reply(s, 235, "2.7.0", "Welcome");
}

/* "334 challenge", and the line that answers it in *text; p NULL: that was answered already. 0 or WAIT_*. */
static WAITS int challenge(struct smtp_in *s, struct span bytes, struct span *text)
{
    struct str out;
    str_init(&out, &s->cmd);
    str_addz(&out, "334 "); /* RFC 4954 4: with its space also when nothing follows */
    base64_encode(&out, bytes);
    str_addz(&out, "\r\n");
    int r = conn_write(s->c, str_span(&out));
    return r != 0 ? r : smtp_in_session_line(s, (size_t)LIMIT(SASL_LINE), text);
}

/* text: what the client said, base64 or "*". */
static WAITS int dialogue(struct smtp_in *s, const struct mech *mech, struct span text)
{
    struct msg_sasl_r out = {0};
    struct str bytes;
    for (uint64_t dialog = 0;; dialog = out.dialog) {
        str_init(&bytes, &s->cmd);
        if (base64_decode(&bytes, text) < 0)
            return smtp_in_session_reply(s, 501, "5.5.2", span_eq(text, SPAN("*")) ? "Given up" : "That is not base64");
        int answered = ask_auth(s, mech, str_span(&bytes), dialog, &out);
        if (bytes.n > 0)
            explicit_bzero(bytes.p, bytes.n);
        if (answered < 0 || out.state != SASL_MORE)
            return finish(s, &out, answered);
        int r = challenge(s, out.challenge, &text);
        if (r != 0 || text.p == NULL)
            return r;
    }
}

WAITS int smtp_in_auth_run(struct smtp_in *s, struct span args)
{
    struct span text = args, name = span_split(&text, ' ');
    const struct mech *mech = NULL;
    if (s->login) /* RFC 4954 4: once per session */
        return smtp_in_session_reply(s, 503, "5.5.1", "You are logged in already");
    for (size_t i = 0; i < COUNT_OF(mechs); i++)
        if (span_eq_nocase(name, span_z(mechs[i].name)))
            mech = &mechs[i];
    if (name.n == 0)
        return smtp_in_session_reply(s, 501, "5.5.4", "Wants AUTH mechanism [response]");
    if (mech == NULL)
        return smtp_in_session_reply(s, 504, "5.5.4", "There is no such mechanism here");
    if (!has(s, mech)) /* RFC 4954 6 */
        return smtp_in_session_reply(s, 538, "5.7.11", "Passwords are taken in TLS only: send STARTTLS first");
    if (text.p != NULL) /* RFC 4954 4: "=" is a response that is there and empty */
        return dialogue(s, mech, span_eq(text, SPAN("=")) ? SPAN("") : text);
    int r = challenge(s, SPAN(""), &text);
    return r != 0 || text.p == NULL ? r : dialogue(s, mech, text);
}
