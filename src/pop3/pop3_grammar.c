/* POP3's small grammar: a keyword and at most two arguments, and dots at the start of lines. */
#include "pop3/pop3_grammar.h"

#include "base/num.h"

ptrdiff_t pop3_grammar_command(struct span line, struct span *verb, struct span *rest)
{
    if (line.n == 0 || (line.p[0] | 0x20) < 'a' || (line.p[0] | 0x20) > 'z')
        return -1;
    for (size_t i = 0; i < line.n; i++)
        if ((unsigned char)line.p[i] < 32 || line.p[i] == 127)
            return -1;
    struct span left = line;
    *verb = span_split(&left, ' ');
    *rest = left.p != NULL ? left : span_of(line.p + line.n, 0);
    return (ptrdiff_t)line.n;
}

ptrdiff_t pop3_grammar_number(struct span *rest, uint64_t *out)
{
    ptrdiff_t n = num_u64_prefix(*rest, INT64_MAX, out);
    if (n <= 0 || ((size_t)n < rest->n && rest->p[n] != ' '))
        return -1;
    size_t used = (size_t)n + ((size_t)n < rest->n);
    *rest = span_from(*rest, used);
    return (ptrdiff_t)used;
}

size_t pop3_grammar_stuff(struct pop3_stuff *s, struct span in, struct span *out)
{
    *out = SPAN_NONE;
    if (in.n == 0)
        return 0;
    if (!s->inside && in.p[0] == '.' && !s->dotted) {
        s->dotted = true;
        *out = SPAN(".");
        return 0;
    }
    size_t n = 0;
    ptrdiff_t next = in.n > 1 ? span_find(in, SPAN("\n.")) : -1; /* up to the next line that needs a dot */
    n = next >= 0 ? (size_t)next + 1 : in.n;
    s->inside = in.p[n - 1] != '\n';
    s->dotted = false;
    *out = span_sub(in, 0, n);
    return n;
}

size_t pop3_grammar_top(struct pop3_top *t, struct span in)
{
    size_t n = 0;
    while (n < in.n && !(t->body && t->left == 0)) {
        const char *line = in.p + n, *lf = memchr(line, '\n', in.n - n);
        size_t len = lf != NULL ? (size_t)(lf - line) : in.n - n;
        t->text = t->text || len > 1 || (len == 1 && (line[0] != '\r' || t->cr));
        t->cr = len > 0;
        n += len + (lf != NULL);
        if (lf == NULL)
            break;
        if (t->body)
            t->left--;
        else
            t->body = !t->text;
        t->text = t->cr = false;
    }
    return n;
}
