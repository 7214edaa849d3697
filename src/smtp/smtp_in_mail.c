/* MAIL: who sends. */
#include "base/limits.h"
#include "base/log.h"
#include "login/login_name.h"
#include "run/config.h"
#include "run/rate.h"
#include "smtp/smtp_in_domain.h"
#include "smtp/smtp_in_submit.h"

/* Bad syntax; RFC 3463 3.2 has codes of their own for the sender. */
static const struct { int code; const char *enhanced, *text; } syntax[] = {
    [-SMTP_BAD_SYNTAX] = {501, "5.5.4", "An address in angle brackets is wanted"},
    [-SMTP_BAD_ADDRESS] = {501, "5.1.7", "That is no address"},
    [-SMTP_TOO_LONG] = {501, "5.1.7", "The address is longer than RFC 5321 allows"},
    [-SMTP_8BIT] = {553, "5.6.7", "An address that is not ASCII wants SMTPUTF8"}, /* RFC 6531 3.5 */
    [-SMTP_PARAM_BAD] = {501, "5.5.4", "A parameter has a bad value"},
    [-SMTP_PARAM_UNKNOWN] = {555, "5.5.4", "Unknown parameter"},
};

/* The path without its brackets and route, as it was written. */
static struct span path_text(const struct smtp_path *p)
{
    return p->domain.n == 0 ? p->local : span_of(p->local.p, (size_t)(p->domain.p + p->domain.n - p->local.p));
}

static void begin(struct smtp_in *s, const struct smtp_path *path, const struct smtp_params *params)
{
    struct smtp_in_tx *tx = &s->tx;
    struct str envid;
    tx->op = rand_op_id();
    rand_trace_id(&tx->op, tx->trace);
    tx->sender = arena_copy(&tx->mem, path_text(path));
    tx->size = params->size;
    tx->flags = (params->utf8 ? ENVELOPE_SMTPUTF8 : 0) | (params->body == SMTP_BODY_8BITMIME ? ENVELOPE_8BIT : 0) |
                (s->login ? ENVELOPE_VERIFIED : 0);
    tx->ret = params->ret;
    if (params->envid.n > 0) {
        str_init(&envid, &tx->mem);
        smtp_param_xtext(&envid, params->envid);
        tx->envid = str_span(&envid);
    }
    tx->begun_ms = clock_mono_ms();
    s->mails++;
    s->state = SMTP_IN_MAIL;
}

/* SEC-15: the reverse-path is an address of the login; reports and notices of their own programs have none. */
static WAITS int check_own(struct smtp_in *s, const struct smtp_path *path, struct fail *f)
{
    struct str address;
    if (!s->login || path->null)
        return 0;
    str_init(&address, &s->cmd);
    smtp_grammar_address(&address, path);
    return smtp_in_submit_identity(s, str_span(&address), f);
}

/* RFC 7505 4.2: nobody can answer a sender whose domain takes no mail. Asked where option smtp.check_sender says so. */
static WAITS int check_domain(struct smtp_in *s, const struct smtp_path *path, struct fail *f)
{
    char domain[LOGIN_NAME_DOMAIN];
    if (s->env->service != SERVICE_smtp || path->null || path->domain.p[0] == '[' ||
        !config_bool(CONFIG_smtp_check_sender))
        return 0;
    struct span folded = span_of(domain, login_name_fold_domain(path->domain, domain));
    switch (folded.n > 0 ? smtp_in_domain_ask(folded, &s->cmd) : SMTP_IN_DOMAIN_NONE) {
    case SMTP_IN_DOMAIN_NONE: return fail_perm(f, "5.1.8", "The sender's domain does not exist");
    case SMTP_IN_DOMAIN_NULL_MX: return fail_perm(f, "5.7.27", "The sender's domain takes no mail");
    default: return 0;
    }
}

static void log_refused(const struct smtp_in *s, const struct smtp_path *path, const struct fail *f)
{
    LOG(LOG_INFO, "smtp.mail", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_SPAN("user", s->login ? s->user : SPAN("-")), L_SPAN("from", path_text(path)), L_Z("why", f->code));
}

WAITS int smtp_in_mail_run(struct smtp_in *s, struct span args)
{
    struct smtp_path path;
    struct smtp_params params;
    struct fail f;
    ptrdiff_t r = smtp_grammar_mail(args, smtp_in_hello_ext(s), &path, &params);
    if (r < 0)
        return smtp_in_session_reply(s, syntax[-r].code, syntax[-r].enhanced, "%s", syntax[-r].text);
    if (s->mails >= (unsigned)LIMIT(SMTP_MAILS)) /* RFC 9422 4.1: announced as MAILMAX */
        return smtp_in_session_bye(s, "4.5.3", "That was enough for one connection");
    if (s->env->service == SERVICE_smtp && !rate_take(RATE_MAIL, conn_peer(s->c)))
        return smtp_in_session_reply(s, 450, "4.7.0", "Too many messages a minute from there, try again later");
    if (params.has_size && params.size > (uint64_t)LIMIT(MESSAGE_BYTES)) /* RFC 1870 6.1 */
        return smtp_in_session_reply(s, 552, "5.3.4", "The limit is %lld bytes", (long long)LIMIT(MESSAGE_BYTES));
    if (check_own(s, &path, &f) < 0) {
        s->tx.sender = arena_copy(&s->tx.mem, path_text(&path));
        smtp_in_submit_note(s, SPAN_NONE, f.kind == FAIL_PERM ? 550 : 451, f.code, f.text);
        log_refused(s, &path, &f);
        smtp_in_session_reset(s);
        return smtp_in_session_fail(s, &f);
    }
    if (check_domain(s, &path, &f) < 0) {
        log_refused(s, &path, &f);
        return smtp_in_session_reply(s, 550, f.code, "%s", f.text);
    }
    begin(s, &path, &params);
    return smtp_in_session_reply(s, 250, "2.1.0", "Ok");
}
