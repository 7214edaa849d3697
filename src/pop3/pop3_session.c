/* The POP3 dialogue (RFC 1939): greet, read a command, find its row, run it. CAPA is told from the same rows. */
#include "pop3/pop3_session.h"

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
    void (*more)(const struct pop3 *s, struct str *out); /* its arguments in CAPA, or NULL */
};

static const struct row *row_at(size_t i); /* NULL behind the last */

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static WAITS int answer(struct pop3 *s, const char *status, enum pop3_text t, struct span what)
{
    char line[400];
    const char *text = pop3_text(t, s->lang), *mark = strchr(text, '%');
    size_t before = mark != NULL ? (size_t)(mark - text) : strlen(text);
    snprintf(line, sizeof line, "%s %s%.*s%.*s%s", status, pop3_text_code(t), (int)before, text, SPAN_ARGS(what),
             mark != NULL ? mark + 1 : "");
    return conn_printf(s->c, "%s\r\n", line);
}

WAITS int pop3_session_ok_about(struct pop3 *s, enum pop3_text text, struct span what)
{
    s->errors = 0;
    return answer(s, "+OK", text, what);
}

WAITS int pop3_session_ok(struct pop3 *s, enum pop3_text text)
{
    return pop3_session_ok_about(s, text, SPAN(""));
}

WAITS int pop3_session_ok_count(struct pop3 *s, enum pop3_text text, uint64_t count)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    return pop3_session_ok_about(s, text, span_of(digits, (size_t)n));
}

WAITS int pop3_session_data(struct pop3 *s, struct span data)
{
    s->errors = 0;
    return conn_printf(s->c, "+OK %.*s\r\n", SPAN_ARGS(data));
}

WAITS int pop3_session_err_about(struct pop3 *s, enum pop3_text text, struct span what)
{
    s->errors++;
    return answer(s, "-ERR", text, what);
}

WAITS int pop3_session_err(struct pop3 *s, enum pop3_text text)
{
    return pop3_session_err_about(s, text, SPAN(""));
}

/* ---- the small commands ---------------------------------------------------------------------------------------------- */

static bool stls_possible(const struct pop3 *s)
{
    return s->env->tls != NULL && tls_service_ready(s->env->tls) && !conn_tls(s->c) && s->state != POP3_TRANSACTION;
}

/* Capabilities that are no command (RFC 2449 6, RFC 3206). */
static const char *const capa_table[] = {
    "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LOGIN-DELAY 0", "IMPLEMENTATION Postel",
};

static WAITS int cmd_capa(struct pop3 *s, struct span args)
{
    struct str out;
    str_init(&out, &s->cmd);
    for (size_t i = 0; row_at(i) != NULL; i++) {
        const struct row *row = row_at(i);
        if (row->capa == NULL || (row->when != NULL && !row->when(s)))
            continue;
        str_addz(&out, row->capa);
        if (row->more != NULL)
            row->more(s, &out);
        str_addz(&out, "\r\n");
    }
    for (size_t i = 0; i < COUNT_OF(capa_table); i++)
        str_addf(&out, "%s\r\n", capa_table[i]);
    str_addz(&out, "EXPIRE ");
    pop3_keep_tell(&s->keep, s->state == POP3_TRANSACTION, &out);
    str_addz(&out, "\r\n");
    str_addz(&out, ".\r\n");
    int r = pop3_session_ok(s, POP3_TEXT_CAPA);
    return r != 0 ? r : conn_write(s->c, str_span(&out));
}

static WAITS int cmd_stls(struct pop3 *s, struct span args)
{
    if (!stls_possible(s))
        return pop3_session_err(s, conn_tls(s->c) ? POP3_TEXT_TLS_THERE : POP3_TEXT_TLS_NOT_NOW);
    if (s->utf8) /* RFC 6856 2.1: clients must not */
        return pop3_session_err(s, POP3_TEXT_TLS_AFTER_UTF8);
    int r = pop3_session_ok(s, POP3_TEXT_TLS_BEGIN);
    if (r == 0)
        r = conn_flush(s->c);
    if (r != 0)
        return r;
    conn_limit(s->c, LIMIT(TLS_HANDSHAKE_S) * 1000);
    if (conn_tls_start(s->c, s->env->tls) != 0) /* also when bytes lay behind the command (SEC-04) */
        return WAIT_CLOSED;
    s->state = POP3_AUTHORIZATION; /* RFC 2595 4: what was said in clear is forgotten, */
    s->lang = POP3_LANG_EN;        /* RFC 6856 7: LANG too, which somebody between may have put in */
    arena_done(&s->user_mem);
    return 0;
}

static WAITS int cmd_apop(struct pop3 *s, struct span args)
{
    /* RFC 1939 7 makes it optional; it would need the password itself on the server's disk */
    return pop3_session_err(s, POP3_TEXT_APOP);
}

static WAITS int cmd_noop(struct pop3 *s, struct span args)
{
    return pop3_session_ok(s, POP3_TEXT_NOOP);
}

static WAITS int cmd_quit(struct pop3 *s, struct span args)
{
    struct fail f;
    s->closing = true;
    if (s->state == POP3_TRANSACTION && pop3_drop_update(&s->drop, &f) < 0) {
        LOG(LOG_WARN, "pop3.update", L_ID(span_z(s->trace)), L_SPAN("user", s->user), L_Z("why", f.text));
        return pop3_session_err(s, POP3_TEXT_NOT_REMOVED); /* RFC 1939 6 */
    }
    if (s->state == POP3_TRANSACTION && pop3_keep_update(&s->keep, &s->drop, &f) < 0) /* the next session will */
        LOG(LOG_WARN, "pop3.keep", L_ID(span_z(s->trace)), L_SPAN("user", s->user), L_Z("why", f.text));
    return pop3_session_ok(s, POP3_TEXT_BYE);
}

/* ---- the dialogue ---------------------------------------------------------------------------------------------------- */

static WAITS int run_command(struct pop3 *s, struct span line)
{
    struct span verb, args;
    const struct row *row = NULL;
    if (pop3_grammar_command(line, &verb, &args) < 0)
        return pop3_session_err(s, POP3_TEXT_NO_COMMAND);
    for (size_t i = 0; row_at(i) != NULL && row == NULL; i++)
        if (span_eq_nocase(verb, span_z(row_at(i)->name)))
            row = row_at(i);
    if (row == NULL)
        return pop3_session_err(s, POP3_TEXT_UNKNOWN);
    if (!(row->states & s->state))
        return pop3_session_err_about(s, s->state == POP3_TRANSACTION ? POP3_TEXT_NOT_AFTER_LOGIN : POP3_TEXT_NOT_NOW,
                                      span_z(row->name));
    if (row->bare && args.n > 0)
        return pop3_session_err_about(s, POP3_TEXT_NO_ARGUMENT, span_z(row->name));
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
        return pop3_session_err(s, POP3_TEXT_LINE_LONG);
    }
    if (r == 0)
        r = run_command(s, line);
    if (r == 0 && s->errors >= LIMIT(POP3_ERRORS)) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        r = pop3_session_err(s, POP3_TEXT_ERRORS);
    }
    arena_done(&s->cmd);
    return r;
}

static WAITS void farewell(struct pop3 *s, int r)
{
    if (r == WAIT_CANCELLED)
        r = pop3_session_err(s, POP3_TEXT_STOPPING);
    else if (r == WAIT_TIMEOUT && s->state != POP3_TRANSACTION)
        r = pop3_session_err(s, POP3_TEXT_LOGIN_SLOW);
    /* RFC 1939 3: at the autologout the connection closes without UPDATE and without a word */
    if (r == 0 || r == WAIT_CANCELLED)
        conn_flush(s->c);
    if (s->state == POP3_TRANSACTION) {
        pop3_retr_forget(s);
        pop3_drop_done(&s->drop);
        pop3_keep_done(&s->keep);
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
    int r = pop3_session_ok(&s, POP3_TEXT_READY);
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
    {"USER", AUTH, false, "USER", pop3_login_allowed, pop3_login_user},                  /* RFC 1939 7 */
    {"PASS", POP3_NAMED, false, NULL, NULL, pop3_login_pass},                            /* RFC 1939 7 */
    {"AUTH", AUTH, false, "SASL", pop3_login_allowed, pop3_auth_auth, pop3_auth_list},        /* RFC 5034 4 */
    {"UTF8", AUTH, true, "UTF8 USER", NULL, pop3_utf8_utf8},                             /* RFC 6856 2 */
    {"LANG", POP3_ANY, false, "LANG", NULL, pop3_utf8_lang},                             /* RFC 6856 3 */
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
