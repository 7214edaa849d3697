/* Input of a session. A command is gathered in the command arena as the client sent it, literals included; its grammar is
 * looked at when all of it is there. Only literals that hold messages are left where they are, for APPEND to read.
 * Exports imap_session_literal_* and imap_session_line too. */
#include "imap/imap_input.h"

#include "base/clock.h"
#include "base/limits.h"

enum { LITERAL_MINUS = 4096 }; /* RFC 7888 5 */

static bool before_login(const struct imap *s)
{
    return s->state == IMAP_NOT_AUTHENTICATED;
}

/* Every wait for input ends at the autologout, or at the end of the time for the login. */
static int limit_wait(struct imap *s)
{
    int64_t wait_ms = LIMIT(IMAP_IDLE_S) * 1000;
    if (before_login(s))
        wait_ms = MIN_OF(wait_ms, s->login_until_ms - clock_mono_ms());
    if (wait_ms <= 0)
        return WAIT_TIMEOUT;
    conn_limit(s->c, wait_ms);
    return 0;
}

/* Appends up to and with the next LF, at most `most` bytes. 0, WAIT_* or CONN_LINE_LONG. */
static WAITS int add_line(struct imap *s, struct str *text, size_t most)
{
    for (;;) {
        struct span have = conn_input(s->c);
        ptrdiff_t lf = have.n > 0 ? span_find_char(have, '\n') : -1;
        size_t n = lf >= 0 ? (size_t)lf + 1 : have.n;
        if (n > most)
            return CONN_LINE_LONG;
        str_add(text, span_sub(have, 0, n));
        conn_consume(s->c, n);
        most -= n;
        if (lf >= 0)
            return 0;
        int r = limit_wait(s);
        if (r == 0)
            r = conn_fill(s->c);
        if (r != 0)
            return r;
    }
}

static WAITS int add_bytes(struct imap *s, struct str *text, uint64_t left)
{
    while (left > 0) {
        struct span have = span_sub(conn_input(s->c), 0, (size_t)MIN_OF(left, (uint64_t)SIZE_MAX));
        str_add(text, have);
        conn_consume(s->c, have.n);
        left -= have.n;
        int r = left > 0 ? limit_wait(s) : 0;
        if (r == 0 && left > 0)
            r = conn_fill(s->c);
        if (r != 0)
            return r;
    }
    return 0;
}

/* A peer that cannot be followed any more: it is told, and the connection ends. */
static WAITS int give_up(struct imap *s, const char *why, const char **wrong)
{
    s->closing = true;
    s->env->linger = SESSION_LINGER;
    *wrong = why;
    return 0;
}

/* What follows the name of the command: nothing, a space, or a first argument that may be a literal. */
static bool first_argument(struct imap *s, struct span text)
{
    struct imap_lex in;
    return imap_session_begin(s, text, &in) < 0 || s->row == NULL || !imap_grammar_sp(&in) || in.at.n == 0;
}

static WAITS int more_of_it(struct imap *s, struct str *text, struct imap_literal l, uint64_t *literals, const char **wrong)
{
    uint64_t most = (uint64_t)(before_login(s) ? LIMIT(IMAP_LITERAL_BEFORE) : LIMIT(IMAP_LITERAL));
    if (l.size > most || *literals + l.size > (uint64_t)(before_login(s) ? LIMIT(IMAP_LINE_BEFORE) : LIMIT(IMAP_LITERAL))) {
        if (!l.waits)
            return give_up(s, "a literal is too long", wrong);
        *wrong = "a literal is too long"; /* RFC 9051 4.3: instead of the "+" that it waits for */
        return 0;
    }
    *literals += l.size;
    int r = l.waits ? conn_writez(s->c, "+ Go on\r\n") : 0;
    if (r == 0) {
        str_addz(text, "\r\n");
        r = add_bytes(s, text, l.size);
    }
    return r;
}

/* The rest of an ID that passes the line's limit before the login; *start: no line begins behind it any more. */
static WAITS int add_id(struct imap *s, struct str *text, size_t *start, size_t most)
{
    int r = CONN_LINE_LONG;
    while (r == CONN_LINE_LONG) {
        struct span have = span_sub(conn_input(s->c), 0, most - MIN_OF(text->n, most));
        str_add(text, have);
        conn_consume(s->c, have.n);
        if (!imap_id_shorten(s, text))
            return r;
        *start = 0;
        r = add_line(s, text, most - MIN_OF(text->n, most));
    }
    return r;
}

/* One line and the literal at its end: 1 when the command goes on behind it, 0 when it is at its end or at *wrong. */
static WAITS int one_line(struct imap *s, struct str *text, size_t *line_left, uint64_t *literals, const char **wrong)
{
    size_t start = text->n;
    struct imap_literal l;
    int r = add_line(s, text, *line_left);
    if (r == CONN_LINE_LONG && before_login(s))
        r = add_id(s, text, &start, (size_t)LIMIT(IMAP_LINE_BEFORE));
    if (r == CONN_LINE_LONG)
        return give_up(s, "the command is too long", wrong);
    if (r != 0)
        return r;
    *line_left -= MIN_OF(text->n - start, *line_left);
    if (text->n - start < 2 || text->p[text->n - 2] != '\r') {
        *wrong = "a line ends in CRLF";
        return 0;
    }
    text->n -= 2;
    int kind = imap_grammar_literal(span_of(text->p + start, text->n - start), &l);
    if (kind < 0)
        *wrong = "that literal is not well formed";
    if (kind <= 0)
        return 0;
    if (!l.waits && l.size > LITERAL_MINUS)
        return give_up(s, "a literal of that size waits for the server's word (LITERAL-)", wrong);
    bool first = first_argument(s, span_of(text->p, text->n - l.header));
    if (s->row != NULL && (s->row->flags & IMAP_ROW_STREAMS) && (s->row->states & s->state) && !first) {
        text->n -= l.header;
        s->literal = l;
        s->more = true;
        return 0;
    }
    if (l.binary) {
        if (!l.waits)
            return give_up(s, "a binary literal has no place here", wrong);
        *wrong = "a binary literal has no place here";
        return 0;
    }
    r = more_of_it(s, text, l, literals, wrong);
    return r == 0 && *wrong == NULL ? 1 : r;
}

WAITS int imap_input_command(struct imap *s, const char **wrong)
{
    struct str text;
    struct imap_lex in;
    size_t line_left = (size_t)(before_login(s) ? LIMIT(IMAP_LINE_BEFORE) : LIMIT(IMAP_LINE));
    uint64_t literals = 0;
    int r;
    str_init(&text, &s->cmd);
    s->literal = (struct imap_literal){0};
    s->more = false;
    s->tag[0] = 0;
    s->env->idle = true;
    do
        r = one_line(s, &text, &line_left, &literals, wrong);
    while (r > 0);
    s->env->idle = false;
    s->text = str_span(&text);
    if (r == 0 && *wrong != NULL)
        imap_session_begin(s, s->text, &in); /* for the tag of the answer */
    return r;
}

WAITS int imap_session_line(struct imap *s, size_t most, struct span *line)
{
    struct str text;
    str_init(&text, &s->cmd);
    s->env->idle = true;
    int r = add_line(s, &text, most);
    s->env->idle = false;
    *line = str_span(&text);
    if (r == 0 && line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2; /* a bare LF stays and makes it wrong */
    return r;
}

/* ---- literals that are read where they come -------------------------------------------------------------------------- */

WAITS int imap_session_literal_accept(struct imap *s)
{
    assert(s->literal.header > 0);
    s->literal_left = s->literal.size;
    s->literal.header = 0;
    return s->literal.waits ? conn_writez(s->c, "+ Go on\r\n") : 0;
}

WAITS int imap_session_literal_read(struct imap *s, struct span *piece)
{
    *piece = SPAN_NONE;
    while (s->literal_left > 0) {
        *piece = span_sub(conn_input(s->c), 0, (size_t)MIN_OF(s->literal_left, (uint64_t)SIZE_MAX));
        if (piece->n > 0) {
            /* consumed now: the bytes stay where they are until the connection is read again */
            conn_consume(s->c, piece->n);
            s->literal_left -= piece->n;
            return 0;
        }
        int r = limit_wait(s);
        if (r == 0)
            r = conn_fill(s->c);
        if (r != 0)
            return r;
    }
    return 0;
}

WAITS int imap_session_literal_rest(struct imap *s, struct span *text)
{
    struct str line;
    str_init(&line, &s->cmd);
    *text = SPAN_NONE;
    s->literal = (struct imap_literal){0};
    s->more = false;
    int r = add_line(s, &line, (size_t)LIMIT(IMAP_LINE));
    if (r == CONN_LINE_LONG) {
        s->closing = true;
        s->env->linger = SESSION_LINGER;
        *text = SPAN("\r"); /* nothing that a grammar takes */
        return 0;
    }
    *text = str_span(&line);
    if (r != 0 || line.n < 2 || line.p[line.n - 2] != '\r')
        return r;
    text->n -= 2;
    if (imap_grammar_literal(*text, &s->literal) > 0) {
        if (!s->literal.waits && s->literal.size > LITERAL_MINUS) {
            s->closing = true;
            s->env->linger = SESSION_LINGER;
            s->literal = (struct imap_literal){0};
            return 0; /* the text ends in what no grammar takes */
        }
        text->n -= s->literal.header;
        s->more = true;
    }
    return 0;
}

WAITS int imap_input_skip(struct imap *s)
{
    while (s->more) {
        struct span piece;
        int r;
        if (s->literal.header > 0 && s->literal.waits)
            return 0; /* it was answered and sends nothing */
        if (s->literal.header > 0)
            s->literal_left = s->literal.size;
        do
            r = imap_session_literal_read(s, &piece);
        while (r == 0 && piece.n > 0);
        if (r == 0)
            r = imap_session_literal_rest(s, &piece);
        if (r != 0)
            return r;
    }
    return 0;
}
