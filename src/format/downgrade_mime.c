/* downgrade_mime: reads a MIME field and writes it anew. */
#include "format/downgrade_mime.h"

#include "base/utf8.h"
#include "format/downgrade_text.h"
#include "format/mime.h"

enum { PIECE = 60 }; /* characters of a value in one piece: a line of them stays under 78 */

static bool token_char(unsigned char c) { return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL; }

/* RFC 2231 7 */
static bool attribute_char(unsigned char c) { return token_char(c) && strchr("*'%", c) == NULL; }

static void put_plain(struct str *out, struct span name, struct span value)
{
    bool token = value.n > 0;
    for (size_t i = 0; i < value.n && token; i++)
        token = token_char((unsigned char)value.p[i]);
    str_addz(out, "; ");
    str_add(out, name);
    str_addz(out, token ? "=" : "=\"");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            str_addc(out, '\\');
        str_addc(out, value.p[i]);
    }
    str_addz(out, token ? "" : "\"");
}

/* One character, as it is or in percents. */
static size_t put_char(struct str *out, struct span s)
{
    uint32_t cp;
    size_t n = MAX_OF(utf8_decode(s, &cp), (size_t)1);
    if (attribute_char((unsigned char)s.p[0])) {
        str_addc(out, s.p[0]);
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        str_addf(out, "%%%02X", (unsigned char)s.p[i]);
    return n;
}

static size_t extended_length(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += attribute_char((unsigned char)s.p[i]) ? 1 : 3;
    return n;
}

/* RFC 2231 4, and 3 where it is long. The language stays empty. */
static void put_extended(struct str *out, struct span name, struct span value)
{
    bool pieces = extended_length(value) > PIECE;
    unsigned piece = 0;
    do {
        str_addz(out, "; ");
        str_add(out, name);
        if (pieces)
            str_addf(out, "*%u", piece);
        str_addz(out, piece == 0 ? "*=UTF-8''" : "*=");
        piece++;
        for (size_t from = out->n; value.n > 0 && (!pieces || out->n - from < PIECE - 9);)
            value = span_from(value, put_char(out, value));
    } while (value.n > 0);
}

static void put_params(struct str *out, const struct mime_value *v)
{
    for (uint32_t i = 0; i < v->n_params; i++) {
        struct span name = v->params[i].name, value = v->params[i].value;
        bool extended = name.n > 1 && name.p[name.n - 1] == '*';
        if (downgrade_text_high(name))
            continue; /* no program knows such a parameter */
        if (extended || downgrade_text_high(value))
            put_extended(out, span_sub(name, 0, name.n - extended), value);
        else
            put_plain(out, name, value);
    }
}

bool downgrade_mime_type(struct str *out, struct span s, struct arena *mem)
{
    struct mime_value v;
    if (!mime_content_type(s, &v, mem) || downgrade_text_high(v.main) || downgrade_text_high(v.sub))
        return false;
    str_add(out, v.main);
    str_addc(out, '/');
    str_add(out, v.sub);
    put_params(out, &v);
    downgrade_text_keep_comments(out, s);
    return true;
}

bool downgrade_mime_disposition(struct str *out, struct span s, struct arena *mem)
{
    struct mime_value v;
    if (!mime_disposition(s, &v, mem) || downgrade_text_high(v.main))
        return false;
    str_add(out, v.main);
    put_params(out, &v);
    downgrade_text_keep_comments(out, s);
    return true;
}
