/* EHLO, HELO, LHLO and STARTTLS: who is there, what this service can do, and from now on in TLS. */
#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"
#include "smtp/smtp_in_auth.h"
#include "smtp/smtp_in_xclient.h"

static bool starttls_possible(const struct smtp_in *s)
{
    return s->env->tls != NULL && tls_service_ready(s->env->tls) && !conn_tls(s->c);
}

/* ---- what is announced --------------------------------------------------------------------------------------------------- */

static void say_size(const struct smtp_in *s, struct str *out)
{
    str_addf(out, " %lld", (long long)LIMIT(MESSAGE_BYTES));
}

static bool by_uid(const struct smtp_in *s)
{
    return s->env->login != NULL;
}

static void say_user(const struct smtp_in *s, struct str *out)
{
    str_addf(out, " %.*s", SPAN_ARGS(s->user));
}

static void say_limits(const struct smtp_in *s, struct str *out)
{
    str_addf(out, " RCPTMAX=%lld MAILMAX=%lld", (long long)LIMIT(SMTP_RCPTS), (long long)LIMIT(SMTP_MAILS));
}

/* RFC 5321 4.1.1.1; what stands behind 250 in EHLO. ext: the parameters that come with it. */
static const struct keyword {
    const char *name;
    unsigned ext;
    bool (*when)(const struct smtp_in *s);
    void (*more)(const struct smtp_in *s, struct str *out);
} keywords[] = {
    {"PIPELINING", 0, NULL, NULL},                                  /* RFC 2920 */
    {"SIZE", SMTP_EXT_CORE, NULL, say_size},                        /* RFC 1870 */
    {"8BITMIME", SMTP_EXT_CORE, NULL, NULL},                        /* RFC 6152 */
    {"ENHANCEDSTATUSCODES", 0, NULL, NULL},                         /* RFC 2034 */
    {"CHUNKING", 0, NULL, NULL},                                    /* RFC 3030 */
    {"SMTPUTF8", SMTP_EXT_UTF8, NULL, NULL},                        /* RFC 6531 */
    {"LIMITS", 0, NULL, say_limits},                                /* RFC 9422 */
    /* RFC 3461 4: where senders are known. Elsewhere nobody hears from us that all went well (SEC-19): the host before
     * us is told that we do not do it, and does it itself. */
    {"DSN", SMTP_EXT_DSN, smtp_in_submits, NULL},
    {"STARTTLS", 0, starttls_possible, NULL},                       /* RFC 3207 */
    {"AUTH", SMTP_EXT_AUTH, smtp_in_auth_possible, smtp_in_auth_say}, /* RFC 4954 */
    {"XLOGIN", 0, by_uid, say_user},                                /* ours: tells the sendmail command who its user is */
    {"XCLIENT", 0, smtp_in_xclient_listed, smtp_in_xclient_say},
};

unsigned smtp_in_hello_ext(const struct smtp_in *s)
{
    unsigned ext = 0;
    for (size_t i = 0; i < COUNT_OF(keywords); i++)
        if (keywords[i].when == NULL || ((keywords[i].ext & (SMTP_EXT_AUTH | SMTP_EXT_DSN)) && smtp_in_submits(s)))
            ext |= keywords[i].ext;
    return ext;
}

/* ---- hello ----------------------------------------------------------------------------------------------------------------- */

/* Takes the name; false: it was none and has been answered. */
static WAITS bool hello(struct smtp_in *s, struct span args, int *r)
{
    struct span name;
    if (smtp_grammar_helo(args, &name) < 0 || name.n >= sizeof s->helo) {
        *r = smtp_in_session_reply(s, 501, "5.5.4", "Say your host name or [address]");
        return false;
    }
    memcpy(s->helo, name.p, name.n);
    s->helo_n = name.n;
    s->state = SMTP_IN_GREETED;
    smtp_in_session_reset(s); /* RFC 5321 4.1.4: as if RSET had come */
    s->code = 250;
    return true;
}

WAITS int smtp_in_hello_helo(struct smtp_in *s, struct span args)
{
    int r;
    if (!hello(s, args, &r))
        return r;
    s->esmtp = false;
    return conn_printf(s->c, "250 %.*s\r\n", SPAN_ARGS(config_text(CONFIG_server_hostname)));
}

WAITS int smtp_in_hello_ehlo(struct smtp_in *s, struct span args)
{
    int r;
    struct str out;
    struct span host = config_text(CONFIG_server_hostname);
    if (!hello(s, args, &r))
        return r;
    s->esmtp = true;
    str_init(&out, &s->cmd);
    str_addf(&out, "250-%.*s greets %.*s\r\n", SPAN_ARGS(host), SPAN_ARGS(args));
    size_t last = out.n;
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        const struct keyword *k = &keywords[i];
        if (k->when != NULL && !k->when(s))
            continue;
        last = out.n;
        str_addf(&out, "250-%s", k->name);
        if (k->more != NULL)
            k->more(s, &out);
        str_addz(&out, "\r\n");
    }
    out.p[last + 3] = ' ';
    return conn_write(s->c, str_span(&out));
}

WAITS int smtp_in_hello_lhlo(struct smtp_in *s, struct span args)
{
    return smtp_in_hello_ehlo(s, args); /* RFC 2033 4.1: with its very semantics */
}

/* ---- STARTTLS -------------------------------------------------------------------------------------------------------------- */

WAITS int smtp_in_hello_starttls(struct smtp_in *s, struct span args)
{
    if (!starttls_possible(s))
        return smtp_in_session_reply(s, 454, "4.7.0", "TLS is not available now");
    int r = smtp_in_session_reply(s, 220, "2.0.0", "Go ahead");
    if (r == 0)
        r = conn_flush(s->c);
    if (r != 0)
        return r;
    conn_limit(s->c, LIMIT(TLS_HANDSHAKE_S) * 1000);
    r = conn_tls_start(s->c, s->env->tls); /* fails when something was sent in clear behind the command (SEC-04) */
    if (r != 0) {
        LOG(LOG_INFO, "smtp.tls", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text), L_Z("result", "failed"));
        return WAIT_CLOSED; /* nothing more is said, least of all in clear */
    }
    smtp_in_session_forget(s); /* RFC 3207 4.2: all that was said before */
    return 0;
}
