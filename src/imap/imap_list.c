/* LIST (RFC 9051 6.3.9, RFC 5258, 5819, 6154), LSUB (RFC 3501 6.3.9), NAMESPACE (RFC 9051 6.3.10). */
#include "imap/imap_name.h"
#include "imap/imap_status.h"
#include "imap/imap_subscribed.h"

enum { PATTERNS = 32 };

enum { /* selection and return options */
    SEL_SUBSCRIBED = 1, SEL_REMOTE = 2, SEL_RECURSIVE = 4, SEL_SPECIAL = 8,
    RET_SUBSCRIBED = 16, RET_CHILDREN = 32, RET_SPECIAL = 64, RET_STATUS = 128,
};

struct listing {
    unsigned options, status;
    bool extended;          /* in the form of RFC 5258 */
    struct span patterns[PATTERNS];
    unsigned n;
    const char *verb;       /* "LIST" or "LSUB" */
};

struct option { const char *name; unsigned bit; };
static const struct option selections[] = {
    {"SUBSCRIBED", SEL_SUBSCRIBED}, {"REMOTE", SEL_REMOTE}, {"RECURSIVEMATCH", SEL_RECURSIVE}, {"SPECIAL-USE", SEL_SPECIAL},
};
static const struct option returns[] = {
    {"SUBSCRIBED", RET_SUBSCRIBED}, {"CHILDREN", RET_CHILDREN}, {"SPECIAL-USE", RET_SPECIAL}, {"STATUS", RET_STATUS},
};

/* ---- arguments ---- */

static bool options(struct imap_lex *in, const struct option *known, size_t n, struct listing *l)
{
    if (!imap_grammar_open(in))
        return false;
    while (in->error == NULL && !imap_grammar_may_close(in)) {
        size_t i = 0;
        while (i < n && !imap_grammar_may_word(in, span_z(known[i].name)))
            i++;
        if (i == n)
            return imap_grammar_bad(in, "there is no such option of LIST");
        l->options |= known[i].bit;
        if (known[i].bit == RET_STATUS && (!imap_grammar_sp(in) || !imap_status_items(in, &l->status)))
            return false;
        imap_grammar_may(in, ' ');
    }
    return in->error == NULL;
}

/* Reference and pattern are simply put together: we have one hierarchy. */
static void add_pattern(struct imap *s, struct imap_lex *in, struct listing *l, struct span reference, struct span wire)
{
    struct span wide;
    if (l->n == PATTERNS)
        imap_grammar_bad(in, "too many patterns");
    else if (imap_name_wide(arena_printf(&s->cmd, "%.*s%.*s", SPAN_ARGS(reference), SPAN_ARGS(wire)), imap_session_utf8(s), &s->cmd, &wide))
        l->patterns[l->n++] = wide;
}

static bool arguments(struct imap *s, struct imap_lex *in, struct listing *l)
{
    struct span reference, wire;
    if (in->at.n > 0 && in->at.p[0] == '(') {
        l->extended = true;
        options(in, selections, COUNT_OF(selections), l);
        imap_grammar_sp(in);
    }
    imap_grammar_astring(in, &reference);
    imap_grammar_sp(in);
    if (imap_grammar_may_open(in)) {
        l->extended = true;
        do
            if (imap_grammar_pattern(in, &wire))
                add_pattern(s, in, l, reference, wire);
        while (imap_grammar_may(in, ' '));
        imap_grammar_close(in);
    } else if (imap_grammar_pattern(in, &wire)) {
        if (wire.n > 0 || l->extended)
            add_pattern(s, in, l, reference, wire);
    }
    if (imap_grammar_may(in, ' ')) {
        l->extended = true;
        if (!imap_grammar_may_word(in, SPAN("RETURN")))
            imap_grammar_bad(in, "RETURN is missing");
        imap_grammar_sp(in);
        options(in, returns, COUNT_OF(returns), l);
    }
    if ((l->options & SEL_RECURSIVE) && !(l->options & SEL_SUBSCRIBED))
        imap_grammar_bad(in, "RECURSIVEMATCH needs something to match"); /* RFC 9051 6.3.9.1 */
    return imap_grammar_end(in);
}

/* ---- answers ---- */

static bool below(struct span path, struct span parent)
{
    return path.n > parent.n && span_starts(path, parent) && path.p[parent.n] == '/';
}

static bool matches(const struct listing *l, struct span path)
{
    for (unsigned i = 0; i < l->n; i++)
        if (imap_name_match(l->patterns[i], path))
            return true;
    return false;
}

/* That would not be told for itself (RFC 9051 6.3.9.1, RFC 3501 6.3.9). */
static bool subscribed_below(const struct listing *l, const struct imap_folders *all, const struct imap_folder *is)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (all->v[i].row->subscribed && below(all->v[i].path, is->path) && !matches(l, all->v[i].path))
            return true;
    return false;
}

static bool selected(const struct listing *l, const struct imap_folder *is)
{
    if (is->row->mailbox == 0 && !(l->options & SEL_SUBSCRIBED))
        return false;
    if ((l->options & SEL_SUBSCRIBED) && !is->row->subscribed)
        return false;
    return !(l->options & SEL_SPECIAL) || imap_folder_use(is->row->role) != NULL;
}

static void add_attribute(struct str *line, const char *name)
{
    if (line->p[line->n - 1] != '(')
        str_addc(line, ' ');
    str_addz(line, name);
}

static WAITS int tell(struct imap *s, const struct listing *l, const struct imap_folder *is, bool children)
{
    struct str line;
    const char *use = imap_folder_use(is->row->role);
    str_init(&line, &s->cmd);
    str_addf(&line, "* %s (", l->verb);
    if (l->verb[1] == 'S') { /* RFC 3501 6.3.9: \Noselect: only named for what is subscribed below it */
        if (children)
            add_attribute(&line, "\\Noselect");
    } else {
        if (is->row->mailbox == 0)
            add_attribute(&line, "\\NonExistent"); /* RFC 9051 7.3.1: subscribed, or above one that is */
        else
            add_attribute(&line, is->children ? "\\HasChildren" : "\\HasNoChildren");
        if (is->row->subscribed && (l->options & (SEL_SUBSCRIBED | RET_SUBSCRIBED)))
            add_attribute(&line, "\\Subscribed");
        if (use != NULL)
            add_attribute(&line, use);
    }
    str_addz(&line, ") \"/\" ");
    imap_name_add(&line, is->path, imap_session_utf8(s));
    if (children && l->verb[1] != 'S')
        str_addz(&line, " (\"CHILDINFO\" (\"SUBSCRIBED\"))"); /* RFC 9051 6.3.9.6 */
    str_addz(&line, "\r\n");
    int r = conn_write(s->c, str_span(&line));
    if (r == 0 && (l->options & RET_STATUS) && is->row->mailbox != 0)
        r = imap_status_tell(s, is, l->status);
    return r;
}

static WAITS int tell_all(struct imap *s, const struct listing *l, struct fail *f)
{
    struct imap_folders all;
    bool lsub = l->verb[1] == 'S';
    if (imap_folder_load(s, &all, f) < 0 ||
        ((l->options & (SEL_SUBSCRIBED | RET_SUBSCRIBED)) && imap_subscribed_load(s, &all, f) < 0))
        return 1;
    for (uint32_t i = 0; i < all.n; i++) {
        const struct imap_folder *is = &all.v[i];
        if (!matches(l, is->path))
            continue;
        bool full = selected(l, is);
        /* a parent that is not meant itself, for the sake of what is below it and does not match */
        bool parent = (lsub ? !full : (l->options & SEL_RECURSIVE) != 0) && subscribed_below(l, &all, is);
        int r = full || parent ? tell(s, l, is, parent) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

static WAITS int list(struct imap *s, struct imap_lex *in, struct listing *l)
{
    struct fail f = {0};
    if (!arguments(s, in, l))
        return imap_session_bad(s, in->error);
    int r = 0;
    if (l->n == 0 && !l->extended) /* RFC 9051 6.3.9: LIST "" "" asks for the delimiter */
        r = imap_session_untagged(s, "%s (\\Noselect) \"/\" \"\"", l->verb);
    else
        r = tell_all(s, l, &f);
    if (r == 1)
        return imap_session_fail(s, &f, false);
    return r != 0 ? r : imap_session_ok(s, "%s done", l->verb);
}

WAITS int imap_list_list(struct imap *s, struct imap_lex *in)
{
    struct listing l = {.verb = "LIST"};
    return list(s, in, &l);
}

WAITS int imap_list_lsub(struct imap *s, struct imap_lex *in)
{
    struct listing l = {.verb = "LSUB", .options = SEL_SUBSCRIBED};
    return list(s, in, &l);
}

WAITS int imap_list_namespace(struct imap *s, struct imap_lex *in)
{
    int r = imap_session_untagged(s, "NAMESPACE ((\"\" \"/\")) NIL NIL");
    return r != 0 ? r : imap_session_ok(s, "NAMESPACE done");
}
