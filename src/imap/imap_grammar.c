/* imap_grammar: the lexer: from atoms to literals. Sets, flags and dates are in imap_grammar_set.c, what we say ourselves in
 * imap_grammar_say.c. */
#include "imap/imap_grammar.h"

#include "base/limits.h"
#include "base/num.h"
#include "base/utf8.h"

enum { ATOM = 1, ASTRING = 2, LIST = 4, WORD = 8, TAG = 16 };

/* RFC 9051 9: which characters may stand in what. */
static unsigned class_of(char ch)
{
    unsigned char c = (unsigned char)ch;
    if (c <= ' ' || c >= 127 || strchr("(){\"\\", c) != NULL)
        return 0;
    if (c == '%' || c == '*')
        return LIST;
    if (c == ']')
        return ASTRING | LIST | TAG;
    bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr(".-_=", c) != NULL;
    return ATOM | ASTRING | LIST | (c != '+' ? TAG : 0) | (word ? WORD : 0);
}

static size_t run_of(struct span s, unsigned class)
{
    size_t n = 0;
    while (n < s.n && (class_of(s.p[n]) & class))
        n++;
    return n;
}

void imap_grammar_init(struct imap_lex *in, struct span text, struct arena *mem)
{
    *in = (struct imap_lex){.at = text, .mem = mem, .depth_max = (unsigned)LIMIT(IMAP_DEPTH)};
}

bool imap_grammar_bad(struct imap_lex *in, const char *why)
{
    if (in->error == NULL)
        in->error = why;
    in->at = SPAN_NONE;
    return false;
}

bool imap_grammar_end(struct imap_lex *in)
{
    if (in->error == NULL && in->at.n > 0)
        imap_grammar_bad(in, in->at.p[0] == ' ' ? "more arguments than this command takes" : "what stands behind an argument is not clear");
    if (in->error == NULL && in->depth > 0)
        imap_grammar_bad(in, "a parenthesis is not closed");
    return in->error == NULL;
}

bool imap_grammar_may(struct imap_lex *in, char c)
{
    if (in->at.n == 0 || in->at.p[0] != c)
        return false;
    in->at = span_from(in->at, 1);
    return true;
}

bool imap_grammar_want(struct imap_lex *in, char c)
{
    return imap_grammar_may(in, c) || imap_grammar_bad(in, "a character is missing between arguments");
}

bool imap_grammar_sp(struct imap_lex *in)
{
    return imap_grammar_may(in, ' ') || imap_grammar_bad(in, "an argument is missing");
}

bool imap_grammar_may_word(struct imap_lex *in, struct span word)
{
    if (!span_starts_nocase(in->at, word) || run_of(in->at, WORD) != word.n)
        return false;
    in->at = span_from(in->at, word.n);
    return true;
}

bool imap_grammar_may_open(struct imap_lex *in)
{
    if (!imap_grammar_may(in, '('))
        return false;
    return ++in->depth <= in->depth_max || imap_grammar_bad(in, "too many parentheses inside each other");
}

bool imap_grammar_open(struct imap_lex *in)
{
    return imap_grammar_may_open(in) || imap_grammar_bad(in, "a list in parentheses is missing");
}

bool imap_grammar_may_close(struct imap_lex *in)
{
    if (in->depth == 0 || !imap_grammar_may(in, ')'))
        return false;
    in->depth--;
    return true;
}

bool imap_grammar_close(struct imap_lex *in)
{
    return imap_grammar_may_close(in) || imap_grammar_bad(in, "a parenthesis is not closed");
}

static bool take(struct imap_lex *in, unsigned class, const char *why, struct span *out)
{
    size_t n = run_of(in->at, class);
    if (n == 0)
        return imap_grammar_bad(in, why);
    *out = span_sub(in->at, 0, n);
    in->at = span_from(in->at, n);
    return true;
}

bool imap_grammar_tag(struct imap_lex *in, struct span *out)
{
    return take(in, TAG, "a command begins with its tag", out);
}

bool imap_grammar_atom(struct imap_lex *in, struct span *out)
{
    return take(in, ATOM, "an atom is missing", out);
}

bool imap_grammar_word(struct imap_lex *in, struct span *out)
{
    return take(in, WORD, "a name is missing", out);
}

bool imap_grammar_number(struct imap_lex *in, uint64_t max, uint64_t *out)
{
    ptrdiff_t n = num_u64_prefix(in->at, max, out);
    if (n <= 0)
        return imap_grammar_bad(in, "a number is missing or too large");
    in->at = span_from(in->at, (size_t)n);
    return true;
}

/* ---- strings ---- */

/* RFC 9051 4.3: quoted; \ only before " and \. UTF-8 in it is RFC 9051's; taken from older clients as well, which send it
 * all the same. */
static bool quoted(struct imap_lex *in, struct span *out)
{
    struct span s = span_from(in->at, 1);
    size_t end = 0, escapes = 0;
    for (; end < s.n && s.p[end] != '"'; end++) {
        if (s.p[end] == '\r' || s.p[end] == '\n' || s.p[end] == 0)
            return imap_grammar_bad(in, "a quoted string holds a character that it may not");
        if (s.p[end] != '\\')
            continue;
        escapes++;
        if (++end >= s.n || (s.p[end] != '"' && s.p[end] != '\\'))
            return imap_grammar_bad(in, "a backslash stands before something that needs none");
    }
    if (end >= s.n)
        return imap_grammar_bad(in, "a quoted string does not end");
    *out = span_sub(s, 0, end);
    in->at = span_from(s, end + 1);
    if (!utf8_valid(*out))
        return imap_grammar_bad(in, "a quoted string is not UTF-8");
    if (escapes == 0)
        return true;
    char *p = arena_alloc(in->mem, out->n);
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        if (out->p[i] == '\\')
            i++;
        p[n++] = out->p[i];
    }
    *out = span_of(p, n);
    return true;
}

/* "{n}" or "{n+}" at the start; how long it is, 0: it is none. */
static size_t literal_header(struct span s, struct imap_literal *out)
{
    size_t at = 0;
    *out = (struct imap_literal){.waits = true};
    if (s.n > 0 && s.p[0] == '~') {
        out->binary = true;
        at = 1;
    }
    if (at >= s.n || s.p[at] != '{')
        return 0;
    ptrdiff_t n = num_u64_prefix(span_from(s, at + 1), INT64_MAX, &out->size);
    if (n <= 0)
        return 0;
    at += 1 + (size_t)n;
    if (at < s.n && s.p[at] == '+') {
        out->waits = false;
        at++;
    }
    if (at >= s.n || s.p[at] != '}')
        return 0;
    out->header = at + 1;
    return out->header;
}

static bool literal(struct imap_lex *in, struct span *out)
{
    struct imap_literal l;
    size_t n = literal_header(in->at, &l);
    struct span rest = span_from(in->at, n);
    if (n == 0 || l.binary || !span_starts(rest, SPAN("\r\n")) || rest.n - 2 < l.size)
        return imap_grammar_bad(in, "a literal is not well formed here");
    *out = span_sub(rest, 2, (size_t)l.size);
    in->at = span_from(rest, 2 + (size_t)l.size);
    if (memchr(out->p, 0, out->n) != NULL) /* RFC 9051 9: literal = "{" number ["+"] "}" CRLF *CHAR8, and CHAR8 is no NUL */
        return imap_grammar_bad(in, "a literal holds a NUL");
    return true;
}

bool imap_grammar_string(struct imap_lex *in, struct span *out)
{
    *out = SPAN("");
    if (in->at.n > 0 && in->at.p[0] == '"')
        return quoted(in, out);
    if (in->at.n > 0 && in->at.p[0] == '{')
        return literal(in, out);
    return imap_grammar_bad(in, "a string is missing");
}

static bool string_or(struct imap_lex *in, unsigned class, struct span *out)
{
    *out = SPAN("");
    if (in->at.n > 0 && (in->at.p[0] == '"' || in->at.p[0] == '{'))
        return imap_grammar_string(in, out);
    return take(in, class, "an argument is missing", out);
}

bool imap_grammar_astring(struct imap_lex *in, struct span *out)
{
    return string_or(in, ASTRING, out);
}

bool imap_grammar_pattern(struct imap_lex *in, struct span *out)
{
    return string_or(in, LIST, out);
}

bool imap_grammar_nstring(struct imap_lex *in, struct span *out)
{
    if (imap_grammar_may_word(in, SPAN("NIL"))) {
        *out = SPAN_NONE;
        return true;
    }
    return imap_grammar_string(in, out);
}

/* ---- a literal at the end of a line ---- */

int imap_grammar_literal(struct span line, struct imap_literal *out)
{
    *out = (struct imap_literal){0};
    if (line.n == 0 || line.p[line.n - 1] != '}')
        return 0;
    bool inside = false; /* a quoted string: what looks like a literal there is text */
    size_t brace = line.n;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '"')
            inside = !inside;
        else if (inside && line.p[i] == '\\')
            i++;
        else if (!inside && line.p[i] == '{')
            brace = i;
    }
    if (inside || brace == line.n)
        return 0;
    if (brace > 0 && line.p[brace - 1] == '~')
        brace--;
    size_t n = literal_header(span_from(line, brace), out);
    if (n == line.n - brace)
        return 1;
    *out = (struct imap_literal){0};
    return -1;
}
