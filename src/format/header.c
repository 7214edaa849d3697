/* header: splits a message header into fields (RFC 5322 2.2, obsolete forms of 4.5 included) and writes fields. */
#include "format/header.h"

#include "base/limits.h"

enum { LINE_WANTED = 78, LINE_MOST = 998 }; /* RFC 5322 2.1.1 */

void header_begin(struct header_reader *r, struct span text)
{
    memset(r, 0, sizeof *r);
    r->text = text;
    r->limit = MIN_OF(text.n, (size_t)LIMIT(HEADER_BYTES));
}

/* The line at `at` without its end; *next: where the following one begins. False when no line end came before limit. */
static bool line_at(const struct header_reader *r, size_t at, struct span *line, size_t *next)
{
    const char *p = r->text.p + at;
    const char *nl = memchr(p, '\n', r->limit - at);
    if (nl == NULL) {
        *line = span_of(p, r->limit - at);
        *next = r->limit;
        return false;
    }
    *next = (size_t)(nl - r->text.p) + 1;
    *line = span_of(p, (size_t)(nl - p));
    if (line->n > 0 && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

/* RFC 5322 2.2 and 4.5: printable ASCII, then blanks that only old mailers wrote. -1: this is no field. */
static ptrdiff_t name_length(struct span line, size_t *colon)
{
    const char *c = memchr(line.p, ':', line.n);
    if (c == NULL)
        return -1;
    size_t n = *colon = (size_t)(c - line.p);
    while (n > 0 && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < n; i++)
        if (line.p[i] <= 32 || line.p[i] >= 127)
            return -1;
    return (ptrdiff_t)n;
}

static bool end_at(struct header_reader *r, size_t at)
{
    r->at = at;
    r->ended = true;
    if (at >= r->limit && r->limit < r->text.n)
        r->truncated = true;
    return false;
}

/* Lines that stand in the header without being fields and do not end it. */
static bool junk(const struct header_reader *r, struct span line)
{
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return true; /* a continuation with nothing before it */
    /* mbox's separator: not part of the message, but mail that was through an mbox has it on top */
    return r->at == 0 && (span_starts(line, SPAN("From ")) || span_starts(line, SPAN(">From ")));
}

/* Extends the field over its continuation lines; returns the end of its value. */
static size_t continuation(struct header_reader *r, size_t value_end, size_t next)
{
    struct span line;
    while (next < r->limit && (r->text.p[next] == ' ' || r->text.p[next] == '\t')) {
        if (line_at(r, next, &line, &next))
            r->lines++;
        value_end = (size_t)(line.p - r->text.p) + line.n;
    }
    r->at = next;
    return value_end;
}

bool header_next(struct header_reader *r, struct header_field *f)
{
    struct span line;
    size_t next, colon;
    if (r->ended)
        return false;
    for (;;) {
        if (r->at >= r->limit)
            return end_at(r, r->at);
        bool whole = line_at(r, r->at, &line, &next);
        if (line.n == 0 && whole) {
            r->lines++;
            return end_at(r, next);
        }
        if (r->stop != NULL && line.n >= 2 && line.p[0] == '-' && line.p[1] == '-' && r->stop(r->arg, line))
            return end_at(r, r->at);
        ptrdiff_t n = line.p[0] == ' ' || line.p[0] == '\t' ? -1 : name_length(line, &colon);
        if (n < 0 && !junk(r, line))
            return end_at(r, r->at); /* as Postfix and others do: the empty line was forgotten */
        r->lines += whole;
        if (n >= 0) {
            f->name = span_of(line.p, (size_t)n);
            break;
        }
        r->at = next;
    }
    f->at = r->at;
    size_t value_at = r->at + colon + 1;
    size_t value_end = continuation(r, r->at + line.n, next);
    f->length = r->at - f->at;
    f->value = span_of(r->text.p + value_at, value_end - value_at);
    if (f->length > (size_t)LIMIT(HEADER_FIELD_BYTES)) {
        f->value.n = MIN_OF(f->value.n, (size_t)LIMIT(HEADER_FIELD_BYTES));
        r->truncated = true;
    }
    return true;
}

struct span header_unfold(struct span value, struct arena *mem)
{
    value = span_trim(value);
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++)
        n += value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == 0;
    if (n == 0)
        return value;
    char *copy = arena_alloc(mem, value.n - n + 1);
    n = 0;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n' && value.p[i] != 0)
            copy[n++] = value.p[i];
    return span_trim(span_of(copy, n));
}

static bool writable(struct span name, struct span value)
{
    size_t run = name.n + 2;
    if (name.n == 0 || name.n > LINE_WANTED - 2)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= 32 || name.p[i] >= 127 || name.p[i] == ':')
            return false;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == 0)
            return false;
        run = value.p[i] == ' ' ? 1 : run + 1;
        if (run > LINE_MOST)
            return false;
    }
    return true;
}

int header_write(struct str *out, struct span name, struct span value)
{
    if (!writable(name, value))
        return -1;
    str_add(out, name);
    str_addc(out, ':');
    size_t column = name.n + 1, at = 0;
    bool text = false; /* RFC 5322 3.2.2: a folded line must not be all blank, so none is opened before there is text */
    str_addc(out, ' ');
    column++;
    while (at < value.n) {
        size_t word = at + 1;
        while (word < value.n && value.p[word] != ' ')
            word++;
        if (text && value.p[at] == ' ' && word - at > 1 && column + (word - at) > LINE_WANTED) {
            str_add(out, SPAN("\r\n"));
            column = 0;
            text = false;
        }
        str_add(out, span_of(value.p + at, word - at));
        text = text || value.p[at] != ' ' || word - at > 1;
        column += word - at;
        at = word;
    }
    str_add(out, SPAN("\r\n"));
    return 0;
}
