/* The SMTP dialogue of a receiving server: greet, read a command, find its row, run it. The table at the end says which
 * command is known, in which states it may come and what it is called in HELP; nothing else decides about 503. */
#include "smtp/smtp_in_session.h"

#include <stdarg.h>

#include "base/limits.h"
#include "base/log.h"
#include "run/config.h"

enum row_flag {
    ROW_PROGRESS = 1, /* leads to mail: does not count as idle */
    ROW_NO_ARGS = 2,  /* RFC 5321 4.1.1: anything behind it is 501 */
    ROW_NO_TLS = 4,   /* not inside TLS */
};

struct row {
    const char *name;
    unsigned states, flags;
    smtp_in_command *run;
};

static const struct row *row_at(size_t i); /* NULL behind the last */
static const struct row *find_row(struct span verb);

/* ---- replies ------------------------------------------------------------------------------------------------------- */

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
    arena_done(&s->tx.mem);
    VEC_FREE(&s->tx.targets);
    s->tx = (struct smtp_in_tx){0};
    arena_init(&s->tx.mem);
    if (s->state != SMTP_IN_NEW)
        s->state = SMTP_IN_GREETED;
}

void smtp_in_session_progress(struct smtp_in *s)
{
    s->errors = s->idle = 0;
}

/* ---- the small commands ---------------------------------------------------------------------------------------------- */

static bool starttls_possible(const struct smtp_in *s)
{
    return s->env->tls != NULL && tls_service_ready(s->env->tls) && !conn_tls(s->c);
}

/* RFC 5321 4.1.1.1; what stands behind 250 in EHLO */
static const struct {
    const char *keyword;
    enum limit_id value; /* LIMIT_COUNT: none */
    bool (*when)(const struct smtp_in *s);
} ehlo_table[] = {
    {"PIPELINING", LIMIT_COUNT, NULL},               /* RFC 2920 */
    {"SIZE", LIMIT_MESSAGE_BYTES, NULL},             /* RFC 1870 */
    {"8BITMIME", LIMIT_COUNT, NULL},                 /* RFC 6152 */
    {"ENHANCEDSTATUSCODES", LIMIT_COUNT, NULL},      /* RFC 2034 */
    {"STARTTLS", LIMIT_COUNT, starttls_possible},    /* RFC 3207 */
};

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

static WAITS int cmd_helo(struct smtp_in *s, struct span args)
{
    int r;
    if (!hello(s, args, &r))
        return r;
    s->esmtp = false;
    return conn_printf(s->c, "250 %.*s\r\n", SPAN_ARGS(config_text(CONFIG_server_hostname)));
}

static WAITS int cmd_ehlo(struct smtp_in *s, struct span args)
{
    int r;
    if (!hello(s, args, &r))
        return r;
    s->esmtp = true;
    struct str out;
    str_init(&out, &s->cmd);
    struct span host = config_text(CONFIG_server_hostname);
    str_addf(&out, "250-%.*s greets %.*s\r\n", SPAN_ARGS(host), SPAN_ARGS(args));
    size_t last = out.n;
    for (size_t i = 0; i < COUNT_OF(ehlo_table); i++) {
        if (ehlo_table[i].when != NULL && !ehlo_table[i].when(s))
            continue;
        last = out.n;
        str_addf(&out, "250-%s", ehlo_table[i].keyword);
        if (ehlo_table[i].value != LIMIT_COUNT)
            str_addf(&out, " %lld", (long long)limit_value[ehlo_table[i].value]);
        str_addz(&out, "\r\n");
    }
    out.p[last + 3] = ' ';
    return conn_write(s->c, str_span(&out));
}

static WAITS int cmd_starttls(struct smtp_in *s, struct span args)
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
    /* RFC 3207 4.2: all that was said before is forgotten */
    s->state = SMTP_IN_NEW;
    s->esmtp = false;
    s->helo_n = 0;
    smtp_in_session_reset(s);
    return 0;
}

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

static WAITS int cmd_help(struct smtp_in *s, struct span args)
{
    struct str out;
    str_init(&out, &s->cmd);
    for (size_t i = 0; row_at(i) != NULL; i++)
        str_addf(&out, " %s", row_at(i)->name);
    return smtp_in_session_reply(s, 214, "2.0.0", "Commands:%.*s", SPAN_ARGS(str_span(&out)));
}

static WAITS int cmd_quit(struct smtp_in *s, struct span args)
{
    s->closing = true;
    return smtp_in_session_reply(s, 221, "2.0.0", "%.*s closing", SPAN_ARGS(config_text(CONFIG_server_hostname)));
}

/* ---- the dialogue ---------------------------------------------------------------------------------------------------- */

static WAITS int run_command(struct smtp_in *s, struct span line)
{
    struct span verb, args;
    if (smtp_grammar_command(line, &verb, &args) < 0)
        return smtp_in_session_reply(s, 500, "5.5.2", "That is no command");
    const struct row *row = find_row(verb);
    if (row == NULL)
        return smtp_in_session_reply(s, 500, "5.5.2", "Unknown command");
    if (!(row->states & s->state))
        return smtp_in_session_reply(s, 503, "5.5.1", "%s does not belong here%s", row->name,
                                     s->state == SMTP_IN_NEW ? ": say EHLO first" : "");
    if (row->flags & ROW_NO_ARGS && args.n > 0)
        return smtp_in_session_reply(s, 501, "5.5.4", "%s takes no argument", row->name);
    if (row->flags & ROW_NO_TLS && conn_tls(s->c))
        return smtp_in_session_reply(s, 503, "5.5.1", "%s is done already", row->name);
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

/* The next line without its CRLF. *line.p NULL: an overlong line was answered. 0 or WAIT_*. */
static WAITS int read_line(struct smtp_in *s, struct span *line)
{
    size_t max = MIN_OF((size_t)LIMIT(SMTP_LINE), (size_t)16384);
    conn_limit(s->c, LIMIT(SMTP_COMMAND_S) * 1000);
    s->env->idle = true;
    int r = conn_line(s->c, max, line);
    s->env->idle = false;
    if (r == CONN_LINE_LONG) {
        *line = SPAN_NONE;
        r = conn_drop_line(s->c, (size_t)LIMIT(SMTP_LINE_DISCARD));
        if (r == CONN_LINE_LONG)
            return smtp_in_session_bye(s, "4.7.0", "An endless line");
        return r != 0 ? r : smtp_in_session_reply(s, 500, "5.5.6", "The line is longer than %zu bytes", max);
    }
    if (r != 0)
        return r;
    /* RFC 5321 2.3.8: only CRLF ends a line; a bare LF leaves the CR-less rest as a bad command */
    if (line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2;
    return 0;
}

static WAITS int one_turn(struct smtp_in *s)
{
    struct span line;
    if (s->env->stop)
        return smtp_in_session_bye(s, "4.3.2", "Shutting down");
    s->code = 0;
    int r = read_line(s, &line);
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

WAITS void smtp_in_session_run(struct conn *c, struct session_env *env)
{
    struct smtp_in s = {.c = c, .env = env, .state = SMTP_IN_NEW};
    struct op_id id = rand_op_id();
    rand_trace_id(&id, s.trace);
    arena_init(&s.cmd);
    smtp_in_session_reset(&s);
    LOG(LOG_INFO, "smtp.connect", L_ID(span_z(s.trace)), L_Z("ip", conn_peer(c)->text));
    conn_limit(c, LIMIT(SMTP_COMMAND_S) * 1000);
    int r = conn_printf(c, "220 %.*s ESMTP Postel\r\n", SPAN_ARGS(config_text(CONFIG_server_hostname)));
    while (r == 0 && !s.closing)
        r = one_turn(&s);
    farewell(&s, r);
    arena_done(&s.cmd);
    smtp_in_session_reset(&s);
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

static const struct row rows[] = {
    {"EHLO", SMTP_IN_ANY, 0, cmd_ehlo},                                                             /* 4.1.1.1 */
    {"HELO", SMTP_IN_ANY, 0, cmd_helo},                                                             /* 4.1.1.1 */
    {"MAIL", SMTP_IN_GREETED, ROW_PROGRESS, smtp_in_mail_from},                                     /* 4.1.1.2 */
    {"RCPT", SMTP_IN_MAIL | SMTP_IN_RCPT, ROW_PROGRESS, smtp_in_mail_to},                           /* 4.1.1.3 */
    {"DATA", SMTP_IN_RCPT, ROW_PROGRESS | ROW_NO_ARGS, smtp_in_data_run},                           /* 4.1.1.4 */
    {"RSET", SMTP_IN_ANY, ROW_NO_ARGS, cmd_rset},                                                   /* 4.1.1.5 */
    {"VRFY", SMTP_IN_ANY, 0, cmd_vrfy},                                                             /* 4.1.1.6 */
    {"EXPN", SMTP_IN_ANY, 0, cmd_expn},                                                             /* 4.1.1.7 */
    {"HELP", SMTP_IN_ANY, 0, cmd_help},                                                             /* 4.1.1.8 */
    {"NOOP", SMTP_IN_ANY, 0, cmd_noop},                                                             /* 4.1.1.9 */
    {"QUIT", SMTP_IN_ANY, ROW_PROGRESS | ROW_NO_ARGS, cmd_quit},                                    /* 4.1.1.10 */
    {"STARTTLS", SMTP_IN_ANY, ROW_PROGRESS | ROW_NO_ARGS | ROW_NO_TLS, cmd_starttls},               /* RFC 3207 4 */
};

static const struct row *row_at(size_t i)
{
    return i < COUNT_OF(rows) ? &rows[i] : NULL;
}

static const struct row *find_row(struct span verb)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (span_eq_nocase(verb, span_z(rows[i].name)))
            return &rows[i];
    return NULL;
}
