/* mime: reads MIME header fields as they are found: missing quotes, blanks and stray semicolons are lived with. */
#include "format/mime.h"

#include "base/limits.h"
#include "base/str.h"
#include "format/charset.h"

/* A parameter as written: `name`, `name*`, `name*0`, `name*0*` (RFC 2231 3, 4). */
struct piece {
    struct span name, value;
    uint32_t hash;
    int32_t index;      /* -1: not a piece of several */
    bool extended, used;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* RFC 2045 5.1: token, read leniently: `/`, `?` and `=` are let through, as unquoted boundaries have them. */
static bool ends_token(char c)
{
    return c <= ' ' || c == ';' || c == '(' || c == ')' || c == '"' || c == ',' || c == '=' || c == '/';
}

size_t mime_skip_blank(struct span s, size_t at)
{
    size_t depth = 0;
    for (; at < s.n; at++) {
        char c = s.p[at];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0)
            at++;
        else if (depth == 0 && !is_blank(c))
            return at;
    }
    return s.n;
}

static struct span token(struct span s, size_t *at)
{
    size_t from = *at = mime_skip_blank(s, *at);
    while (*at < s.n && !ends_token(s.p[*at]) )
        (*at)++;
    struct span t = span_of(s.p + from, *at - from);
    *at = mime_skip_blank(s, *at);
    return t;
}

/* RFC 2045 5.1 and RFC 822 quoted-string; an open quote goes to the end of the field. */
static struct span quoted(struct span s, size_t *at, struct arena *mem)
{
    size_t from = *at + 1, i = from, drop = 0;
    for (; i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++, drop++;
        else if (s.p[i] == '\r' || s.p[i] == '\n')
            drop++;
    }
    *at = i < s.n ? i + 1 : i;
    if (drop == 0)
        return span_of(s.p + from, i - from);
    char *copy = arena_alloc(mem, i - from + 1);
    size_t n = 0;
    for (size_t k = from; k < i; k++) {
        if (s.p[k] == '\\' && k + 1 < i)
            copy[n++] = s.p[++k];
        else if (s.p[k] != '\r' && s.p[k] != '\n')
            copy[n++] = s.p[k];
    }
    return span_of(copy, n);
}

/* Up to the `;`, to a comment, or to the line end behind which a `;` was forgotten: file names with blanks come unquoted. */
static struct span unquoted(struct span s, size_t *at)
{
    size_t from = *at;
    while (*at < s.n && s.p[*at] != ';' && s.p[*at] != '\r' && s.p[*at] != '\n' &&
           !(s.p[*at] == '(' && *at > from && is_blank(s.p[*at - 1])))
        (*at)++;
    return span_trim(span_of(s.p + from, *at - from));
}

/* Takes `*`, the number and the last `*` off a name. */
static void split_name(struct piece *p)
{
    struct span n = p->name;
    p->index = -1;
    if (n.n > 1 && n.p[n.n - 1] == '*') {
        p->extended = true;
        n.n--;
    }
    size_t digits = 0;
    while (digits < n.n && n.p[n.n - 1 - digits] >= '0' && n.p[n.n - 1 - digits] <= '9')
        digits++;
    if (digits >= 1 && digits <= 4 && n.n > digits + 1 && n.p[n.n - digits - 1] == '*') {
        p->index = 0;
        for (size_t i = n.n - digits; i < n.n; i++)
            p->index = p->index * 10 + (n.p[i] - '0');
        n.n -= digits + 1;
    }
    p->name = n;
    p->hash = (uint32_t)span_hash_nocase(n);
}

static uint32_t read_pieces(struct span s, size_t at, struct piece *v, uint32_t most, bool *truncated, struct arena *mem)
{
    uint32_t n = 0;
    while (at < s.n) {
        if (s.p[at] != ';') { /* rubbish between a value and the next `;` */
            const char *semicolon = memchr(s.p + at, ';', s.n - at);
            if (semicolon == NULL)
                break;
            at = (size_t)(semicolon - s.p);
        }
        at++;
        struct piece p = {.name = token(s, &at)};
        if (p.name.n == 0 || at >= s.n || s.p[at] != '=')
            continue;
        at = mime_skip_blank(s, at + 1);
        bool quote = at < s.n && s.p[at] == '"';
        p.value = quote ? quoted(s, &at, mem) : unquoted(s, &at);
        if (n == most) {
            *truncated = true;
            break;
        }
        split_name(&p);
        v[n++] = p;
    }
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_percent(struct str *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (low >= 0 && (high | low) != 0) { /* %00 stays as it is: no NUL comes out of here */
            str_addc(out, (char)(high << 4 | low));
            i += 2;
        } else {
            str_addc(out, s.p[i]);
        }
    }
}

/* RFC 2231 4: charset'language'text. */
static struct span take_charset(struct span *value)
{
    struct span rest = *value, charset = span_split(&rest, '\'');
    if (rest.p == NULL)
        return SPAN("");
    span_split(&rest, '\'');
    if (rest.p == NULL)
        return SPAN("");
    *value = rest;
    return charset;
}

/* `n` and `n*` are two parameters; `n*0` and `n*0*` are the same piece in two forms. */
static struct piece *piece_find(struct piece *v, uint32_t n, const struct piece *like, int32_t index)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].hash == like->hash && v[i].index == index && (index >= 0 || v[i].extended == like->extended) &&
            span_eq_nocase(v[i].name, like->name))
            return &v[i];
    return NULL;
}

/* Joins what belongs to p, which is a whole parameter or a first piece. */
static void assemble(struct piece *v, uint32_t n, struct piece *p, struct mime_param *out, struct arena *mem)
{
    struct str bytes, text, name;
    struct span charset = SPAN_NONE;
    bool extended = false;
    if (p->index < 0 && !p->extended) {
        *out = (struct mime_param){p->name, p->value};
        return;
    }
    str_init(&bytes, mem);
    for (struct piece *q = p; q != NULL && !q->used; q = q->index < 0 ? NULL : piece_find(v, n, p, q->index + 1)) {
        struct span value = q->value;
        if (q->extended && q->index <= 0)
            charset = take_charset(&value);
        if (q->extended)
            add_percent(&bytes, value);
        else
            str_add(&bytes, value);
        extended = extended || q->extended;
        q->used = true;
    }
    *out = (struct mime_param){p->name, str_span(&bytes)};
    if (out->value.p == NULL)
        out->value = SPAN("");
    if (!extended)
        return;
    str_init(&text, mem);
    charset_to_utf8(&text, charset, str_span(&bytes));
    str_init(&name, mem);
    str_add(&name, p->name);
    str_addc(&name, '*'); /* RFC 9051 7.5.2: so BODYSTRUCTURE calls it */
    *out = (struct mime_param){str_span(&name), text.n > 0 ? str_span(&text) : SPAN("")};
}

static void read_params(struct span s, size_t at, struct mime_value *out, struct arena *mem)
{
    uint32_t most = (uint32_t)LIMIT(MIME_PARAMS), count = 0;
    for (const char *p = s.p + at, *end = s.p + s.n; p < end && count < most; p++, count++)
        if ((p = memchr(p, ';', (size_t)(end - p))) == NULL)
            break;
    if (count == 0)
        return;
    struct piece *v = arena_alloc(mem, count * sizeof *v);
    uint32_t n = read_pieces(s, at, v, count, &out->truncated, mem);
    out->params = arena_alloc(mem, MAX_OF(n, 1u) * sizeof *out->params);
    for (uint32_t i = 0; i < n; i++) {
        struct piece *p = &v[i];
        if (p->index > 0) { /* a later piece: its first one takes it along, or there is none and it stands alone */
            if (piece_find(v, n, p, 0) != NULL)
                continue;
        } else if (piece_find(v, i, p, p->index) != NULL) {
            continue; /* the first of two counts, for a boundary above all */
        }
        if (!p->used)
            assemble(v, n, p, &out->params[out->n_params++], mem);
    }
}

bool mime_content_type(struct span value, struct mime_value *out, struct arena *mem)
{
    size_t at = 0;
    memset(out, 0, sizeof *out);
    out->main = token(value, &at);
    if (out->main.n == 0 || at >= value.n || value.p[at] != '/')
        return false;
    at++;
    out->sub = token(value, &at);
    if (out->sub.n == 0)
        return false;
    read_params(value, at, out, mem);
    return true;
}

bool mime_disposition(struct span value, struct mime_value *out, struct arena *mem)
{
    size_t at = 0;
    memset(out, 0, sizeof *out);
    out->main = token(value, &at);
    if (out->main.n == 0)
        return false;
    read_params(value, at, out, mem);
    return true;
}

struct span mime_param(const struct mime_value *v, struct span name)
{
    struct span plain = SPAN_NONE;
    for (uint32_t i = 0; i < v->n_params; i++) {
        struct span n = v->params[i].name;
        if (span_eq_nocase(n, name) && plain.p == NULL)
            plain = v->params[i].value;
        else if (n.n == name.n + 1 && n.p[name.n] == '*' && span_starts_nocase(n, name))
            return v->params[i].value; /* RFC 6266 4.3 says so for file names */
    }
    return plain;
}

static const struct span encodings[] = {
    [MIME_7BIT] = {"7BIT", 4}, [MIME_8BIT] = {"8BIT", 4}, [MIME_BINARY] = {"BINARY", 6},
    [MIME_BASE64] = {"BASE64", 6}, [MIME_QP] = {"QUOTED-PRINTABLE", 16}, [MIME_UNKNOWN] = {"", 0},
};

enum mime_encoding mime_encoding(struct span value)
{
    size_t at = 0;
    struct span t = value.n > 0 ? token(value, &at) : SPAN("");
    if (t.n == 0)
        return MIME_7BIT;
    for (unsigned i = 0; i < MIME_UNKNOWN; i++)
        if (span_eq_nocase(t, encodings[i]))
            return (enum mime_encoding)i;
    return MIME_UNKNOWN;
}

struct span mime_encoding_name(enum mime_encoding e)
{
    return e < MIME_UNKNOWN ? encodings[e] : SPAN("");
}

/* The general row of a main type stands before its special ones; the last that matches counts. */
static const struct { const char *main, *sub; enum mime_type type; } types[] = {
    {"text", "", MIME_TEXT}, {"text", "plain", MIME_TEXT_PLAIN}, {"text", "html", MIME_TEXT_HTML},
    {"text", "calendar", MIME_TEXT_CALENDAR}, {"multipart", "", MIME_MULTIPART}, {"multipart", "mixed", MIME_MIXED},
    {"multipart", "alternative", MIME_ALTERNATIVE}, {"multipart", "related", MIME_RELATED},
    {"multipart", "digest", MIME_DIGEST}, {"multipart", "signed", MIME_SIGNED}, {"multipart", "report", MIME_REPORT},
    {"message", "", MIME_MESSAGE}, {"message", "rfc822", MIME_RFC822}, {"message", "global", MIME_RFC822},
    {"image", "", MIME_IMAGE}, {"audio", "", MIME_AUDIO}, {"video", "", MIME_VIDEO}, {"application", "", MIME_APPLICATION},
};

enum mime_type mime_type(const struct mime_value *v)
{
    enum mime_type t = MIME_OTHER;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (span_eq_nocase(v->main, span_z(types[i].main)) &&
            (types[i].sub[0] == 0 || span_eq_nocase(v->sub, span_z(types[i].sub))))
            t = types[i].type;
    return t;
}
