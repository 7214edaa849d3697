/* Part numbers to bytes. The part table's offsets are those of the message as it was stored; what a client reads has
 * Return-Path and Delivered-To in front of it, by the difference of the two sizes. */
#include "imap/imap_part.h"

#include "base/num.h"
#include "format/mime.h"
#include "format/summary_pack.h"

/* Part `at` either as a message, whose body is counted from 1, or as a part that was reached by its number. */
struct where {
    uint32_t at;
    bool message;
    struct summary_part part;
};

static bool child_of(struct span structure, uint32_t parent, uint32_t first, uint32_t number, struct where *to)
{
    struct summary_part p;
    for (uint32_t i = first; first > 0 && summary_pack_get_part(structure, i, &p) == 0; i++)
        if (p.parent == parent && --number == 0) {
            *to = (struct where){.at = i, .part = p};
            return true;
        }
    return false;
}

/* What is inside a message/rfc822 part, as a message. */
static bool inside(struct span structure, struct where *w)
{
    if (w->message)
        return true;
    if (w->part.type != MIME_RFC822 || !child_of(structure, w->at, w->part.first_child, 1, w))
        return false;
    w->message = true;
    return true;
}

static bool step(struct span structure, struct where *w, uint32_t number)
{
    if (!w->message && w->part.type == MIME_RFC822 && !inside(structure, w))
        return false;
    bool many = mime_is_multipart((enum mime_type)w->part.type) && w->part.first_child != 0;
    if (many)
        return child_of(structure, w->at, w->part.first_child, number, w);
    if (!w->message || number != 1) /* RFC 9051 6.4.5.1: a message that is no multipart has one part */
        return false;
    w->message = false;
    return true;
}

struct imap_place imap_part_find(const struct imap_attr *a, struct span structure, uint64_t size)
{
    struct where w = {.message = true};
    struct summary_part root;
    if (a->n_part == 0 && a->text == IMAP_ATTR_ALL)
        return (struct imap_place){.to = size, .there = true};
    if (summary_pack_get_part(structure, 0, &root) != 0 || root.body_end > size)
        return (struct imap_place){0};
    uint64_t shift = size - root.body_end, from, to;
    w.part = root;
    for (uint32_t i = 0; i < a->n_part; i++)
        if (!step(structure, &w, a->part[i]))
            return (struct imap_place){0};
    if (a->text != IMAP_ATTR_ALL && a->text != IMAP_ATTR_MIME && !inside(structure, &w))
        return (struct imap_place){0}; /* a header and a text are those of a message */
    bool body = a->text == IMAP_ATTR_ALL || a->text == IMAP_ATTR_TEXT;
    from = body ? w.part.body_at + shift : w.part.header_at + (w.at == 0 ? 0 : shift);
    to = body ? w.part.body_end + shift : w.part.body_at + shift;
    if (from > to || to > size)
        return (struct imap_place){0};
    return (struct imap_place){.from = from, .to = to, .there = true, .encoding = w.part.encoding};
}

static bool wanted(const struct imap_attr *a, struct span name)
{
    for (uint32_t i = 0; i < a->n_fields; i++)
        if (span_eq_nocase(a->fields[i], name))
            return a->text == IMAP_ATTR_FIELDS;
    return a->text != IMAP_ATTR_FIELDS;
}

void imap_part_fields(struct str *out, struct span header, const struct imap_attr *a)
{
    bool keep = false;
    while (header.n > 0) {
        const char *nl = memchr(header.p, '\n', header.n);
        struct span line = span_sub(header, 0, nl != NULL ? (size_t)(nl - header.p) + 1 : header.n);
        header = span_from(header, line.n);
        if (span_trim(line).n == 0 && line.p[0] != ' ' && line.p[0] != '\t')
            break;
        if (line.p[0] != ' ' && line.p[0] != '\t') { /* else it goes on with the field above */
            ptrdiff_t colon = span_find_char(line, ':');
            struct span name = span_sub(line, 0, colon < 0 ? 0 : (size_t)colon);
            keep = wanted(a, span_trim(name)); /* RFC 5322 4.5: blanks before the colon */
        }
        if (keep)
            str_add(out, line);
    }
    str_addz(out, "\r\n");
}

/* ---- BODY out of BODYSTRUCTURE ---------------------------------------------------------------------------------------- */

enum { DEPTH_MAX = 220 }; /* lists in lists of one structure: mime_depth, twice for messages in it */

struct sexp {
    struct span at;
    struct str *out;
    unsigned depth;
};

static bool copy_string(struct sexp *x, bool keep)
{
    size_t n = 1;
    if (x->at.p[0] == '{') {
        uint64_t size;
        ptrdiff_t digits = num_u64_prefix(span_from(x->at, 1), UINT32_MAX, &size);
        if (digits < 0 || (n += (size_t)digits + 3) > x->at.n || size > x->at.n - n) /* "}" CRLF */
            return false;
        n += size;
    } else if (x->at.p[0] == '"') {
        for (; n < x->at.n && x->at.p[n] != '"'; n++)
            n += x->at.p[n] == '\\';
        if (n >= x->at.n)
            return false;
        n++;
    } else {
        while (n < x->at.n && x->at.p[n] != ' ' && x->at.p[n] != '(' && x->at.p[n] != ')')
            n++;
    }
    if (keep)
        str_add(x->out, span_sub(x->at, 0, n));
    x->at = span_from(x->at, n);
    return true;
}

/* Any value, with all that is in it. */
static bool copy_value(struct sexp *x, bool keep)
{
    unsigned open = 0;
    do {
        if (x->at.n == 0)
            return false;
        char c = x->at.p[0];
        if (c != '(' && c != ')' && c != ' ') {
            if (!copy_string(x, keep))
                return false;
            continue;
        }
        if (open == 0 && c != '(')
            return false;
        open += c == '(';
        open -= c == ')';
        if (keep)
            str_addc(x->out, c);
        x->at = span_from(x->at, 1);
    } while (open > 0);
    return true;
}

static bool space(struct sexp *x)
{
    if (x->at.n == 0 || x->at.p[0] != ' ')
        return false;
    x->at = span_from(x->at, 1);
    str_addc(x->out, ' ');
    return true;
}

static bool drop_rest(struct sexp *x)
{
    while (x->at.n > 0 && x->at.p[0] != ')') {
        if (x->at.p[0] == ' ')
            x->at = span_from(x->at, 1);
        else if (!copy_value(x, false))
            return false;
    }
    if (x->at.n == 0)
        return false;
    x->at = span_from(x->at, 1);
    str_addc(x->out, ')');
    return true;
}

static bool copy_body(struct sexp *x);

/* body-type-1part: type subtype params id description encoding octets, then what its type has. */
static bool copy_single(struct sexp *x)
{
    struct span type[2];
    for (unsigned i = 0; i < 7; i++) {
        const char *before = x->at.p;
        if ((i > 0 && !space(x)) || !copy_value(x, true))
            return false;
        if (i < 2)
            type[i] = span_of(before + i, (size_t)(x->at.p - before) - i);
    }
    if (span_eq_nocase(type[0], SPAN("\"TEXT\"")))
        return space(x) && copy_value(x, true); /* lines */
    if (span_eq_nocase(type[0], SPAN("\"MESSAGE\"")) &&
        (span_eq_nocase(type[1], SPAN("\"RFC822\"")) || span_eq_nocase(type[1], SPAN("\"GLOBAL\""))))
        return space(x) && copy_value(x, true) && space(x) && copy_body(x) && space(x) && copy_value(x, true);
    return true;
}

static bool copy_body(struct sexp *x)
{
    bool r = true;
    if (x->at.n < 2 || x->at.p[0] != '(' || x->depth >= DEPTH_MAX)
        return false;
    x->depth++;
    x->at = span_from(x->at, 1);
    str_addc(x->out, '(');
    if (x->at.p[0] == '(') {
        while (r && x->at.n > 0 && x->at.p[0] == '(')
            r = copy_body(x);
        r = r && space(x) && copy_value(x, true); /* the subtype */
    } else {
        r = copy_single(x);
    }
    x->depth--;
    return r && drop_rest(x);
}

bool imap_part_body(struct str *out, struct span structure_text)
{
    struct sexp x = {.at = structure_text, .out = out};
    size_t before = out->n;
    if (copy_body(&x) && x.at.n == 0)
        return true;
    out->n = before;
    return false;
}

/* ---- for who knows no UTF-8 --------------------------------------------------------------------------------------------- */

static bool high(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] & 0x80)
            return true;
    return false;
}

/* RFC 2231 7: what needs no percent. */
static bool attribute_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c != 0 && strchr("-._~+", c) != NULL);
}

/* value: a literal, "{n}" CRLF and the bytes. */
static void add_percent(struct str *out, struct span value)
{
    ptrdiff_t at = span_find_char(value, '\n');
    str_addz(out, "\"UTF-8''");
    for (size_t i = (size_t)at + 1; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (attribute_char(c))
            str_addc(out, (char)c);
        else
            str_addf(out, "%%%02X", c);
    }
    str_addc(out, '"');
}

struct span imap_part_encoded(struct span structure_text, struct arena *mem)
{
    struct str out;
    struct sexp x = {.at = structure_text, .out = &out};
    struct span name = SPAN_NONE;   /* before a value: the string before it, of a list of names and values */
    bool list = false, is_value = false;
    if (!high(structure_text))
        return structure_text;
    str_init(&out, mem);
    while (x.at.n > 0) {
        char c = x.at.p[0];
        if (c == '(' || c == ')' || c == ' ') {
            str_addc(&out, c);
            x.at = span_from(x.at, 1);
            list = c == '(' || (list && c == ' ');
            is_value = is_value && c == ' ';
            continue;
        }
        struct span token = x.at;
        if (!copy_string(&x, false))
            return structure_text;
        token = span_sub(token, 0, token.n - x.at.n);
        if (list && is_value && span_ends_nocase(name, SPAN("*\"")) && token.p[0] == '{' && high(token))
            add_percent(&out, token);
        else
            str_add(&out, token);
        name = token;
        is_value = !is_value;
    }
    return str_span(&out);
}
