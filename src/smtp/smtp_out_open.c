/* Opens a session: greeting, EHLO, STARTTLS and EHLO again, login where a smart host wants one. Closes it too. */
#include <stdarg.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/num.h"
#include "smtp/smtp_out.h"

/* ---- answers ----------------------------------------------------------------------------------------------------- */

void smtp_out_say(struct smtp_out_answer *a, enum queue_outcome outcome, const char *status, const char *fmt, ...)
{
    va_list ap;
    *a = (struct smtp_out_answer){.outcome = outcome};
    snprintf(a->status, sizeof a->status, "%s", status);
    va_start(ap, fmt);
    vsnprintf(a->text, sizeof a->text, fmt, ap);
    va_end(ap);
}

void smtp_out_took(struct smtp_out_answer *a, const struct smtp_out_reply *r)
{
    *a = (struct smtp_out_answer){
        .outcome = r->code < 300 ? QUEUE_DELIVERED : r->code >= 500 ? QUEUE_FAILED : QUEUE_DEFERRED,
        .code = (uint32_t)r->code,
    };
    memcpy(a->status, r->status, sizeof a->status);
    memcpy(a->text, r->text, sizeof a->text);
}

WAITS int smtp_out_hear(struct smtp_out *s, struct smtp_out_reply *r, int64_t seconds, const char *to,
                        struct smtp_out_answer *why)
{
    conn_limit(s->c, seconds * 1000);
    int got = smtp_out_reply_read(s->c, r, NULL, NULL);
    if (got == 0 && r->code == 421) /* RFC 5321 3.8: whatever it answers, the connection ends */
        s->over = true;
    if (got == 0)
        return 0;
    s->over = true;
    if (got == SMTP_OUT_GARBAGE)
        smtp_out_say(why, QUEUE_DEFERRED, "4.5.0", "the server's answer to %s was none that SMTP knows, or too long", to);
    else if (got == WAIT_TIMEOUT)
        smtp_out_say(why, QUEUE_DEFERRED, "4.4.2", "no answer to %s within %lld s", to, (long long)seconds);
    else if (got == WAIT_CANCELLED)
        smtp_out_say(why, QUEUE_DEFERRED, "4.3.2", "this server is stopping");
    else
        smtp_out_say(why, QUEUE_DEFERRED, "4.4.2", "the connection broke while waiting for the answer to %s", to);
    return -1;
}

/* ---- EHLO -------------------------------------------------------------------------------------------------------- */

static bool word_is(struct span *rest, const char *word)
{
    struct span at = *rest, first = span_split(&at, ' ');
    if (!span_eq_nocase(first, span_z(word)))
        return false;
    *rest = span_trim(at);
    return true;
}

static const struct {
    const char *keyword;
    unsigned cap;
} plain_caps[] = {
    {"PIPELINING", SMTP_OUT_PIPELINING}, /* RFC 2920 */
    {"8BITMIME", SMTP_OUT_8BIT},         /* RFC 6152 */
    {"SMTPUTF8", SMTP_OUT_UTF8},         /* RFC 6531 */
    {"CHUNKING", SMTP_OUT_CHUNKING},     /* RFC 3030 */
    {"DSN", SMTP_OUT_DSN},               /* RFC 3461 */
    {"STARTTLS", SMTP_OUT_STARTTLS},     /* RFC 3207 */
};

static void learn_auth(struct smtp_out *s, struct span mechs)
{
    while (mechs.n > 0) {
        struct span mech = span_split(&mechs, ' ');
        if (span_eq_nocase(mech, SPAN("PLAIN")))
            s->caps |= SMTP_OUT_AUTH_PLAIN;
        else if (span_eq_nocase(mech, SPAN("LOGIN")))
            s->caps |= SMTP_OUT_AUTH_LOGIN;
    }
}

/* RFC 9422 4: "RCPTMAX=100 MAILMAX=10"; 0 and what is no number count as unsaid. RCPTDOMAINMAX is kept without a look: relay
 * has a session for mail to one domain, through a smart host too. */
static void learn_limits(struct smtp_out *s, struct span rest)
{
    while (rest.n > 0) {
        struct span item = span_split(&rest, ' '), name = span_split(&item, '=');
        uint64_t v;
        if (num_u64(item, UINT32_MAX, &v) < 0)
            continue;
        if (span_eq_nocase(name, SPAN("RCPTMAX")))
            s->rcpt_most = (uint32_t)v;
        else if (span_eq_nocase(name, SPAN("MAILMAX")))
            s->mail_most = (uint32_t)v;
    }
}

static void learn(void *arg, struct span words)
{
    struct smtp_out *s = arg;
    for (size_t i = 0; i < COUNT_OF(plain_caps); i++) {
        struct span rest = words;
        if (word_is(&rest, plain_caps[i].keyword))
            s->caps |= plain_caps[i].cap;
    }
    if (word_is(&words, "AUTH")) {
        learn_auth(s, words);
    } else if (word_is(&words, "LIMITS")) {
        learn_limits(s, words);
    } else if (word_is(&words, "SIZE")) { /* RFC 1870 3: without a number, or with 0: no fixed limit */
        uint64_t v;
        s->caps |= SMTP_OUT_SIZE;
        s->size_most = num_u64(words, INT64_MAX, &v) == 0 ? v : 0;
    }
}

/* Everything the server is said to be able to do is forgotten and learnt anew (RFC 3207 4.2). 0, or -1 and why. */
static WAITS int hello(struct smtp_out *s, struct span helo, struct smtp_out_answer *why)
{
    struct smtp_out_reply r;
    s->caps = 0;
    s->size_most = s->rcpt_most = s->mail_most = 0;
    conn_limit(s->c, LIMIT(RELAY_COMMAND_S) * 1000);
    conn_printf(s->c, "EHLO %.*s\r\n", SPAN_ARGS(helo));
    int got = smtp_out_reply_read(s->c, &r, learn, s);
    if (got == 0 && r.code / 100 == 2) {
        s->caps |= SMTP_OUT_ESMTP;
        return 0;
    }
    if (got == 0 && r.code / 100 == 5 && r.code != 521) { /* RFC 5321 3.2: an old one */
        s->caps = 0;
        conn_printf(s->c, "HELO %.*s\r\n", SPAN_ARGS(helo));
        got = smtp_out_reply_read(s->c, &r, NULL, NULL);
        if (got == 0 && r.code / 100 == 2)
            return 0;
    }
    if (got == 0) {
        smtp_out_took(why, &r);
        return -1;
    }
    s->over = true;
    smtp_out_say(why, QUEUE_DEFERRED, "4.4.2", got == WAIT_TIMEOUT ? "no answer to EHLO in time"
                 : got == SMTP_OUT_GARBAGE ? "the server's answer to EHLO was none that SMTP knows, or too long"
                                           : "the connection broke at EHLO");
    return -1;
}

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

static WAITS int handshake(struct smtp_out *s, const struct smtp_out_want *want, struct smtp_out_answer *why)
{
    struct tls_client_got got = {0};
    struct fail f;
    struct tls_client_want verify = want->verify;
    if (want->tls == SMTP_OUT_TLS_MAY)
        verify.verify = TLS_WANT_ANY;
    conn_limit(s->c, LIMIT(TLS_HANDSHAKE_S) * 1000);
    if (conn_tls_connect(s->c, &verify, &got, &f) != 0) {
        s->over = true;
        smtp_out_say(why, QUEUE_DEFERRED, "4.7.5", "%s", f.text);
        return -1;
    }
    s->in_tls = true;
    snprintf(s->tls, sizeof s->tls, "%s %s%s%s", got.version, got.cipher, got.verified == TLS_UNVERIFIED ? "" : ", verified by ",
             got.verified == TLS_UNVERIFIED ? "" : tls_client_verified(got.verified));
    return 0;
}

/* 0: TLS stands, or need not. */
static WAITS int starttls(struct smtp_out *s, const struct smtp_out_want *want, struct smtp_out_answer *why)
{
    struct smtp_out_reply r;
    bool must = want->tls == SMTP_OUT_TLS_MUST;
    if (want->tls == SMTP_OUT_TLS_NONE || s->in_tls)
        return 0;
    if (!(s->caps & SMTP_OUT_STARTTLS)) {
        if (!must)
            return 0;
        smtp_out_say(why, QUEUE_DEFERRED, "4.7.4", "the server offers no TLS, which its domain promised");
        return -1;
    }
    conn_writez(s->c, "STARTTLS\r\n");
    if (smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "STARTTLS", why) < 0)
        return -1;
    if (r.code != 220) {
        if (!must && !s->over)
            return 0;
        smtp_out_took(why, &r);
        why->outcome = QUEUE_DEFERRED;
        return -1;
    }
    /* Bytes that came in clear behind the 220 would be taken for answers in TLS: conn_tls_connect refuses (SEC-04). */
    if (handshake(s, want, why) < 0)
        return -1;
    /* a session that breaks here was broken by TLS: in 1.3 the server may say no when our end is through already */
    return hello(s, want->helo, why);
}

/* ---- login ------------------------------------------------------------------------------------------------------- */

static WAITS void write_base64(struct smtp_out *s, const char *before, struct span bytes)
{
    struct str line;
    str_init(&line, &s->mem);
    str_addz(&line, before);
    base64_encode(&line, bytes);
    str_addz(&line, "\r\n");
    conn_write(s->c, str_span(&line));
    conn_flush(s->c);
    explicit_bzero(line.p, line.n);
}

/* RFC 4954 4; PLAIN is RFC 4616, LOGIN what everybody knows. Only in TLS: the caller asks for MUST or DIRECT. */
static WAITS int login(struct smtp_out *s, const struct smtp_out_want *want, struct smtp_out_answer *why)
{
    struct smtp_out_reply r = {0};
    struct str plain;
    if (want->user.n == 0)
        return 0;
    if (!s->in_tls || !(s->caps & (SMTP_OUT_AUTH_PLAIN | SMTP_OUT_AUTH_LOGIN))) {
        smtp_out_say(why, QUEUE_DEFERRED, "4.7.0", s->in_tls ? "the smart host offers no login that we know"
                                                             : "no login without TLS");
        return -1;
    }
    if (s->caps & SMTP_OUT_AUTH_PLAIN) {
        str_init(&plain, &s->mem);
        str_addc(&plain, 0);
        str_add(&plain, want->user);
        str_addc(&plain, 0);
        str_add(&plain, want->password);
        write_base64(s, "AUTH PLAIN ", str_span(&plain));
        explicit_bzero(plain.p, plain.n);
    } else {
        const struct span say[] = {want->user, want->password};
        conn_writez(s->c, "AUTH LOGIN\r\n");
        for (size_t i = 0; i < COUNT_OF(say); i++) {
            if (smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "AUTH", why) < 0)
                return -1;
            if (r.code != 334)
                break;
            write_base64(s, "", say[i]);
        }
    }
    if ((r.code == 0 || r.code == 334) && smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "AUTH", why) < 0)
        return -1;
    if (r.code / 100 == 2)
        return 0;
    smtp_out_took(why, &r);
    why->outcome = QUEUE_DEFERRED; /* a wrong password here is no fault of the message */
    return -1;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static WAITS int greet(struct smtp_out *s, const struct smtp_out_want *want, struct smtp_out_answer *why)
{
    struct smtp_out_reply r;
    if (want->tls == SMTP_OUT_TLS_DIRECT && handshake(s, want, why) < 0)
        return -1;
    if (smtp_out_hear(s, &r, LIMIT(RELAY_GREETING_S), "our connection (no greeting)", why) < 0)
        return -1;
    if (r.code == 220 && !s->over)
        return hello(s, want->helo, why);
    smtp_out_took(why, &r);
    /* RFC 7504 3: 521 and 556 are for good; any other refusal of the connection may pass */
    if (r.code != 521 && r.code != 556)
        why->outcome = QUEUE_DEFERRED;
    return -1;
}

WAITS enum smtp_out_scope smtp_out_open(struct smtp_out *s, struct conn *c, const struct smtp_out_want *want,
                                        struct smtp_out_answer *why)
{
    *s = (struct smtp_out){.c = c};
    arena_init(&s->mem);
    bool ok = greet(s, want, why) == 0;
    if (ok && starttls(s, want, why) < 0) {
        bool broke = s->over && want->tls == SMTP_OUT_TLS_MAY;
        smtp_out_close(s);
        return broke ? SMTP_OUT_PLAIN : SMTP_OUT_HOST;
    }
    if (ok && login(s, want, why) == 0)
        return SMTP_OUT_FINE;
    smtp_out_close(s);
    return SMTP_OUT_HOST;
}

WAITS void smtp_out_close(struct smtp_out *s)
{
    struct smtp_out_reply r;
    if (s->c == NULL)
        return;
    if (!s->over && s->ahead == NULL && !conn_dead(s->c)) { /* RFC 5321 4.1.1.10: wait for the answer, but not for long */
        conn_limit(s->c, LIMIT(RELAY_QUIT_S) * 1000);
        if (conn_writez(s->c, "QUIT\r\n") == 0)
            (void)smtp_out_reply_read(s->c, &r, NULL, NULL);
    }
    conn_free(s->c);
    arena_done(&s->mem);
    s->c = NULL;
}

bool smtp_out_ready(const struct smtp_out *s)
{
    if (s->ahead != NULL)
        return !s->over && !conn_dead(s->c);
    return s->c != NULL && !s->over && !conn_dead(s->c) && conn_input(s->c).n == 0 /* out of step: who knows what it answers */
           && (s->mail_most == 0 || s->mails < s->mail_most) && s->mails < (uint32_t)LIMIT(RELAY_SESSION_MAILS);
}
