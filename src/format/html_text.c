/* html_text: drops markup. Text that hides from sight by style sheets is not noticed; a preview may show it. */
#include "format/html_text.h"

#include "base/utf8.h"

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_alnum(char c) { return is_alpha(c) || (c >= '0' && c <= '9'); }

/* Elements whose content is no text, and those that end a line. */
static const char *const silent[] = {"script", "style", "title", "template", "svg", "object", "iframe"};
static const char *const block[] = {"br", "p", "div", "tr", "td", "th", "li", "ul", "ol", "table", "h1", "h2", "h3",
                                    "h4", "h5", "h6", "hr", "blockquote", "pre", "body", "section", "article"};

static const struct { const char *name; uint32_t cp; } entities[] = {
    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}, {"copy", 0xA9}, {"reg", 0xAE},
    {"trade", 0x2122}, {"euro", 0x20AC}, {"pound", 0xA3}, {"yen", 0xA5}, {"cent", 0xA2}, {"sect", 0xA7}, {"deg", 0xB0},
    {"hellip", 0x2026}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201C},
    {"rdquo", 0x201D}, {"bdquo", 0x201E}, {"sbquo", 0x201A}, {"laquo", 0xAB}, {"raquo", 0xBB}, {"bull", 0x2022},
    {"middot", 0xB7}, {"times", 0xD7}, {"shy", 0xAD}, {"zwnj", 0x200C}, {"zwj", 0x200D}, {"iexcl", 0xA1}, {"iquest", 0xBF},
    {"auml", 0xE4}, {"ouml", 0xF6}, {"uuml", 0xFC}, {"Auml", 0xC4}, {"Ouml", 0xD6}, {"Uuml", 0xDC}, {"szlig", 0xDF},
    {"eacute", 0xE9}, {"egrave", 0xE8}, {"ecirc", 0xEA}, {"agrave", 0xE0}, {"aacute", 0xE1}, {"acirc", 0xE2}, {"ccedil", 0xE7},
    {"iacute", 0xED}, {"oacute", 0xF3}, {"ocirc", 0xF4}, {"uacute", 0xFA}, {"ugrave", 0xF9}, {"ntilde", 0xF1}, {"aring", 0xE5},
    {"oslash", 0xF8}, {"aelig", 0xE6}, {"Eacute", 0xC9}, {"Ccedil", 0xC7}, {"Ntilde", 0xD1}, {"Aring", 0xC5}, {"Oslash", 0xD8},
};

static bool in_table(const char *const *v, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq_nocase(span_z(v[i]), name))
            return true;
    return false;
}

/* Behind "<!--": the position behind "-->", or the end. */
static size_t skip_comment(struct span s, size_t at)
{
    ptrdiff_t end = span_find(span_from(s, at), SPAN("-->"));
    return end < 0 ? s.n : at + (size_t)end + 3;
}

/* Inside a tag: the position behind its ">", quoted attributes respected. */
static size_t skip_tag(struct span s, size_t at)
{
    char quote = 0, before = 0;
    for (; at < s.n; at++) {
        char c = s.p[at];
        if (quote != 0)
            quote = c == quote ? 0 : quote;
        else if ((c == '"' || c == '\'') && before == '=')
            quote = c;
        else if (c == '>')
            return at + 1;
        if (c != ' ')
            before = c;
    }
    return s.n;
}

/* The position of the end tag of a silent element, or the end of all. */
static size_t skip_silent(struct span s, size_t at, struct span name)
{
    while (at < s.n) {
        const char *lt = memchr(s.p + at, '<', s.n - at);
        if (lt == NULL)
            break;
        at = (size_t)(lt - s.p) + 1;
        if (at < s.n && s.p[at] == '/' && span_starts_nocase(span_from(s, at + 1), name))
            return at - 1;
    }
    return s.n;
}

static size_t tag(struct str *out, struct span s, size_t at)
{
    bool closing = s.p[at + 1] == '/';
    size_t from = at + 1 + closing, to = from;
    while (to < s.n && is_alnum(s.p[to]))
        to++;
    struct span name = span_of(s.p + from, to - from);
    if (in_table(block, COUNT_OF(block), name))
        str_addc(out, '\n');
    at = skip_tag(s, to);
    bool empty = at >= 2 && s.p[at - 2] == '/';
    if (!closing && !empty && in_table(silent, COUNT_OF(silent), name))
        at = skip_silent(s, at, name);
    return at;
}

/* "&...;" at `at`; what is none is taken as text. A name is at most 8 letters, a number 8 digits: O(1). */
static size_t entity(struct str *out, struct span s, size_t at)
{
    char c[4];
    uint32_t cp = 0;
    size_t i = at + 1;
    if (i < s.n && s.p[i] == '#') {
        bool hex = ++i < s.n && (s.p[i] | 0x20) == 'x';
        size_t from = i += hex;
        for (; i < s.n && i - from < 8; i++) {
            char d = s.p[i];
            if (d >= '0' && d <= '9')
                cp = cp * (hex ? 16 : 10) + (uint32_t)(d - '0');
            else if (hex && (d | 0x20) >= 'a' && (d | 0x20) <= 'f')
                cp = cp * 16 + (uint32_t)((d | 0x20) - 'a' + 10);
            else
                break;
        }
        if (i == from)
            cp = '&', i = at + 1;
    } else {
        while (i < s.n && i - at <= 8 && is_alnum(s.p[i]))
            i++;
        struct span name = span_of(s.p + at + 1, i - at - 1);
        for (size_t k = 0; k < COUNT_OF(entities) && cp == 0; k++)
            if (span_eq(span_z(entities[k].name), name))
                cp = entities[k].cp;
        if (cp == 0)
            cp = '&', i = at + 1;
    }
    size_t n = cp == 0 ? 0 : utf8_encode(cp, c);
    str_add(out, n > 0 ? span_of(c, n) : SPAN("\xEF\xBF\xBD"));
    return i + (i > at + 1 && i < s.n && s.p[i] == ';');
}

void html_text(struct str *out, struct span html, size_t most)
{
    size_t at = 0, stop = out->n + most;
    while (at < html.n && out->n < stop) {
        char c = html.p[at];
        char next = at + 1 < html.n ? html.p[at + 1] : 0;
        if (c == '&') {
            at = entity(out, html, at);
        } else if (c == '<' && next == '!' && span_starts(span_from(html, at), SPAN("<!--"))) {
            at = skip_comment(html, at + 4);
        } else if (c == '<' && (next == '!' || next == '?')) {
            at = skip_tag(html, at + 1);
        } else if (c == '<' && (is_alpha(next) || next == '/')) {
            at = tag(out, html, at);
        } else {
            size_t from = at++;
            while (at < html.n && html.p[at] != '<' && html.p[at] != '&')
                at++;
            str_add(out, utf8_clip(span_of(html.p + from, at - from), stop - out->n));
        }
    }
}
