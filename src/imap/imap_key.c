/* Reads search keys into postfix order: a NOT stands behind what it denies, an AND or OR behind its two sides. */
#include "imap/imap_key.h"

#include "base/utf8.h"

enum argument { NONE, STRING, FIELD, DATE, NUMBER, WORD, SET, ONE, TWO };

struct word {
    struct span word;
    enum imap_key_op op;
    enum argument argument;
    uint32_t flag;
    bool negated;
};

static const struct word words[] = {
    {SPAN("ALL"), IMAP_KEY_TRUE, NONE, 0, false},
    {SPAN("ANSWERED"), IMAP_KEY_FLAG, NONE, FLAG_ANSWERED, false},
    {SPAN("UNANSWERED"), IMAP_KEY_FLAG, NONE, FLAG_ANSWERED, true},
    {SPAN("DELETED"), IMAP_KEY_FLAG, NONE, FLAG_DELETED, false},
    {SPAN("UNDELETED"), IMAP_KEY_FLAG, NONE, FLAG_DELETED, true},
    {SPAN("DRAFT"), IMAP_KEY_FLAG, NONE, FLAG_DRAFT, false},
    {SPAN("UNDRAFT"), IMAP_KEY_FLAG, NONE, FLAG_DRAFT, true},
    {SPAN("FLAGGED"), IMAP_KEY_FLAG, NONE, FLAG_FLAGGED, false},
    {SPAN("UNFLAGGED"), IMAP_KEY_FLAG, NONE, FLAG_FLAGGED, true},
    {SPAN("SEEN"), IMAP_KEY_FLAG, NONE, FLAG_SEEN, false},
    {SPAN("UNSEEN"), IMAP_KEY_FLAG, NONE, FLAG_SEEN, true},
    {SPAN("NEW"), IMAP_KEY_FALSE, NONE, 0, false}, /* nothing is \Recent here (RFC 9051 appendix E) */
    {SPAN("RECENT"), IMAP_KEY_FALSE, NONE, 0, false},
    {SPAN("OLD"), IMAP_KEY_TRUE, NONE, 0, false},
    {SPAN("KEYWORD"), IMAP_KEY_KEYWORD, WORD, 0, false},
    {SPAN("UNKEYWORD"), IMAP_KEY_KEYWORD, WORD, 0, true},
    {SPAN("UID"), IMAP_KEY_SET, SET, 0, false},
    {SPAN("BEFORE"), IMAP_KEY_BEFORE, DATE, 0, false},
    {SPAN("ON"), IMAP_KEY_ON, DATE, 0, false},
    {SPAN("SINCE"), IMAP_KEY_SINCE, DATE, 0, false},
    {SPAN("SENTBEFORE"), IMAP_KEY_SENT_BEFORE, DATE, 0, false},
    {SPAN("SENTON"), IMAP_KEY_SENT_ON, DATE, 0, false},
    {SPAN("SENTSINCE"), IMAP_KEY_SENT_SINCE, DATE, 0, false},
    {SPAN("LARGER"), IMAP_KEY_LARGER, NUMBER, 0, false},
    {SPAN("SMALLER"), IMAP_KEY_SMALLER, NUMBER, 0, false},
    {SPAN("FROM"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("TO"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("CC"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("BCC"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("SUBJECT"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("BODY"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("TEXT"), IMAP_KEY_STRING, STRING, 0, false},
    {SPAN("HEADER"), IMAP_KEY_STRING, FIELD, 0, false},
    {SPAN("NOT"), IMAP_KEY_NOT, ONE, 0, false},
    {SPAN("OR"), IMAP_KEY_OR, TWO, 0, false},
};

struct reader {
    struct imap_lex *in;
    struct imap_view *view;
    struct imap_keys *out;
    unsigned nest;
};

static bool refuse(struct reader *r, const char *why)
{
    r->out->refused = why;
    return imap_grammar_bad(r->in, why);
}

static struct imap_key *push(struct reader *r, enum imap_key_op op)
{
    struct imap_keys *k = r->out;
    if (k->n == IMAP_KEYS) {
        refuse(r, "[LIMIT] A search has too many keys");
        return NULL;
    }
    if (k->n == k->cap) {
        struct imap_key *v = arena_alloc(r->in->mem, (k->cap = k->cap * 2 + 8) * sizeof *v);
        if (k->n > 0)
            memcpy(v, k->v, k->n * sizeof *v);
        k->v = v;
    }
    k->v[k->n] = (struct imap_key){.op = op};
    return &k->v[k->n++];
}

static bool read_key(struct reader *r);

static bool read_string(struct reader *r, struct imap_key *key, const struct word *w)
{
    struct imap_keys *k = r->out;
    struct imap_key_string s = {.where = IMAP_KEY_HEADER, .envelope = w->argument == STRING, .name = w->word};
    if (w->argument == FIELD && (!imap_grammar_astring(r->in, &s.name) || !imap_grammar_sp(r->in)))
        return false;
    if (!imap_grammar_astring(r->in, &s.text))
        return false;
    if (!utf8_valid(s.text))
        return refuse(r, "[BADCHARSET (US-ASCII UTF-8)] A string is not in that charset");
    if (k->n_strings == IMAP_KEY_STRINGS)
        return refuse(r, "[LIMIT] A search has too many strings");
    if (w->argument == STRING && span_eq(w->word, SPAN("BODY")))
        s.where = IMAP_KEY_BODY;
    else if (w->argument == STRING && span_eq(w->word, SPAN("TEXT")))
        s.where = IMAP_KEY_TEXT;
    k->body |= s.where != IMAP_KEY_HEADER;
    k->rows = k->envelope = true;
    key->string = k->n_strings;
    k->strings[k->n_strings++] = s;
    return true;
}

/* Numbers that no message has match nothing in a search, where a message may go meanwhile; elsewhere they are an error. */
static void clip_set(struct imap_set *set, uint32_t told)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        struct imap_range r = set->v[i];
        if (told == 0 || (r.first != IMAP_STAR && r.last != IMAP_STAR && r.first > told))
            continue;
        r.first = MIN_OF(r.first, told);
        r.last = MIN_OF(r.last, told);
        set->v[n++] = r;
    }
    set->n = n;
}

static bool read_set(struct reader *r, struct imap_key *key, bool by_uid)
{
    struct imap_set set;
    if (!imap_grammar_set(r->in, &set))
        return false;
    if (!by_uid && !set.saved)
        clip_set(&set, r->view->told);
    if (set.n == 0 && !set.saved)
        return true;
    if (imap_view_resolve(r->view, &set, by_uid, r->in->mem, &key->idx, &key->n) < 0)
        return imap_grammar_bad(r->in, "no message has that number");
    return true;
}

static bool read_argument(struct reader *r, struct imap_key *key, const struct word *w)
{
    uint64_t number;
    switch (w->argument) {
    case STRING:
    case FIELD: return read_string(r, key, w);
    case DATE:
        r->out->rows = true;
        r->out->envelope |= w->op >= IMAP_KEY_SENT_BEFORE;
        return imap_grammar_date(r->in, &key->number);
    case NUMBER:
        r->out->rows = true;
        if (!imap_grammar_number(r->in, INT64_MAX, &number))
            return false;
        key->number = (int64_t)number;
        return true;
    case WORD: return imap_grammar_atom(r->in, &key->keyword);
    case SET: return read_set(r, key, true);
    default: return true;
    }
}

static bool read_word(struct reader *r, const struct word *w)
{
    if (w->argument != NONE && !imap_grammar_sp(r->in))
        return false;
    if (w->argument == ONE)
        return read_key(r) && push(r, IMAP_KEY_NOT) != NULL;
    if (w->argument == TWO)
        return read_key(r) && imap_grammar_sp(r->in) && read_key(r) && push(r, IMAP_KEY_OR) != NULL;
    struct imap_key *key = push(r, w->op);
    if (key == NULL || !read_argument(r, key, w))
        return false;
    key->flag = w->flag;
    return !w->negated || push(r, IMAP_KEY_NOT) != NULL;
}

/* Keys that must all hold, up to ")" or the end. */
static bool read_all(struct reader *r)
{
    if (!read_key(r))
        return false;
    while (imap_grammar_may(r->in, ' '))
        if (!read_key(r) || push(r, IMAP_KEY_AND) == NULL)
            return false;
    return true;
}

static bool read_one(struct reader *r)
{
    struct span word;
    if (imap_grammar_may_open(r->in))
        return read_all(r) && imap_grammar_close(r->in);
    if (r->in->at.n > 0 && ((r->in->at.p[0] >= '0' && r->in->at.p[0] <= '9') || r->in->at.p[0] == '*' || r->in->at.p[0] == '$')) {
        struct imap_key *key = push(r, IMAP_KEY_SET);
        return key != NULL && read_set(r, key, false);
    }
    if (!imap_grammar_word(r->in, &word))
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_eq_nocase(word, words[i].word))
            return read_word(r, &words[i]);
    return imap_grammar_bad(r->in, "unknown search key");
}

static bool read_key(struct reader *r)
{
    if (r->nest == IMAP_KEY_NEST)
        return imap_grammar_bad(r->in, "search keys are nested too deep");
    r->nest++;
    bool ok = read_one(r);
    r->nest--;
    return ok;
}

bool imap_key_read(struct imap_lex *in, struct imap_view *view, struct imap_keys *out)
{
    struct reader r = {.in = in, .view = view, .out = out};
    *out = (struct imap_keys){0};
    return read_all(&r) && imap_grammar_end(in);
}
