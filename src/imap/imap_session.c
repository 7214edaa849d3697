/* The IMAP dialogue (RFC 9051): greet, read a command, find its row, run it. CAPABILITY is told from the same rows. */
#include "imap/imap_session.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "imap/imap_input.h"
#include "imap/imap_surrogate.h"

/* ---- answers --------------------------------------------------------------------------------------------------------- */

PRINTF_LIKE(3, 0)
static WAITS int tagged(struct imap *s, const char *status, const char *fmt, va_list ap)
{
    char text[600];
    va_list again;
    va_copy(again, ap);
    size_t n = (size_t)vsnprintf(text, sizeof text, fmt, ap);
    char *p = n < sizeof text ? text : arena_alloc(&s->cmd, n + 1); /* COPYUID of many messages */
    if (p != text)
        vsnprintf(p, n + 1, fmt, again);
    va_end(again);
    int r = conn_printf(s->c, "%s %s ", s->tag, status);
    if (r == 0)
        r = conn_write(s->c, span_of(p, n));
    return r != 0 ? r : conn_writez(s->c, "\r\n");
}

/* What is new in the mailbox, before the answer that ends a command. */
static WAITS int tell_news(struct imap *s)
{
    struct fail f;
    if (s->state != IMAP_SELECTED)
        return 0;
    if (s->feed.modseq > s->view.modseq)
        imap_view_refresh(s, &f); /* a store that is away for a moment is no reason to fail the command */
    /* RFC 9051 7.5.1: numbers stay while a command runs that speaks in numbers */
    bool still = s->row != NULL && (s->row->flags & IMAP_ROW_STILL) && !s->by_uid;
    return imap_view_tell(s, !still);
}

WAITS int imap_session_ok(struct imap *s, const char *fmt, ...)
{
    va_list ap;
    s->errors = 0;
    int r = tell_news(s);
    if (r != 0)
        return r;
    va_start(ap, fmt);
    r = tagged(s, "OK", fmt, ap);
    va_end(ap);
    return r;
}

WAITS int imap_session_no(struct imap *s, const char *fmt, ...)
{
    va_list ap;
    int r = tell_news(s);
    if (r != 0)
        return r;
    va_start(ap, fmt);
    r = tagged(s, "NO", fmt, ap);
    va_end(ap);
    return r;
}

WAITS int imap_session_bad(struct imap *s, const char *why)
{
    char first = why[0] >= 'a' && why[0] <= 'z' ? (char)(why[0] - 32) : why[0];
    s->errors++;
    return conn_printf(s->c, "%s BAD %c%s\r\n", s->tag[0] != 0 ? s->tag : "*", first, why + 1);
}

WAITS int imap_session_untagged(struct imap *s, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return conn_printf(s->c, "* %s\r\n", text);
}

WAITS int imap_session_fail(struct imap *s, const struct fail *f, bool target)
{
    static const struct { char status[8], code[16]; } codes[] = { /* RFC 5530 3; the left ones are explained in store.h */
        {"5.2.0", "NONEXISTENT"}, {"5.2.2", "OVERQUOTA"},   {"5.2.31", "ALREADYEXISTS"}, {"5.2.32", "HASCHILDREN"},
        {"5.2.34", "CANNOT"},     {"5.2.35", "CANNOT"},     {"5.2.36", "LIMIT"},         {"5.3.4", "TOOBIG"},
        {"5.5.4", "CLIENTBUG"},   {"5.7.0", "NOPERM"},      {"4.2.0", "INUSE"},
    };
    const char *code = f->kind == FAIL_TEMP ? "UNAVAILABLE" : NULL;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (strcmp(f->code, codes[i].status) == 0)
            code = codes[i].code;
    if (target && strcmp(f->code, "5.2.0") == 0)
        code = "TRYCREATE"; /* RFC 9051 6.3.12, 6.4.7 */
    if (f->kind == FAIL_TEMP)
        LOG(LOG_WARN, "imap.fail", L_ID(span_z(s->trace)), L_Z("command", s->row != NULL ? s->row->name : ""),
            L_Z("why", f->text));
    return code != NULL ? imap_session_no(s, "[%s] %s", code, f->text) : imap_session_no(s, "%s", f->text);
}

void imap_session_deselect(struct imap *s)
{
    if (s->state != IMAP_SELECTED)
        return;
    imap_surrogate_drop(s);
    imap_view_keep(s->account, &s->view);
    s->state = IMAP_AUTHENTICATED;
}

/* ---- the small commands ---------------------------------------------------------------------------------------------- */

static bool starttls_possible(const struct imap *s)
{
    return s->env->tls != NULL && tls_service_ready(s->env->tls) && !conn_tls(s->c) && s->state == IMAP_NOT_AUTHENTICATED;
}

static bool logged_in(const struct imap *s)
{
    return s->state != IMAP_NOT_AUTHENTICATED;
}

static bool login_forbidden(const struct imap *s)
{
    return !logged_in(s) && !imap_login_allowed(s);
}

static bool login_possible(const struct imap *s)
{
    return !logged_in(s) && imap_login_allowed(s);
}

/* Capabilities that are no command. */
static const struct { const char *name; bool (*when)(const struct imap *s); } capa_table[] = {
    {"LITERAL-", NULL},                   /* RFC 7888 5 */
    {"SASL-IR", login_possible},          /* RFC 4959 */
    {"LOGINDISABLED", login_forbidden},   /* RFC 9051 6.2.3 */
    {"LIST-EXTENDED", logged_in},         /* RFC 5258 */
    {"LIST-STATUS", logged_in},           /* RFC 5819 */
    {"CHILDREN", logged_in},              /* RFC 3348 */
    {"SPECIAL-USE", logged_in},           /* RFC 6154 2 */
    {"CREATE-SPECIAL-USE", logged_in},    /* RFC 6154 3 */
    {"STATUS=SIZE", logged_in},           /* RFC 8438 */
    {"UTF8=ACCEPT", logged_in},           /* RFC 9755 */
};

void imap_session_capabilities(const struct imap *s, struct str *out)
{
    str_addz(out, "CAPABILITY IMAP4rev1 IMAP4rev2");
    for (size_t i = 0; imap_session_row(i) != NULL; i++)
        if (imap_session_row(i)->capa != NULL && (imap_session_row(i)->when == NULL || imap_session_row(i)->when(s)))
            str_addf(out, " %s", imap_session_row(i)->capa);
    for (size_t i = 0; i < COUNT_OF(capa_table); i++)
        if (capa_table[i].when == NULL || capa_table[i].when(s))
            str_addf(out, " %s", capa_table[i].name);
    if (!logged_in(s))
        imap_login_capabilities(s, out);
}

static WAITS int cmd_capability(struct imap *s, struct imap_lex *in)
{
    struct str out;
    str_init(&out, &s->cmd);
    imap_session_capabilities(s, &out);
    int r = imap_session_untagged(s, "%s", str_z(&out));
    return r != 0 ? r : imap_session_ok(s, "That is what there is");
}

static WAITS int cmd_noop(struct imap *s, struct imap_lex *in)
{
    struct fail f;
    if (s->state == IMAP_SELECTED && imap_view_refresh(s, &f) < 0) /* RFC 9051 6.1.2: the way to poll */
        return imap_session_fail(s, &f, false);
    return imap_session_ok(s, "%s done", s->row->name);
}

static WAITS int cmd_logout(struct imap *s, struct imap_lex *in)
{
    imap_session_deselect(s); /* nothing is told any more */
    s->closing = true;
    int r = imap_session_untagged(s, "BYE Goodbye");
    return r != 0 ? r : imap_session_ok(s, "LOGOUT done");
}

static WAITS int cmd_starttls(struct imap *s, struct imap_lex *in)
{
    if (!starttls_possible(s))
        return imap_session_bad(s, conn_tls(s->c) ? "TLS is there already" : "TLS is not available now");
    int r = imap_session_ok(s, "Begin TLS");
    if (r == 0)
        r = conn_flush(s->c);
    if (r != 0)
        return r;
    conn_limit(s->c, LIMIT(TLS_HANDSHAKE_S) * 1000);
    /* RFC 9051 6.2.1, SEC-04: fails when bytes lay behind the command; nothing said in clear counts afterwards */
    return conn_tls_start(s->c, s->env->tls) == 0 ? 0 : WAIT_CLOSED;
}

static const struct { struct span name; unsigned bit; } enable_table[] = {
    {SPAN("IMAP4rev2"), IMAP_REV2},   /* RFC 9051 */
    {SPAN("UTF8=ACCEPT"), IMAP_UTF8}, /* RFC 9755, which IMAP4rev2 has in it */
};

/* RFC 9051 6.3.1: what is not known is left out of the answer, and no error. */
static WAITS int cmd_enable(struct imap *s, struct imap_lex *in)
{
    struct span name;
    struct str said;
    unsigned bits = 0;
    str_init(&said, &s->cmd);
    do {
        if (!imap_grammar_atom(in, &name))
            break;
        for (size_t i = 0; i < COUNT_OF(enable_table); i++)
            bits |= span_eq_nocase(name, enable_table[i].name) ? enable_table[i].bit : 0;
    } while (imap_grammar_may(in, ' '));
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    s->enabled |= bits;
    for (size_t i = 0; i < COUNT_OF(enable_table); i++)
        if (bits & enable_table[i].bit)
            str_addf(&said, " %.*s", SPAN_ARGS(enable_table[i].name));
    int r = imap_session_untagged(s, "ENABLED%s", str_z(&said));
    return r != 0 ? r : imap_session_ok(s, "ENABLE done");
}

/* ---- the dialogue ---------------------------------------------------------------------------------------------------- */

static const struct imap_row *row_of(struct span name)
{
    for (size_t i = 0; imap_session_row(i) != NULL; i++)
        if (span_eq_nocase(name, span_z(imap_session_row(i)->name)))
            return imap_session_row(i);
    return NULL;
}

int imap_session_begin(struct imap *s, struct span line, struct imap_lex *in)
{
    struct span tag, name;
    imap_grammar_init(in, line, &s->cmd);
    if (!logged_in(s))
        in->depth_max = 1;
    s->row = NULL;
    s->by_uid = false;
    s->tag[0] = 0;
    if (!imap_grammar_tag(in, &tag) || tag.n >= sizeof s->tag) {
        imap_grammar_bad(in, "a command begins with its tag");
        return -1;
    }
    snprintf(s->tag, sizeof s->tag, "%.*s", SPAN_ARGS(tag));
    if (!imap_grammar_sp(in) || !imap_grammar_word(in, &name))
        return -1;
    if (span_eq_nocase(name, SPAN("UID"))) {
        s->by_uid = true;
        if (!imap_grammar_sp(in) || !imap_grammar_word(in, &name))
            return -1;
    }
    s->row = row_of(name);
    return 0;
}

/* What forbids the command, or NULL. */
static const char *refusal(const struct imap *s, const struct imap_lex *in)
{
    if (s->row == NULL)
        return "There is no such command";
    if (s->by_uid ? !(s->row->flags & (IMAP_ROW_UID | IMAP_ROW_UID_ONLY)) : (s->row->flags & IMAP_ROW_UID_ONLY))
        return s->by_uid ? "That has no form with UID" : "That is there with UID only";
    if (!(s->row->states & s->state))
        return s->state == IMAP_NOT_AUTHENTICATED            ? "Log in first"
               : (s->row->states & IMAP_NOT_AUTHENTICATED) ? "You are logged in already"
                                                           : "Select a mailbox first";
    if ((s->row->flags & IMAP_ROW_BARE) && !s->by_uid && in->at.n > 0)
        return "That takes no argument";
    return NULL;
}

static WAITS int run_command(struct imap *s)
{
    struct imap_lex in;
    if (imap_session_begin(s, s->text, &in) < 0)
        return imap_session_bad(s, in.error);
    const char *why = refusal(s, &in);
    if (why != NULL)
        return imap_session_bad(s, why);
    if ((s->row->flags & IMAP_ROW_WRITES) && s->view.readonly && s->state == IMAP_SELECTED)
        return imap_session_no(s, "[READ-ONLY] The mailbox was opened for reading");
    if ((s->by_uid || !(s->row->flags & IMAP_ROW_BARE)) && !imap_grammar_sp(&in))
        return imap_session_bad(s, in.error);
    if (s->row->run != imap_fetch_fetch)
        imap_surrogate_drop(s);
    return s->row->run(s, &in);
}

static WAITS int one_turn(struct imap *s)
{
    const char *wrong = NULL;
    if (s->env->stop)
        return WAIT_CANCELLED;
    s->row = NULL;
    int r = imap_input_command(s, &wrong);
    if (r == 0)
        r = wrong != NULL ? imap_session_bad(s, wrong) : run_command(s);
    if (r == 0 && s->more)
        r = imap_input_skip(s);
    if (r == 0 && s->state == IMAP_SELECTED && s->view.lost && !s->closing) {
        s->closing = true; /* its numbers mean nothing any more, and a client has no way to be told but this one */
        r = imap_session_untagged(s, "BYE The selected mailbox was removed");
    }
    if (r == 0 && s->errors >= LIMIT(IMAP_ERRORS) && !s->closing) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        r = imap_session_untagged(s, "BYE Too many errors");
    }
    arena_done(&s->cmd);
    return r;
}

static WAITS void farewell(struct imap *s, int r)
{
    if (r == WAIT_CANCELLED)
        r = imap_session_untagged(s, "BYE [UNAVAILABLE] Shutting down");
    else if (r == WAIT_TIMEOUT)
        r = imap_session_untagged(s, logged_in(s) ? "BYE Nothing was said for too long" : "BYE The login took too long");
    if (r == 0 || r == WAIT_CANCELLED)
        conn_flush(s->c);
    imap_session_deselect(s);
    feed_close(&s->feed);
    if (logged_in(s))
        ipc_post_to(ROLE_AUTH, MSG_ID_logout, &(struct msg_logout){.handle = imap_session_handle(s)});
    arena_done(&s->mem);
    arena_done(&s->cmd);
}

WAITS void imap_session_run(struct conn *c, struct session_env *env)
{
    struct imap s = {.c = c, .env = env, .state = IMAP_NOT_AUTHENTICATED};
    struct op_id id = rand_op_id();
    struct str greeting;
    rand_trace_id(&id, s.trace);
    arena_init(&s.mem);
    arena_init(&s.cmd);
    s.login_until_ms = clock_mono_ms() + LIMIT(IMAP_LOGIN_S) * 1000;
    LOG(LOG_INFO, "imap.connect", L_ID(span_z(s.trace)), L_Z("ip", conn_peer(c)->text));
    conn_limit(c, LIMIT(IMAP_LOGIN_S) * 1000);
    str_init(&greeting, &s.cmd);
    imap_session_capabilities(&s, &greeting);
    int r = imap_session_untagged(&s, "OK [%s] Postel ready", str_z(&greeting));
    arena_done(&s.cmd);
    while (r == 0 && !s.closing)
        r = one_turn(&s);
    farewell(&s, r);
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

enum {
    BEFORE = IMAP_NOT_AUTHENTICATED,
    IN = IMAP_AUTHENTICATED | IMAP_SELECTED,
    BOX = IMAP_SELECTED,
    ANY = BEFORE | IN,
    BARE = IMAP_ROW_BARE,
    UID = IMAP_ROW_UID,
    STILL = IMAP_ROW_STILL,
    WRITES = IMAP_ROW_WRITES,
};

static const struct imap_row rows[] = {
    {"CAPABILITY", ANY, BARE, NULL, NULL, cmd_capability},                      /* RFC 9051 6.1.1 */
    {"NOOP", ANY, BARE, NULL, NULL, cmd_noop},                                  /* RFC 9051 6.1.2 */
    {"LOGOUT", ANY, BARE, NULL, NULL, cmd_logout},                              /* RFC 9051 6.1.3 */
    {"ID", ANY, 0, "ID", NULL, imap_id_id},                                     /* RFC 2971 3.1 */
    {"STARTTLS", BEFORE, BARE, "STARTTLS", starttls_possible, cmd_starttls},    /* RFC 9051 6.2.1 */
    {"AUTHENTICATE", BEFORE, 0, NULL, NULL, imap_login_authenticate},           /* RFC 9051 6.2.2 */
    {"LOGIN", BEFORE, 0, NULL, NULL, imap_login_login},                         /* RFC 9051 6.2.3 */
    {"ENABLE", IN, 0, "ENABLE", NULL, cmd_enable},                              /* RFC 9051 6.3.1 */
    {"SELECT", IN, 0, NULL, NULL, imap_select_select},                          /* RFC 9051 6.3.2 */
    {"EXAMINE", IN, 0, NULL, NULL, imap_select_examine},                        /* RFC 9051 6.3.3 */
    {"CREATE", IN, 0, NULL, NULL, imap_folder_create},                          /* RFC 9051 6.3.4 */
    {"DELETE", IN, 0, NULL, NULL, imap_folder_delete},                          /* RFC 9051 6.3.5 */
    {"RENAME", IN, 0, NULL, NULL, imap_folder_rename},                          /* RFC 9051 6.3.6 */
    {"SUBSCRIBE", IN, 0, NULL, NULL, imap_folder_subscribe},                    /* RFC 9051 6.3.7 */
    {"UNSUBSCRIBE", IN, 0, NULL, NULL, imap_folder_unsubscribe},                /* RFC 9051 6.3.8 */
    {"LIST", IN, 0, NULL, NULL, imap_list_list},                                /* RFC 9051 6.3.9 */
    {"LSUB", IN, 0, NULL, NULL, imap_list_lsub},                                /* RFC 3501 6.3.9 */
    {"NAMESPACE", IN, BARE, "NAMESPACE", NULL, imap_list_namespace},            /* RFC 9051 6.3.10 */
    {"STATUS", IN, 0, NULL, NULL, imap_status_status},                          /* RFC 9051 6.3.11 */
    {"IDLE", IN, BARE, "IDLE", NULL, imap_idle_idle},                           /* RFC 9051 6.3.13 */
    {"CHECK", BOX, BARE, NULL, NULL, cmd_noop},                                 /* RFC 3501 6.4.1 */
    {"CLOSE", BOX, BARE, NULL, NULL, imap_select_close},                        /* RFC 9051 6.4.1 */
    {"UNSELECT", BOX, BARE, "UNSELECT", NULL, imap_select_unselect},            /* RFC 9051 6.4.2 */
    {"APPEND", IN, IMAP_ROW_STREAMS, NULL, NULL, imap_append_append},           /* RFC 9051 6.3.12 */
    {"EXPUNGE", BOX, UID | BARE | WRITES, "UIDPLUS", logged_in, imap_expunge_expunge}, /* RFC 9051 6.4.3, 6.4.9 */
    {"SEARCH", BOX, UID | STILL, "ESEARCH SEARCHRES", logged_in, imap_search_search}, /* RFC 9051 6.4.4 */
    {"FETCH", BOX, UID | STILL, NULL, NULL, imap_fetch_fetch},                    /* RFC 9051 6.4.5 */
    {"STORE", BOX, UID | STILL | WRITES, NULL, NULL, imap_store_store},         /* RFC 9051 6.4.6 */
    {"COPY", BOX, UID, NULL, NULL, imap_copy_copy},                             /* RFC 9051 6.4.7 */
    {"MOVE", BOX, UID | WRITES, "MOVE", logged_in, imap_copy_move},             /* RFC 9051 6.4.8 */
};

const struct imap_row *imap_session_row(size_t i)
{
    return i < COUNT_OF(rows) ? &rows[i] : NULL;
}
