/* Strings as we say them (RFC 9051 4.3): an atom, else quoted, else a literal. */
#include "imap/imap_grammar.h"

#include "base/utf8.h"

enum { QUOTED_MOST = 1024 }; /* some clients have small buffers for lines */

static bool quotable(struct span s, bool utf8)
{
    bool high = false;
    if (s.n > QUOTED_MOST)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            return false;
        high = high || (unsigned char)s.p[i] >= 128;
    }
    return !high || (utf8 && utf8_valid(s));
}

void imap_grammar_add_string(struct str *out, struct span s, bool utf8)
{
    if (!quotable(s, utf8)) {
        str_addf(out, "{%zu}\r\n", s.n);
        str_add(out, s);
        return;
    }
    str_addc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            str_addc(out, '\\');
        str_addc(out, s.p[i]);
    }
    str_addc(out, '"');
}

void imap_grammar_add_astring(struct str *out, struct span s, bool utf8)
{
    struct imap_lex in;
    struct span atom;
    imap_grammar_init(&in, s, NULL);
    if (imap_grammar_atom(&in, &atom) && atom.n == s.n && !span_eq_nocase(s, SPAN("NIL")))
        str_add(out, s);
    else
        imap_grammar_add_string(out, s, utf8);
}
