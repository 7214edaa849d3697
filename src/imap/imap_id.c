/* ID (RFC 2971): we tell who we are, and note who it is. */
#include "base/log.h"
#include "imap/imap_session.h"

enum { PAIRS = 30 }; /* RFC 2971 3.3 */

static bool read_pair(struct imap_lex *in, bool first, struct span *key, struct span *value)
{
    return (first || imap_grammar_sp(in)) && imap_grammar_string(in, key) && imap_grammar_sp(in) && imap_grammar_nstring(in, value);
}

static bool interesting(struct span key) { return span_eq_nocase(key, SPAN("name")) || span_eq_nocase(key, SPAN("version")); }

WAITS int imap_id_id(struct imap *s, struct imap_lex *in)
{
    struct span key, value, name = SPAN_NONE, version = SPAN_NONE;
    bool list = !imap_grammar_may_word(in, SPAN("NIL")) && imap_grammar_open(in);
    for (unsigned n = 0; list && in->error == NULL && !imap_grammar_may_close(in); n++) {
        if (!read_pair(in, n == 0, &key, &value))
            break;
        if (n >= PAIRS)
            imap_grammar_bad(in, "an ID has 30 pairs at most");
        name = span_eq_nocase(key, SPAN("name")) ? value : name;
        version = span_eq_nocase(key, SPAN("version")) ? value : version;
    }
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    LOG(LOG_INFO, "imap.id", L_ID(span_z(s->trace)), L_SPAN("name", name.p != NULL ? name : SPAN("")),
        L_SPAN("version", version.p != NULL ? version : SPAN("")));
    int r = imap_session_untagged(s, "ID (\"name\" \"Postel\" \"version\" \"" POSTEL_VERSION "\")");
    return r != 0 ? r : imap_session_ok(s, "ID done");
}

bool imap_id_shorten(struct imap *s, struct str *text)
{
    struct imap_lex in;
    struct span key, value, rest;
    struct arena mem;
    struct str out;
    if (imap_session_begin(s, str_span(text), &in) < 0 || s->row == NULL || s->row->run != imap_id_id ||
        !imap_grammar_sp(&in) || !imap_grammar_open(&in))
        return false;
    arena_init(&mem);
    str_init(&out, &mem);
    str_add(&out, span_sub(str_span(text), 0, text->n - in.at.n));
    rest = in.at;
    for (unsigned n = 0; n < PAIRS && read_pair(&in, n == 0, &key, &value) && in.at.n > 0; n++) {
        if (interesting(key))
            str_add(&out, span_sub(rest, 0, rest.n - in.at.n));
        else
            str_addz(&out, n == 0 ? "\"\" NIL" : " \"\" NIL");
        rest = in.at;
    }
    str_add(&out, rest);
    bool shorter = out.n < text->n;
    str_clear(text);
    str_add(text, str_span(&out));
    arena_done(&mem);
    return shorter;
}
