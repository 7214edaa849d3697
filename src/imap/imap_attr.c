/* The grammar of fetch-att. Items that RFC 3501 has besides BODY[] are read as the section that they mean. */
#include "imap/imap_attr.h"

#include "base/num.h"

enum { ATTRS_MAX = 256, PARTS_MAX = 100, FIELDS_MAX = 1000 };

struct word {
    struct span word;
    enum imap_attr_kind kind;
    bool bracket;           /* a section must follow */
    bool peek;
    enum imap_attr_text text;
};

static const struct word words[] = {
    {SPAN("FLAGS"), IMAP_ATTR_FLAGS, false, true, 0},
    {SPAN("UID"), IMAP_ATTR_UID, false, true, 0},
    {SPAN("INTERNALDATE"), IMAP_ATTR_DATE, false, true, 0},
    {SPAN("RFC822.SIZE"), IMAP_ATTR_SIZE, false, true, 0},
    {SPAN("ENVELOPE"), IMAP_ATTR_ENVELOPE, false, true, 0},
    {SPAN("BODYSTRUCTURE"), IMAP_ATTR_STRUCTURE, false, true, 0},
    {SPAN("BODY"), IMAP_ATTR_BODY, false, true, 0}, /* with a bracket behind it a SECTION */
    {SPAN("BODY.PEEK"), IMAP_ATTR_SECTION, true, true, 0},
    {SPAN("BINARY"), IMAP_ATTR_BINARY, true, false, 0},
    {SPAN("BINARY.PEEK"), IMAP_ATTR_BINARY, true, true, 0},
    {SPAN("BINARY.SIZE"), IMAP_ATTR_BINARY_SIZE, true, true, 0},
    {SPAN("RFC822"), IMAP_ATTR_SECTION, false, false, IMAP_ATTR_ALL},
    {SPAN("RFC822.HEADER"), IMAP_ATTR_SECTION, false, true, IMAP_ATTR_HEADER},
    {SPAN("RFC822.TEXT"), IMAP_ATTR_SECTION, false, false, IMAP_ATTR_TEXT},
};

static const struct { struct span name, means; } macros[] = {
    {SPAN("FAST"), SPAN("FLAGS INTERNALDATE RFC822.SIZE")},
    {SPAN("ALL"), SPAN("FLAGS INTERNALDATE RFC822.SIZE ENVELOPE")},
    {SPAN("FULL"), SPAN("FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY")},
};

static const struct { struct span word; enum imap_attr_text text; } texts[] = {
    {SPAN("HEADER"), IMAP_ATTR_HEADER},
    {SPAN("HEADER.FIELDS"), IMAP_ATTR_FIELDS},
    {SPAN("HEADER.FIELDS.NOT"), IMAP_ATTR_FIELDS_NOT},
    {SPAN("TEXT"), IMAP_ATTR_TEXT},
    {SPAN("MIME"), IMAP_ATTR_MIME},
};

/* The numbers at the start of a section; leaves the name behind them, if any. */
static bool read_part(struct imap_lex *in, struct imap_attr *a, struct span *rest)
{
    uint32_t numbers[PARTS_MAX];
    while (rest->n > 0 && rest->p[0] >= '0' && rest->p[0] <= '9') {
        uint64_t n;
        ptrdiff_t used = num_u64_prefix(*rest, UINT32_MAX, &n);
        if (used < 0)
            return imap_grammar_bad(in, "A part number is too large");
        if (rest->p[0] == '0')
            return imap_grammar_bad(in, "Parts are counted from 1");
        if (a->n_part == PARTS_MAX)
            return imap_grammar_bad(in, "A section has too many part numbers");
        numbers[a->n_part++] = (uint32_t)n;
        *rest = span_from(*rest, (size_t)used);
        if (rest->n == 0)
            break;
        if (rest->p[0] != '.' || rest->n == 1)
            return imap_grammar_bad(in, "That is no section");
        *rest = span_from(*rest, 1);
    }
    if (a->n_part > 0) {
        a->part = arena_alloc(in->mem, a->n_part * sizeof *a->part);
        memcpy(a->part, numbers, a->n_part * sizeof *a->part);
    }
    return true;
}

static bool read_fields(struct imap_lex *in, struct imap_attr *a)
{
    uint32_t cap = 0;
    if (!imap_grammar_sp(in) || !imap_grammar_open(in))
        return imap_grammar_bad(in, "HEADER.FIELDS needs a list of names");
    do {
        struct span name;
        if (!imap_grammar_astring(in, &name))
            return false;
        if (name.n == 0 || a->n_fields == FIELDS_MAX)
            return imap_grammar_bad(in, "That is no list of header fields");
        if (a->n_fields == cap) {
            struct span *v = arena_alloc(in->mem, (cap = cap * 2 + 8) * sizeof *v);
            if (a->n_fields > 0)
                memcpy(v, a->fields, a->n_fields * sizeof *v);
            a->fields = v;
        }
        a->fields[a->n_fields++] = name;
    } while (imap_grammar_may(in, ' '));
    return imap_grammar_close(in);
}

static bool read_text(struct imap_lex *in, struct imap_attr *a, struct span word)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (span_eq_nocase(word, texts[i].word)) {
            a->text = texts[i].text;
            if (a->text == IMAP_ATTR_MIME && a->n_part == 0)
                return imap_grammar_bad(in, "MIME needs a part number"); /* RFC 9051 6.4.5 */
            if (a->text == IMAP_ATTR_FIELDS || a->text == IMAP_ATTR_FIELDS_NOT)
                return read_fields(in, a);
            return true;
        }
    return imap_grammar_bad(in, "That is no section");
}

/* Behind "[": the section and "]". */
static bool read_section(struct imap_lex *in, struct imap_attr *a)
{
    struct span word;
    if (imap_grammar_may(in, ']'))
        return true;
    if (!imap_grammar_word(in, &word) || !read_part(in, a, &word))
        return imap_grammar_bad(in, "That is no section");
    if (word.n > 0 && a->kind != IMAP_ATTR_SECTION)
        return imap_grammar_bad(in, "BINARY takes part numbers only"); /* RFC 9051 9: section-binary */
    if (word.n > 0 && !read_text(in, a, word))
        return false;
    return imap_grammar_want(in, ']');
}

static bool read_partial(struct imap_lex *in, struct imap_attr *a)
{
    uint64_t from, count;
    if (a->kind == IMAP_ATTR_BINARY_SIZE || !imap_grammar_may(in, '<'))
        return true;
    if (!imap_grammar_number(in, UINT32_MAX, &from) || !imap_grammar_want(in, '.') ||
        !imap_grammar_number(in, UINT32_MAX, &count) || !imap_grammar_want(in, '>'))
        return false;
    if (count == 0)
        return imap_grammar_bad(in, "A partial of no octets");
    a->partial = true;
    a->from = (uint32_t)from;
    a->count = (uint32_t)count;
    return true;
}

/* RFC 9051 7.5.2: the answer names the section, without PEEK and without the partial's length. */
static void name_section(struct imap_lex *in, struct imap_attr *a)
{
    static const char *const starts[] = {[IMAP_ATTR_SECTION] = "BODY[", [IMAP_ATTR_BINARY] = "BINARY[",
                                         [IMAP_ATTR_BINARY_SIZE] = "BINARY.SIZE["};
    struct str out;
    str_init(&out, in->mem);
    str_addz(&out, starts[a->kind]);
    for (uint32_t i = 0; i < a->n_part; i++) {
        if (i > 0)
            str_addc(&out, '.');
        str_addu(&out, a->part[i]);
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (a->text == texts[i].text) {
            if (a->n_part > 0)
                str_addc(&out, '.');
            str_add(&out, texts[i].word);
        }
    for (uint32_t i = 0; i < a->n_fields; i++) {
        str_addz(&out, i == 0 ? " (" : " ");
        imap_grammar_add_astring(&out, a->fields[i], false);
    }
    str_addz(&out, a->n_fields > 0 ? ")]" : "]");
    if (a->partial)
        str_addf(&out, "<%u>", a->from);
    a->name = str_span(&out);
}

static bool read_attr(struct imap_lex *in, struct imap_attr *a)
{
    struct span word;
    const struct word *w = NULL;
    if (!imap_grammar_word(in, &word))
        return imap_grammar_bad(in, "What shall be fetched?");
    for (size_t i = 0; i < COUNT_OF(words) && w == NULL; i++)
        if (span_eq_nocase(word, words[i].word))
            w = &words[i];
    if (w == NULL)
        return imap_grammar_bad(in, "Unknown item to fetch");
    *a = (struct imap_attr){.kind = w->kind, .text = w->text, .peek = w->peek, .name = w->word};
    if (w->kind == IMAP_ATTR_BODY && imap_grammar_may(in, '[')) {
        a->kind = IMAP_ATTR_SECTION;
        a->peek = false;
    } else if (!w->bracket) {
        return true;
    } else if (!imap_grammar_want(in, '[')) {
        return false;
    }
    if (!read_section(in, a) || !read_partial(in, a))
        return false;
    name_section(in, a);
    return true;
}

static bool read_list(struct imap_lex *in, struct imap_attrs *out, uint32_t cap)
{
    do {
        if (out->n == ATTRS_MAX)
            return imap_grammar_bad(in, "Too many items to fetch");
        if (out->n == cap) {
            struct imap_attr *v = arena_alloc(in->mem, (cap = cap * 2 + 8) * sizeof *v);
            if (out->n > 0)
                memcpy(v, out->v, out->n * sizeof *v);
            out->v = v;
        }
        if (!read_attr(in, &out->v[out->n]))
            return false;
        out->seen |= !out->v[out->n++].peek;
    } while (imap_grammar_may(in, ' '));
    return true;
}

bool imap_attr_read(struct imap_lex *in, struct imap_attrs *out)
{
    *out = (struct imap_attrs){0};
    for (size_t i = 0; i < COUNT_OF(macros); i++)
        if (imap_grammar_may_word(in, macros[i].name)) {
            struct imap_lex meant;
            imap_grammar_init(&meant, macros[i].means, in->mem);
            return read_list(&meant, out, 0);
        }
    if (imap_grammar_may_open(in))
        return read_list(in, out, 0) && imap_grammar_close(in);
    out->v = arena_alloc(in->mem, sizeof *out->v); /* without parentheses it is one item alone */
    if (!read_attr(in, &out->v[0]))
        return false;
    out->n = 1;
    out->seen = !out->v[0].peek;
    return true;
}
