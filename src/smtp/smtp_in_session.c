/* The dialogue of SMTP, submission and LMTP: greet, read a command, find its row, run it. The table at the end says which
 * service knows a command, in which states it may come and what it is called in HELP; nothing else decides about 503. */
#include "smtp/smtp_in_session.h"

#include <stdarg.h>

#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"
#include "run/rate.h"
#include "smtp/smtp_in_xclient.h"

enum row_flag {
    ROW_PROGRESS = 1, /* leads to mail: does not count as idle */
    ROW_NO_ARGS = 2,  /* RFC 5321 4.1.1: anything behind it is 501 */
    ROW_NO_TLS = 4,   /* not inside TLS */
    ROW_LOGIN = 8,    /* on the submission services after a login only (RFC 4954 6: 530) */
    ROW_OCTETS = 16,  /* RFC 3030: octets follow the line, which are no commands whatever the answer is */
};

enum row_on { /* which service has it */
    ON_MX = 1u << SERVICE_smtp,
    ON_LMTP = 1u << SERVICE_lmtp,
    ON_SUBMIT = 1u << SERVICE_submission | 1u << SERVICE_submissions,
    ON_LOCAL = 1u << SERVICE_sendmail, /* on this machine, no bytes of a net: no TLS, no second login */
    ON_SMTP = ON_MX | ON_SUBMIT | ON_LOCAL,
    ON_ALL = ON_SMTP | ON_LMTP,
};

struct row {
    const char *name;
    unsigned on, states, flags;
    smtp_in_command *run;
    bool (*there)(const struct smtp_in *s); /* NULL: always; else it is unknown without */
};

static const struct row *row_at(size_t i); /* NULL behind the last */
static const struct row *find_row(const struct smtp_in *s, struct span verb);

/* ---- replies ------------------------------------------------------------------------------------------------------- */

/* RFC 5248: only registered enhanced codes are said (`tools/gates` looks). */
WAITS int smtp_in_session_reply(struct smtp_in *s, int code, const char *enhanced, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++) /* SEC-10: what a peer or another role said cannot become a second reply */
        if ((unsigned char)*p < 32 || (unsigned char)*p >= 127)
            *p = '?';
    s->code = code;
    return conn_printf(s->c, "%d %s%s%s\r\n", code, enhanced, *enhanced ? " " : "", text);
}

static bool code_is(const struct fail *f, const char *what)
{
    return strcmp(f->code + (f->code[0] != 0), what) == 0;
}

WAITS int smtp_in_session_fail(struct smtp_in *s, const struct fail *f)
{
    bool perm = f->kind == FAIL_PERM;
    /* RFC 5321 4.2.3: 452 and 552 are about room, 450 and 550 about the mailbox */
    int last = code_is(f, ".2.2") || code_is(f, ".3.1") || code_is(f, ".3.4") || code_is(f, ".5.3") ? 52
               : perm && (code_is(f, ".1.1") || code_is(f, ".2.1") || code_is(f, ".7.1"))          ? 50
               : perm                                                                              ? 54
                                                                                                   : 51;
    return smtp_in_session_reply(s, (perm ? 500 : 400) + last, f->code, "%s", f->text);
}

WAITS int smtp_in_session_bye(struct smtp_in *s, const char *enhanced, const char *why)
{
    s->closing = true;
    s->env->linger = SESSION_LINGER;
    struct span host = config_text(CONFIG_server_hostname);
    return smtp_in_session_reply(s, 421, enhanced, "%.*s %s, closing", SPAN_ARGS(host), why);
}

void smtp_in_session_reset(struct smtp_in *s)
{
    struct smtp_in_tx *tx = &s->tx;
    if (tx->text.open)
        body_drop(&tx->text.body);
    smtp_in_pack_done(&tx->pack);
    arena_done(&tx->mem);
    *tx = (struct smtp_in_tx){0};
    arena_init(&tx->mem);
    if (s->state != SMTP_IN_NEW)
        s->state = SMTP_IN_GREETED;
}

static void logout(struct smtp_in *s)
{
    struct msg_logout out = {.handle = span_of(s->handle, sizeof s->handle)};
    if (s->login)
        ipc_post_to(ROLE_AUTH, MSG_ID_logout, &out);
    s->login = false;
    s->user = SPAN_NONE;
    arena_done(&s->mem);
}

void smtp_in_session_forget(struct smtp_in *s)
{
    logout(s);
    s->state = SMTP_IN_NEW;
    s->esmtp = false;
    s->helo_n = 0;
    smtp_in_session_reset(s);
}

void smtp_in_session_progress(struct smtp_in *s)
{
    s->errors = s->idle = 0;
}

/* ---- the small commands ---------------------------------------------------------------------------------------------- */

static WAITS int cmd_rset(struct smtp_in *s, struct span args)
{
    smtp_in_session_reset(s);
    return smtp_in_session_reply(s, 250, "2.0.0", "Ok");
}

static WAITS int cmd_noop(struct smtp_in *s, struct span args)
{
    return smtp_in_session_reply(s, 250, "2.0.0", "Ok");
}

static WAITS int cmd_vrfy(struct smtp_in *s, struct span args)
{
    if (args.n == 0)
        return smtp_in_session_reply(s, 501, "5.5.4", "Verify whom?");
    /* RFC 5321 7.3: nothing is told that RCPT would not tell */
    return smtp_in_session_reply(s, 252, "2.5.2", "Not verified, but send mail and see");
}

static WAITS int cmd_expn(struct smtp_in *s, struct span args)
{
    return smtp_in_session_reply(s, 502, "5.5.1", "Lists are not expanded here");
}

static bool has_row(const struct smtp_in *s, const struct row *row)
{
    return (row->on & 1u << s->env->service) && (row->there == NULL || row->there(s));
}

static WAITS int cmd_help(struct smtp_in *s, struct span args)
{
    struct str out;
    str_init(&out, &s->cmd);
    for (size_t i = 0; row_at(i) != NULL; i++)
        if (has_row(s, row_at(i)))
            str_addf(&out, " %s", row_at(i)->name);
    return smtp_in_session_reply(s, 214, "2.0.0", "Commands:%.*s", SPAN_ARGS(str_span(&out)));
}

static WAITS int cmd_quit(struct smtp_in *s, struct span args)
{
    s->closing = true;
    return smtp_in_session_reply(s, 221, "2.0.0", "%.*s closing", SPAN_ARGS(config_text(CONFIG_server_hostname)));
}

/* ---- the dialogue ---------------------------------------------------------------------------------------------------- */

/* Whether the row lets the command run now; else it has been answered. */
static WAITS bool allowed(struct smtp_in *s, const struct row *row, struct span args, int *r)
{
    if (row->flags & ROW_LOGIN && smtp_in_submits(s) && !s->login)
        *r = smtp_in_session_reply(s, 530, "5.7.0", "Log in first: AUTH%s", conn_tls(s->c) ? "" : " behind STARTTLS");
    else if (!(row->states & s->state))
        *r = smtp_in_session_reply(s, 503, "5.5.1", "%s does not belong here%s", row->name,
                                   s->state == SMTP_IN_NEW ? ": say EHLO first" : "");
    else if (row->flags & ROW_NO_ARGS && args.n > 0)
        *r = smtp_in_session_reply(s, 501, "5.5.4", "%s takes no argument", row->name);
    else if (row->flags & ROW_NO_TLS && conn_tls(s->c))
        *r = smtp_in_session_reply(s, 503, "5.5.1", "%s is done already", row->name);
    else
        return true;
    return false;
}

static WAITS int run_command(struct smtp_in *s, struct span line)
{
    struct span verb, args;
    int r;
    if (smtp_grammar_command(line, &verb, &args) < 0)
        return smtp_in_session_reply(s, 500, "5.5.2", "That is no command");
    const struct row *row = find_row(s, verb);
    if (row == NULL)
        return smtp_in_session_reply(s, 500, "5.5.2", "Unknown command");
    if (!allowed(s, row, args, &r))
        return r == 0 && row->flags & ROW_OCTETS ? smtp_in_data_swallow(s, args) : r;
    if (!(row->flags & ROW_PROGRESS))
        s->idle++;
    return row->run(s, args);
}

/* What a command cost: errors, and commands that lead nowhere. */
static WAITS int account(struct smtp_in *s)
{
    bool error = s->code >= 500;
    if (s->closing)
        return 0;
    if (error)
        s->errors++;
    else if (s->code >= 400 && s->code != 452) /* RFC 5321 4.5.3.1.10: one recipient too many is no offence */
        s->idle++;
    if (s->errors >= LIMIT(SMTP_ERRORS_HARD))
        return smtp_in_session_bye(s, "4.7.0", "Too many errors");
    if (s->idle > LIMIT(SMTP_IDLE_COMMANDS))
        return smtp_in_session_bye(s, "4.7.0", "Too many commands without mail");
    if (!error || s->errors <= LIMIT(SMTP_ERRORS_SOFT))
        return 0;
    int r = coro_sleep(1000);
    return r == WAIT_TIMEOUT ? 0 : r;
}

WAITS int smtp_in_session_read(struct smtp_in *s, size_t max, struct span *line)
{
    conn_limit(s->c, LIMIT(SMTP_COMMAND_S) * 1000);
    s->env->idle = true;
    int r = conn_line(s->c, max, line);
    s->env->idle = false;
    /* RFC 5321 2.3.8: only CRLF ends a line; a bare LF leaves the CR-less rest as a bad command */
    if (r == 0 && line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2;
    return r;
}

/* *line.p NULL: it was too long and has been answered. 0 or WAIT_*. */
static WAITS int read_command(struct smtp_in *s, struct span *line)
{
    int64_t most = LIMIT(SMTP_LINE);
    if (smtp_in_submits(s) && !s->login) /* RFC 4954 4: an initial response makes AUTH as long as this */
        most = MAX_OF(most, LIMIT(SASL_LINE));
    size_t max = (size_t)MIN_OF(most, (int64_t)16384);
    int r = smtp_in_session_read(s, max, line);
    if (r != CONN_LINE_LONG)
        return r;
    *line = SPAN_NONE;
    r = conn_drop_line(s->c, (size_t)LIMIT(SMTP_LINE_DISCARD));
    if (r == CONN_LINE_LONG)
        return smtp_in_session_bye(s, "4.7.0", "An endless line");
    /* RFC 5321 4.2.2: 500 is for that as well; 5.5.6 would be for the lines of a login alone (RFC 4954 4) */
    return r != 0 ? r : smtp_in_session_reply(s, 500, "5.5.2", "The line is longer than %zu bytes", max);
}

static WAITS int one_turn(struct smtp_in *s)
{
    struct span line;
    if (s->env->stop)
        return smtp_in_session_bye(s, "4.3.2", "Shutting down");
    s->code = 0;
    int r = read_command(s, &line);
    if (r == 0 && line.p != NULL)
        r = run_command(s, line);
    if (r == 0)
        r = account(s);
    arena_done(&s->cmd);
    return r;
}

static WAITS void farewell(struct smtp_in *s, int r)
{
    if (r == WAIT_TIMEOUT)
        r = smtp_in_session_bye(s, "4.4.2", "Timeout");
    else if (r == WAIT_CANCELLED)
        r = smtp_in_session_bye(s, "4.3.2", "Shutting down");
    if (r != WAIT_CLOSED)
        conn_flush(s->c);
}

/* RFC 5321 4.3.1: a client waits for the greeting. Robots do not; whoever comes from this machine may be a script. */
static WAITS bool waited(struct smtp_in *s)
{
    bool early;
    if (s->env->service != SERVICE_smtp || rate_exempt(conn_peer(s->c)) || config_bool(CONFIG_smtp_early_talkers))
        return true;
    conn_limit(s->c, (int64_t)config_count(CONFIG_smtp_greet_delay));
    int r = conn_early(s->c, &early);
    return r != 0 || !early;
}

static WAITS int greet(struct smtp_in *s)
{
    struct span host = config_text(CONFIG_server_hostname);
    bool good = waited(s);
    LOG(LOG_INFO, "smtp.connect", L_ID(span_z(s->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_Z("service", service_table[s->env->service].name), L_Z("result", good ? "ok" : "early"));
    conn_limit(s->c, LIMIT(SMTP_COMMAND_S) * 1000);
    if (good)
        return conn_printf(s->c, "220 %.*s %s Postel\r\n", SPAN_ARGS(host),
                           s->env->service == SERVICE_lmtp ? "LMTP" : "ESMTP");
    s->closing = true;
    s->env->linger = SESSION_LINGER;
    return conn_printf(s->c, "554 %.*s You spoke before the greeting\r\n", SPAN_ARGS(host)); /* RFC 5321 3.1 */
}

WAITS void smtp_in_session_run(struct conn *c, struct session_env *env)
{
    struct smtp_in s = {.c = c, .env = env, .state = SMTP_IN_NEW};
    struct op_id id = rand_op_id();
    rand_trace_id(&id, s.trace);
    arena_init(&s.mem);
    arena_init(&s.cmd);
    smtp_in_session_reset(&s);
    if (env->login != NULL) {
        memcpy(s.handle, env->login->handle, sizeof s.handle);
        s.user = span_of(env->login->address, env->login->address_n);
        s.login = true;
    }
    int r = greet(&s);
    while (r == 0 && !s.closing)
        r = one_turn(&s);
    farewell(&s, r);
    arena_done(&s.cmd);
    smtp_in_session_forget(&s);
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

static const struct row rows[] = {
    {"EHLO", ON_SMTP, SMTP_IN_ANY, 0, smtp_in_hello_ehlo, NULL},                                                  /* 4.1.1.1 */
    {"HELO", ON_SMTP, SMTP_IN_ANY, 0, smtp_in_hello_helo, NULL},                                                  /* 4.1.1.1 */
    {"LHLO", ON_LMTP, SMTP_IN_ANY, 0, smtp_in_hello_lhlo, NULL},                                                  /* RFC 2033 4.1 */
    {"MAIL", ON_ALL, SMTP_IN_GREETED, ROW_PROGRESS | ROW_LOGIN, smtp_in_mail_run, NULL},                          /* 4.1.1.2 */
    {"RCPT", ON_ALL, SMTP_IN_MAIL | SMTP_IN_RCPT, ROW_PROGRESS | ROW_LOGIN, smtp_in_to_run, NULL},                /* 4.1.1.3 */
    {"DATA", ON_ALL, SMTP_IN_RCPT, ROW_PROGRESS | ROW_NO_ARGS | ROW_LOGIN, smtp_in_data_data, NULL},              /* 4.1.1.4 */
    {"BDAT", ON_ALL, SMTP_IN_RCPT | SMTP_IN_BDAT, ROW_PROGRESS | ROW_OCTETS | ROW_LOGIN, smtp_in_data_bdat, NULL}, /* RFC 3030 2 */
    {"RSET", ON_ALL, SMTP_IN_ANY, ROW_NO_ARGS, cmd_rset, NULL},                                                   /* 4.1.1.5 */
    {"VRFY", ON_ALL, SMTP_IN_ANY, ROW_LOGIN, cmd_vrfy, NULL},                                                     /* 4.1.1.6 */
    {"EXPN", ON_ALL, SMTP_IN_ANY, ROW_LOGIN, cmd_expn, NULL},                                                     /* 4.1.1.7 */
    {"HELP", ON_ALL, SMTP_IN_ANY, 0, cmd_help, NULL},                                                             /* 4.1.1.8 */
    {"NOOP", ON_ALL, SMTP_IN_ANY, 0, cmd_noop, NULL},                                                             /* 4.1.1.9 */
    {"QUIT", ON_ALL, SMTP_IN_ANY, ROW_PROGRESS | ROW_NO_ARGS, cmd_quit, NULL},                                    /* 4.1.1.10 */
    {"STARTTLS", ON_ALL & ~(1u << SERVICE_submissions | ON_LOCAL), SMTP_IN_ANY, ROW_PROGRESS | ROW_NO_ARGS | ROW_NO_TLS,
     smtp_in_hello_starttls, NULL},                                                                               /* RFC 3207 4 */
    {"AUTH", ON_SUBMIT, SMTP_IN_GREETED, 0, smtp_in_auth_run, NULL},                                              /* RFC 4954 4 */
    {"XCLIENT", ON_ALL, SMTP_IN_NEW | SMTP_IN_GREETED, 0, smtp_in_xclient_run, smtp_in_xclient_listed},
};

static const struct row *row_at(size_t i)
{
    return i < COUNT_OF(rows) ? &rows[i] : NULL;
}

static const struct row *find_row(const struct smtp_in *s, struct span verb)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (span_eq_nocase(verb, span_z(rows[i].name)) && has_row(s, &rows[i]))
            return &rows[i];
    return NULL;
}
