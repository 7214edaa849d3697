/* LOGIN and AUTHENTICATE. Whatever was wrong, the answer is the same and comes after the time that auth asks for (SEC-13,
 * SEC-14). */
#include "base/base64.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "imap/imap_session.h"
#include "run/config.h"

bool imap_login_allowed(const struct imap *s)
{
    return conn_tls(s->c) || (conn_loopback(s->c) && config_bool(CONFIG_server_cleartext_loopback));
}

static WAITS int ask_auth(struct imap *s, uint64_t dialog, struct span mech, struct span response, struct msg_sasl_r *out)
{
    struct fail f;
    struct msg_sasl in = {
        .dialog = dialog,
        .service = s->env->service,
        .mech = mech,
        .response = response,
        .ip = span_of(conn_peer(s->c)->ip, sizeof conn_peer(s->c)->ip),
        .flags = (conn_tls(s->c) ? SASL_IN_TLS : 0) | (conn_loopback(s->c) ? SASL_LOOPBACK : 0),
    };
    return IPC_CALL(ROLE_AUTH, sasl, &in, out, &s->cmd, &f);
}

static WAITS int refuse(struct imap *s, const struct msg_sasl_r *out, int answered)
{
    bool temp = answered < 0 || out->state == SASL_BUSY;
    LOG(LOG_INFO, "imap.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_Z("result", temp ? "later" : "refused"));
    if (answered == 0 && out->wait_ms > 0) {
        int64_t left = s->login_until_ms - clock_mono_ms();
        int r = coro_sleep(MAX_OF(MIN_OF((int64_t)out->wait_ms, left), (int64_t)0));
        if (r != WAIT_TIMEOUT && r != 0)
            return r;
    }
    if (temp)
        return imap_session_no(s, "[UNAVAILABLE] Logins are not possible now, try again later"); /* RFC 5530 3 */
    if (out->state == SASL_MECH)
        return imap_session_no(s, "There is no such mechanism here");
    return imap_session_no(s, "[AUTHENTICATIONFAILED] Login failed");
}

static WAITS int finish(struct imap *s, const struct msg_sasl_r *out, int answered)
{
    struct str text;
    if (answered < 0 || out->state != SASL_OK || out->handle.n != sizeof s->handle)
        return refuse(s, out, answered);
    memcpy(s->handle, out->handle.p, sizeof s->handle);
    s->account = out->account;
    s->user = arena_copy(&s->mem, out->address);
    s->state = IMAP_AUTHENTICATED;
    LOG(LOG_INFO, "imap.login", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_SPAN("user", s->user),
        L_Z("result", "ok"));
    str_init(&text, &s->cmd);
    imap_session_capabilities(s, &text); /* others than before: saves the client from asking */
    return imap_session_ok(s, "[%s] Logged in", str_z(&text));
}

WAITS int imap_login_login(struct imap *s, struct imap_lex *in)
{
    struct span user, password;
    struct msg_sasl_r out = {0};
    struct str plain; /* RFC 4616: no authorization identity, NUL, user, NUL, password */
    imap_grammar_astring(in, &user);
    imap_grammar_sp(in);
    imap_grammar_astring(in, &password);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (!imap_login_allowed(s))
        return imap_session_no(s, "[PRIVACYREQUIRED] Passwords are taken in TLS only: send STARTTLS first");
    str_init(&plain, &s->cmd);
    str_reserve(&plain, user.n + password.n + 2);
    str_addc(&plain, 0);
    str_add(&plain, user);
    str_addc(&plain, 0);
    str_add(&plain, password);
    int r = ask_auth(s, 0, SPAN("PLAIN"), str_span(&plain), &out);
    explicit_bzero(plain.p, plain.n);
    return finish(s, &out, r);
}

/* "+ challenge" and the client's answer to it, decoded. 0, 1: it gave up or was wrong (answered), or WAIT_*. */
static WAITS int challenge(struct imap *s, struct span text, struct str *answer)
{
    struct str line;
    struct span said;
    str_init(&line, &s->cmd);
    str_addz(&line, "+ ");
    base64_encode(&line, text);
    str_addz(&line, "\r\n");
    int r = conn_write(s->c, str_span(&line));
    if (r == 0)
        r = imap_session_line(s, (size_t)LIMIT(SASL_LINE), &said);
    if (r == CONN_LINE_LONG) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        r = imap_session_bad(s, "that line is too long");
        return r != 0 ? r : 1;
    }
    if (r != 0)
        return r;
    str_clear(answer);
    if (span_eq(said, SPAN("*")))  /* RFC 9051 6.2.2: the client gives up */
        r = imap_session_bad(s, "given up");
    else if (base64_decode(answer, said) != 0)
        r = imap_session_bad(s, "that is not base64");
    else
        return 0;
    return r != 0 ? r : 1;
}

static struct span upper(struct imap *s, struct span name)
{
    char *p = arena_alloc(&s->cmd, name.n + 1);
    for (size_t i = 0; i < name.n; i++)
        p[i] = name.p[i] >= 'a' && name.p[i] <= 'z' ? (char)(name.p[i] - 32) : name.p[i];
    return span_of(p, name.n);
}

WAITS int imap_login_authenticate(struct imap *s, struct imap_lex *in)
{
    struct span mech, initial = SPAN_NONE;
    struct msg_sasl_r out = {0};
    struct str response;
    str_init(&response, &s->cmd);
    if (imap_grammar_atom(in, &mech) && imap_grammar_may(in, ' ')) { /* RFC 4959 3 */
        initial = in->at;
        in->at = SPAN_NONE;
    }
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (!imap_login_allowed(s))
        return imap_session_no(s, "[PRIVACYREQUIRED] Passwords are taken in TLS only: send STARTTLS first");
    mech = upper(s, mech);
    int r = 0;
    if (initial.p == NULL)
        r = challenge(s, SPAN(""), &response);
    else if (!span_eq(initial, SPAN("=")) && base64_decode(&response, initial) != 0)
        return imap_session_bad(s, "that is not base64");
    for (uint64_t dialog = 0; r == 0; dialog = out.dialog) {
        int answered = ask_auth(s, dialog, mech, str_span(&response), &out);
        if (response.n > 0)
            explicit_bzero(response.p, response.n);
        if (answered < 0 || out.state != SASL_MORE)
            return finish(s, &out, answered);
        r = challenge(s, out.challenge, &response);
    }
    return r == 1 ? 0 : r; /* 1: it was answered */
}
