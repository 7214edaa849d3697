/* The POP3 dialogue (RFC 1939): greet, read a command, find its row, run it. CAPA is told from the same rows. */
#include "pop3/pop3_session.h"

#include <stdarg.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "pop3/pop3_grammar.h"

struct row {
    const char *name;
    unsigned states;
    bool bare;        /* takes no argument */
    const char *capa; /* the capability that announces it, or NULL */
    bool (*when)(const struct pop3 *s); /* and only if */
    pop3_command *run;
};

static const struct row *row_at(size_t i); /* NULL behind the last */

/* ---- answers --------------------------------------------------------------------------------------------------------- */

PRINTF_LIKE(3, 0)
static WAITS int answer(struct pop3 *s, const char *status, const char *fmt, va_list ap)
{
    char text[400];
    vsnprintf(text, sizeof text, fmt, ap);
    return conn_printf(s->c, "%s %s\r\n", status, text);
}

WAITS int pop3_session_ok(struct pop3 *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    s->errors = 0;
    int r = answer(s, "+OK", fmt, ap);
    va_end(ap);
    return r;
}

WAITS int pop3_session_err(struct pop3 *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    s->errors++;
    int r = answer(s, "-ERR", fmt, ap);
    va_end(ap);
    return r;
}

/* ---- the small commands ---------------------------------------------------------------------------------------------- */

static bool stls_possible(const struct pop3 *s)
{
    return s->env->tls != NULL && tls_service_ready(s->env->tls) && !conn_tls(s->c) && s->state != POP3_TRANSACTION;
}

/* Capabilities that are no command (RFC 2449 6, RFC 3206). */
static const char *const capa_table[] = {
    "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LOGIN-DELAY 0", "IMPLEMENTATION Postel",
};

static WAITS int cmd_capa(struct pop3 *s, struct span args)
{
    struct str out;
    str_init(&out, &s->cmd);
    str_addz(&out, "+OK What this server can do\r\n");
    for (size_t i = 0; row_at(i) != NULL; i++)
        if (row_at(i)->capa != NULL && (row_at(i)->when == NULL || row_at(i)->when(s)))
            str_addf(&out, "%s\r\n", row_at(i)->capa);
    for (size_t i = 0; i < COUNT_OF(capa_table); i++)
        str_addf(&out, "%s\r\n", capa_table[i]);
    str_addz(&out, ".\r\n");
    return conn_write(s->c, str_span(&out));
}

static WAITS int cmd_stls(struct pop3 *s, struct span args)
{
    if (!stls_possible(s))
        return pop3_session_err(s, conn_tls(s->c) ? "TLS is there already" : "TLS is not available now");
    int r = pop3_session_ok(s, "Begin TLS");
    if (r == 0)
        r = conn_flush(s->c);
    if (r != 0)
        return r;
    conn_limit(s->c, LIMIT(TLS_HANDSHAKE_S) * 1000);
    if (conn_tls_start(s->c, s->env->tls) != 0) /* also when bytes lay behind the command (SEC-04) */
        return WAIT_CLOSED;
    s->state = POP3_AUTHORIZATION; /* RFC 2595 4: what was said in clear is forgotten */
    arena_done(&s->user_mem);
    return 0;
}

static WAITS int cmd_apop(struct pop3 *s, struct span args)
{
    /* RFC 1939 7 makes it optional; it would need the password itself on the server's disk */
    return pop3_session_err(s, "APOP is not offered, use USER and PASS in TLS");
}

static WAITS int cmd_noop(struct pop3 *s, struct span args)
{
    return pop3_session_ok(s, "Still here");
}

static WAITS int cmd_quit(struct pop3 *s, struct span args)
{
    struct fail f;
    s->closing = true;
    if (s->state == POP3_TRANSACTION && pop3_drop_update(&s->drop, &f) < 0) {
        LOG(LOG_WARN, "pop3.update", L_ID(span_z(s->trace)), L_SPAN("user", s->user), L_Z("why", f.text));
        return pop3_session_err(s, "[SYS/TEMP] Some deleted messages were not removed"); /* RFC 1939 6 */
    }
    return pop3_session_ok(s, "Bye");
}

/* ---- the dialogue ---------------------------------------------------------------------------------------------------- */

static WAITS int run_command(struct pop3 *s, struct span line)
{
    struct span verb, args;
    const struct row *row = NULL;
    if (pop3_grammar_command(line, &verb, &args) < 0)
        return pop3_session_err(s, "That is no command");
    for (size_t i = 0; row_at(i) != NULL && row == NULL; i++)
        if (span_eq_nocase(verb, span_z(row_at(i)->name)))
            row = row_at(i);
    if (row == NULL)
        return pop3_session_err(s, "Unknown command");
    if (!(row->states & s->state))
        return pop3_session_err(s, "%s is not possible %s", row->name,
                                s->state == POP3_TRANSACTION ? "after the login" : "now");
    if (row->bare && args.n > 0)
        return pop3_session_err(s, "%s takes no argument", row->name);
    return row->run(s, args);
}

/* 0 and the line without its end, WAIT_*, or CONN_LINE_LONG for one that is too long. */
static WAITS int read_line(struct pop3 *s, struct span *line)
{
    int64_t wait_ms = LIMIT(POP3_IDLE_S) * 1000;
    if (s->state != POP3_TRANSACTION) {
        int64_t left = s->login_until_ms - clock_mono_ms();
        if (left <= 0)
            return WAIT_TIMEOUT;
        wait_ms = MIN_OF(wait_ms, left);
    }
    conn_limit(s->c, wait_ms);
    s->env->idle = true;
    int r = conn_line(s->c, (size_t)LIMIT(POP3_LINE), line);
    s->env->idle = false;
    if (r == 0 && line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2; /* a bare LF stays and makes it a bad command */
    return r;
}

static WAITS int one_turn(struct pop3 *s)
{
    struct span line;
    if (s->env->stop)
        return WAIT_CANCELLED;
    int r = read_line(s, &line);
    if (r == CONN_LINE_LONG) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        return pop3_session_err(s, "The line is too long");
    }
    if (r == 0)
        r = run_command(s, line);
    if (r == 0 && s->errors >= LIMIT(POP3_ERRORS)) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        r = pop3_session_err(s, "Too many errors");
    }
    arena_done(&s->cmd);
    return r;
}

static WAITS void farewell(struct pop3 *s, int r)
{
    if (r == WAIT_CANCELLED)
        r = pop3_session_err(s, "[SYS/TEMP] Shutting down, nothing was deleted");
    else if (r == WAIT_TIMEOUT && s->state != POP3_TRANSACTION)
        r = pop3_session_err(s, "The login took too long");
    /* RFC 1939 3: at the autologout the connection closes without UPDATE and without a word */
    if (r == 0 || r == WAIT_CANCELLED)
        conn_flush(s->c);
    if (s->state == POP3_TRANSACTION) {
        pop3_retr_forget(s);
        pop3_drop_done(&s->drop);
    }
    arena_done(&s->user_mem);
    arena_done(&s->cmd);
}

WAITS void pop3_session_run(struct conn *c, struct session_env *env)
{
    struct pop3 s = {.c = c, .env = env, .state = POP3_AUTHORIZATION};
    struct op_id id = rand_op_id();
    rand_trace_id(&id, s.trace);
    arena_init(&s.cmd);
    arena_init(&s.user_mem);
    s.login_until_ms = clock_mono_ms() + LIMIT(POP3_LOGIN_S) * 1000;
    LOG(LOG_INFO, "pop3.connect", L_ID(span_z(s.trace)), L_Z("ip", conn_peer(c)->text));
    conn_limit(c, LIMIT(POP3_LOGIN_S) * 1000);
    int r = pop3_session_ok(&s, "Postel POP3 ready");
    while (r == 0 && !s.closing)
        r = one_turn(&s);
    farewell(&s, r);
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

#define AUTH (POP3_AUTHORIZATION | POP3_NAMED)
#define TRANS POP3_TRANSACTION

static const struct row rows[] = {
    {"CAPA", POP3_ANY, true, NULL, NULL, cmd_capa},                                      /* RFC 2449 5 */
    {"STLS", AUTH, true, "STLS", stls_possible, cmd_stls},                               /* RFC 2595 4 */
    {"USER", AUTH, false, "USER", pop3_login_allowed, pop3_login_user},          /* RFC 1939 7 */
    {"PASS", POP3_NAMED, false, NULL, NULL, pop3_login_pass},                            /* RFC 1939 7 */
    {"APOP", AUTH, false, NULL, NULL, cmd_apop},                                         /* RFC 1939 7 */
    {"STAT", TRANS, true, NULL, NULL, pop3_list_stat},                                   /* RFC 1939 5 */
    {"LIST", TRANS, false, NULL, NULL, pop3_list_list},                                  /* RFC 1939 5 */
    {"RETR", TRANS, false, NULL, NULL, pop3_retr_retr},                                  /* RFC 1939 5 */
    {"DELE", TRANS, false, NULL, NULL, pop3_list_dele},                                  /* RFC 1939 5 */
    {"NOOP", TRANS, true, NULL, NULL, cmd_noop},                                         /* RFC 1939 5 */
    {"RSET", TRANS, true, NULL, NULL, pop3_list_rset},                                   /* RFC 1939 5 */
    {"TOP", TRANS, false, "TOP", NULL, pop3_retr_top},                                   /* RFC 1939 7 */
    {"UIDL", TRANS, false, "UIDL", NULL, pop3_list_uidl},                                /* RFC 1939 7 */
    {"QUIT", POP3_ANY, true, NULL, NULL, cmd_quit},                                      /* RFC 1939 4, 6 */
};

static const struct row *row_at(size_t i)
{
    return i < COUNT_OF(rows) ? &rows[i] : NULL;
}
