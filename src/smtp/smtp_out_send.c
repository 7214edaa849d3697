/* One transaction: envelope, text, answers. With PIPELINING everything up to the text goes in one group (RFC 2920). */
#include "base/limits.h"
#include "base/utf8.h"
#include "smtp/smtp_grammar.h"
#include "smtp/smtp_out_data.h"

/* ---- what the server cannot do --------------------------------------------------------------------------------------- */

static void all(struct smtp_out_mail *m, const struct smtp_out_answer *a)
{
    for (size_t i = 0; i < m->n; i++) {
        m->rcpts[i].tried = true;
        m->rcpts[i].answer = *a;
    }
}

/* False: the message cannot be handed over here as it is, and is not changed (RFC 6152 3, RFC 6531 3.2, RFC 1870 6). */
static bool possible(const struct smtp_out *s, const struct smtp_out_mail *m, struct smtp_out_answer *why)
{
    if ((m->flags & ENVELOPE_SMTPUTF8) && !(s->caps & SMTP_OUT_UTF8))
        smtp_out_say(why, QUEUE_FAILED, "5.6.7", "the message has an address or a header in UTF-8, which that server cannot take");
    else if ((m->flags & ENVELOPE_8BIT) && !(s->caps & SMTP_OUT_8BIT) && !(m->flags & ENVELOPE_SMTPUTF8))
        smtp_out_say(why, QUEUE_FAILED, "5.6.3", "the message has 8-bit text, which that server cannot take");
    else if (s->size_most > 0 && m->size > s->size_most)
        smtp_out_say(why, QUEUE_FAILED, "5.3.4", "the message has %llu bytes, that server takes %llu",
                     (unsigned long long)m->size, (unsigned long long)s->size_most);
    else
        return true;
    return false;
}

/* ---- envelope ---------------------------------------------------------------------------------------------------- */

/* RFC 3461 4: xtext: printable ASCII but "+" and "=" as it is, the rest as +HH. */
static void add_xtext(struct str *out, struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char b = (unsigned char)text.p[i];
        if (b > 32 && b < 127 && b != '+' && b != '=')
            str_addc(out, (char)b);
        else
            str_addf(out, "+%02X", b);
    }
}

/* Addresses come as they were written in an envelope; a local part that was made otherwise (SRS of one in quotes) and is
 * none (RFC 5321 4.1.2) gets its quotes here. */
static void add_path(struct str *out, struct span address)
{
    ptrdiff_t at = span_rfind_char(address, '@');
    struct span local = span_sub(address, 0, at < 0 ? address.n : (size_t)at);
    bool quote = address.n > 0 && smtp_grammar_local(local) != (ptrdiff_t)local.n;
    str_addz(out, quote ? "<\"" : "<");
    for (size_t i = 0; i < local.n; i++) {
        if (quote && (local.p[i] == '"' || local.p[i] == '\\'))
            str_addc(out, '\\');
        str_addc(out, local.p[i]);
    }
    if (quote)
        str_addc(out, '"');
    str_add(out, span_from(address, local.n));
    str_addc(out, '>');
}

static void add_mail(struct smtp_out *s, const struct smtp_out_mail *m, struct str *out)
{
    str_addz(out, "MAIL FROM:");
    add_path(out, m->sender);
    if (s->caps & SMTP_OUT_SIZE)
        str_addf(out, " SIZE=%llu", (unsigned long long)m->size);
    if ((m->flags & ENVELOPE_8BIT) && (s->caps & SMTP_OUT_8BIT))
        str_addz(out, " BODY=8BITMIME");
    if (m->flags & ENVELOPE_SMTPUTF8)
        str_addz(out, " SMTPUTF8");
    if ((s->caps & SMTP_OUT_DSN) && m->ret != DSN_RET_NONE)
        str_addz(out, m->ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
    if ((s->caps & SMTP_OUT_DSN) && m->envid.n > 0) {
        str_addz(out, " ENVID=");
        add_xtext(out, m->envid);
    }
    str_addz(out, "\r\n");
}

static void add_notify(struct str *out, uint32_t notify)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{DSN_SUCCESS, "SUCCESS"}, {DSN_FAILURE, "FAILURE"}, {DSN_DELAY, "DELAY"}};
    const char *before = " NOTIFY=";
    if (notify & DSN_NEVER) {
        str_addz(out, " NOTIFY=NEVER");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (notify & names[i].bit) {
            str_addf(out, "%s%s", before, names[i].name);
            before = ",";
        }
}

static void add_rcpt(struct smtp_out *s, const struct smtp_out_rcpt *r, struct str *out)
{
    str_addz(out, "RCPT TO:");
    add_path(out, r->address);
    if (s->caps & SMTP_OUT_DSN) { /* RFC 3461 5.2.1 */
        add_notify(out, r->notify);
        if (r->orcpt.n > 0) {
            ptrdiff_t type = span_find_char(r->orcpt, ';');
            str_addz(out, " ORCPT=");
            str_add(out, span_sub(r->orcpt, 0, (size_t)(type + 1))); /* "rfc822;" */
            add_xtext(out, span_from(r->orcpt, (size_t)(type + 1)));
        }
    }
    str_addz(out, "\r\n");
}

/* SEC-10: a line ends where we end it. Addresses were checked when they were taken; this is the last look. */
static bool clean(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
            return false;
    return true;
}

static bool all_clean(const struct smtp_out_mail *m)
{
    bool ok = clean(m->sender);
    for (size_t i = 0; i < m->n; i++)
        ok = ok && clean(m->rcpts[i].address);
    return ok;
}

/* ---- dialogue ---------------------------------------------------------------------------------------------------- */

/* RFC 5321 4.5.3.1.10: 552 there means the same; unless its status says that it is about a mailbox. */
static bool too_many(const struct smtp_out_reply *r)
{
    if (r->code == 552)
        return strcmp(r->status, "5.5.3") == 0 || strcmp(r->status, "5.0.0") == 0;
    return r->code == 452 && strcmp(r->status, "4.2.2") != 0 && strcmp(r->status, "4.3.1") != 0;
}

/* What the server said of recipient i; the others behind "too many" are for another transaction. */
static void note_rcpt(struct smtp_out_mail *m, size_t i, const struct smtp_out_reply *reply, size_t accepted)
{
    struct smtp_out_rcpt *r = &m->rcpts[i];
    if (accepted > 0 && too_many(reply))
        return;
    r->tried = true;
    r->accepted = reply->code / 100 == 2;
    smtp_out_took(&r->answer, reply);
}

struct group {
    size_t n;            /* recipients of this transaction */
    size_t accepted;
    bool mail_ok;
    struct smtp_out_answer mail; /* why not */
    int data;            /* code of the answer to DATA; 0: not asked */
    struct smtp_out_answer why;  /* of DATA, or of a session that is over */
};

static WAITS int hear_mail(struct smtp_out *s, struct group *g)
{
    struct smtp_out_reply r;
    if (smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "MAIL", &g->why) < 0)
        return -1;
    g->mail_ok = r.code / 100 == 2;
    smtp_out_took(&g->mail, &r);
    return 0;
}

static WAITS int hear_rcpt(struct smtp_out *s, struct smtp_out_mail *m, struct group *g, size_t i)
{
    struct smtp_out_reply r;
    if (smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "RCPT", &g->why) < 0)
        return -1;
    if (g->mail_ok)
        note_rcpt(m, i, &r, g->accepted);
    g->accepted += m->rcpts[i].accepted;
    return 0;
}

static WAITS int hear_data(struct smtp_out *s, struct group *g)
{
    struct smtp_out_reply r;
    if (smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "DATA", &g->why) < 0)
        return -1;
    g->data = r.code;
    smtp_out_took(&g->why, &r);
    return 0;
}

static WAITS void write_line(struct smtp_out *s, struct str *line)
{
    conn_write(s->c, str_span(line));
    str_clear(line);
}

static size_t at_once(const struct smtp_out *s, const struct smtp_out_mail *m)
{
    return s->rcpt_most > 0 && m->n > s->rcpt_most ? s->rcpt_most : m->n; /* RFC 9422 3.2: the others in their own transaction */
}

/* MAIL, every RCPT and DATA in one group. DATA is not sent with CHUNKING. */
static WAITS void write_group(struct smtp_out *s, const struct smtp_out_mail *m)
{
    struct str line;
    str_init(&line, &s->mem);
    add_mail(s, m, &line);
    for (size_t i = 0; i < at_once(s, m); i++) {
        add_rcpt(s, &m->rcpts[i], &line);
        if (line.n > 4096)
            write_line(s, &line);
    }
    if (!(s->caps & SMTP_OUT_CHUNKING))
        str_addz(&line, "DATA\r\n");
    write_line(s, &line);
    s->mails++;
}

/* Its answers. 0, or -1: over. */
static WAITS int hear_group(struct smtp_out *s, struct smtp_out_mail *m, struct group *g)
{
    int r = hear_mail(s, g);
    for (size_t i = 0; i < g->n && r == 0 && !s->over; i++)
        r = hear_rcpt(s, m, g, i);
    if (r == 0 && !(s->caps & SMTP_OUT_CHUNKING) && !s->over)
        r = hear_data(s, g);
    return r;
}

/* Not when a recipient of m is left for a transaction of its own. Not with CHUNKING: there no answer looks unlike the others, as
 * 354 does, and one that nobody asked for would be taken for that to the next command, message after message. */
static bool may_go_ahead(const struct smtp_out *s, const struct smtp_out_mail *m)
{
    struct smtp_out_answer why;
    for (size_t i = 0; i < m->n; i++)
        if (!m->rcpts[i].tried)
            return false;
    return m->next != NULL && (s->caps & (SMTP_OUT_PIPELINING | SMTP_OUT_CHUNKING)) == SMTP_OUT_PIPELINING && !s->over &&
           s->mails < (uint32_t)LIMIT(RELAY_SESSION_MAILS) && (s->mail_most == 0 || s->mails < s->mail_most) &&
           all_clean(m->next) && possible(s, m->next, &why);
}

/* RFC 2920 3.1: the text of a message may be the first in a group, and what initiates the next transaction follows it. */
WAITS void smtp_out_send_ahead(struct smtp_out *s, const struct smtp_out_mail *m)
{
    if (!may_go_ahead(s, m))
        return;
    write_group(s, m->next);
    s->ahead = m->next;
}

static WAITS int one_by_one(struct smtp_out *s, struct smtp_out_mail *m, struct group *g)
{
    struct str line;
    str_init(&line, &s->mem);
    s->mails++;
    add_mail(s, m, &line);
    write_line(s, &line);
    int r = hear_mail(s, g);
    for (size_t i = 0; i < g->n && r == 0 && !s->over && g->mail_ok; i++) {
        add_rcpt(s, &m->rcpts[i], &line);
        write_line(s, &line);
        r = hear_rcpt(s, m, g, i);
    }
    if (r == 0 && !s->over && g->accepted > 0 && !(s->caps & SMTP_OUT_CHUNKING)) {
        conn_writez(s->c, "DATA\r\n");
        r = hear_data(s, g);
    }
    return r;
}

/* Back to a clean state without closing (RFC 5321 4.1.1.5). */
static WAITS void reset(struct smtp_out *s)
{
    struct smtp_out_reply r;
    struct smtp_out_answer why;
    conn_writez(s->c, "RSET\r\n");
    if (!s->over && smtp_out_hear(s, &r, LIMIT(RELAY_COMMAND_S), "RSET", &why) == 0 && r.code / 100 != 2)
        s->over = true;
}

/* 354 came although there is nobody to send it to (RFC 2920 3.1): an empty message, whatever is said to it; nobody gets it. */
static WAITS void nothing_to_send(struct smtp_out *s)
{
    struct smtp_out_reply r;
    struct smtp_out_answer why;
    conn_writez(s->c, ".\r\n");
    (void)smtp_out_hear(s, &r, LIMIT(RELAY_DATA_S), "an empty message", &why);
}

static void settle(struct smtp_out_mail *m, const struct group *g, const struct smtp_out_answer *a, bool only_accepted)
{
    for (size_t i = 0; i < g->n; i++) {
        struct smtp_out_rcpt *r = &m->rcpts[i];
        if (only_accepted && !r->accepted)
            continue;
        r->tried = true;
        r->answer = *a;
    }
}

/* The envelope stands with some recipients: the text, and its answer for all of them. */
static WAITS void text(struct smtp_out *s, struct smtp_out_mail *m, struct group *g)
{
    struct smtp_out_answer a;
    smtp_out_data_send(s, m, &a);
    settle(m, g, &a, true);
}

/* The connection is over in the middle of the envelope: who has an answer keeps it, unless it was a yes. */
static void broken_off(struct smtp_out_mail *m, const struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct smtp_out_rcpt *r = &m->rcpts[i];
        if (r->tried && !r->accepted)
            continue;
        r->tried = true;
        r->accepted = false;
        r->answer = g->why;
    }
}

static WAITS void after_envelope(struct smtp_out *s, struct smtp_out_mail *m, struct group *g)
{
    bool data = !(s->caps & SMTP_OUT_CHUNKING);
    if (!g->mail_ok)
        settle(m, g, &g->mail, false);
    if (g->accepted == 0) {
        if (g->data == 354)
            nothing_to_send(s);
        else
            reset(s);
    } else if (data && g->data != 354) {
        g->why.outcome = g->data >= 500 ? QUEUE_FAILED : QUEUE_DEFERRED; /* 2xx there is as wrong as 4xx */
        settle(m, g, &g->why, true);
        reset(s);
    } else {
        text(s, m, g);
    }
}

/* Its envelope, and what was said to it. 0, or -1: over. */
static WAITS int envelope(struct smtp_out *s, struct smtp_out_mail *m, struct group *g, bool written)
{
    if (!(s->caps & SMTP_OUT_PIPELINING))
        return one_by_one(s, m, g);
    if (!written)
        write_group(s, m);
    return hear_group(s, m, g);
}

WAITS void smtp_out_send(struct smtp_out *s, struct smtp_out_mail *m)
{
    struct group g = {.n = at_once(s, m)};
    bool ahead = s->ahead == m;
    assert(s->ahead == NULL || ahead);
    s->ahead = NULL;
    arena_reset(&s->mem);
    for (size_t i = 0; i < m->n; i++) {
        m->rcpts[i].tried = m->rcpts[i].accepted = false;
        m->rcpts[i].dsn_sent = (s->caps & SMTP_OUT_DSN) != 0;
        smtp_out_say(&m->rcpts[i].answer, QUEUE_DEFERRED, "4.3.0", "not tried");
    }
    if (!all_clean(m)) {
        smtp_out_say(&g.why, QUEUE_FAILED, "5.1.3", "an address holds a control character");
        all(m, &g.why);
        return;
    }
    if (!possible(s, m, &g.why)) {
        all(m, &g.why);
        return;
    }
    if (envelope(s, m, &g, ahead) < 0 || s->over) {
        if (g.why.status[0] == 0)
            smtp_out_say(&g.why, QUEUE_DEFERRED, "4.4.2", "the server closed the session (421)");
        if (s->over && !g.mail_ok && g.mail.status[0] != 0)
            g.why = g.mail;
        g.why.outcome = QUEUE_DEFERRED;
        broken_off(m, &g);
        return;
    }
    after_envelope(s, m, &g);
}
