/* imap_text: writes IMAP strings, cuts what is too long, and checks such text. */
#include "format/imap_text.h"

#include "base/utf8.h"

enum { PLAIN, ESCAPE, DROP, HIGH };

static int class_of(unsigned char c)
{
    if (c >= 128)
        return HIGH;
    if (c == '"' || c == '\\')
        return ESCAPE;
    return c == '\r' || c == '\n' || c == 0 ? DROP : PLAIN;
}

void imap_text_init(struct imap_text *w, struct arena *mem, size_t limit)
{
    memset(w, 0, sizeof *w);
    str_init(&w->out, mem);
    w->limit = limit;
    w->string_max = w->list_max = w->params_max = SIZE_MAX;
}

void imap_text_again(struct imap_text *w)
{
    str_clear(&w->out);
    w->cut = w->over = false;
}

struct span imap_text_clip(const struct imap_text *w, struct span value)
{
    return w->string_max < SIZE_MAX / 4 ? span_sub(value, 0, 4 * w->string_max) : value;
}

static bool room(struct imap_text *w, size_t n)
{
    if (w->over || w->out.n + n > w->limit)
        w->over = true;
    return !w->over;
}

void imap_text_raw(struct imap_text *w, const char *syntax)
{
    struct span s = span_z(syntax);
    if (room(w, s.n))
        str_add(&w->out, s);
}

void imap_text_number(struct imap_text *w, uint64_t n)
{
    if (room(w, 20))
        str_addu(&w->out, n);
}

static void add_without(struct str *out, struct span s, int drop, int escape)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        int class = class_of((unsigned char)s.p[i]);
        if (class != drop && class != escape)
            continue;
        str_add(out, span_of(s.p + from, i - from));
        if (class == escape)
            str_addc(out, '\\');
        from = class == drop ? i + 1 : i;
    }
    str_add(out, span_of(s.p + from, s.n - from));
}

void imap_text_string(struct imap_text *w, struct span s)
{
    size_t n[4] = {0};
    if (s.n > w->string_max) {
        s = utf8_clip(s, w->string_max);
        w->cut = true;
    }
    if (s.n > w->limit) {
        w->over = true; /* before it is looked at: a text of limit bytes costs no more than that */
        return;
    }
    for (size_t i = 0; i < s.n; i++)
        n[class_of((unsigned char)s.p[i])]++;
    if (!room(w, s.n + n[ESCAPE] + 16))
        return;
    if (n[HIGH] > 0) {
        str_addf(&w->out, "{%zu}\r\n", s.n - n[DROP]);
        add_without(&w->out, s, DROP, -1);
        return;
    }
    str_addc(&w->out, '"');
    if (n[ESCAPE] + n[DROP] == 0)
        str_add(&w->out, s);
    else
        add_without(&w->out, s, DROP, ESCAPE);
    str_addc(&w->out, '"');
}

void imap_text_nstring(struct imap_text *w, struct span s)
{
    if (s.p == NULL)
        imap_text_raw(w, "NIL");
    else
        imap_text_string(w, s);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

static size_t check_quoted(struct span s, size_t at)
{
    for (size_t i = at + 1; i < s.n; i++) {
        if (s.p[i] == '"')
            return i + 1;
        if (s.p[i] == '\\' && (++i >= s.n || (s.p[i] != '"' && s.p[i] != '\\')))
            return 0;
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0 || (unsigned char)s.p[i] >= 128)
            return 0;
    }
    return 0;
}

static size_t check_literal(struct span s, size_t at)
{
    size_t n = 0, i = at + 1;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && n < (1u << 30); i++)
        n = n * 10 + (size_t)(s.p[i] - '0');
    if (i == at + 1 || s.n - i < 3 || memcmp(s.p + i, "}\r\n", 3) != 0 || s.n - i - 3 < n)
        return 0;
    return memchr(s.p + i + 3, 0, n) == NULL ? i + 3 + n : 0;
}

/* The item (no list) at `at`; returns where it ends, 0 when it is none. */
static size_t check_atom(struct span s, size_t at)
{
    if (s.p[at] == '"')
        return check_quoted(s, at);
    if (s.p[at] == '{')
        return check_literal(s, at);
    if (span_starts(span_from(s, at), SPAN("NIL")))
        return at + 3;
    size_t i = at;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i > at ? i : 0;
}

bool imap_text_check(struct span s)
{
    size_t depth = 0, at = 0;
    bool item = false; /* an item has ended just before: a space, a parenthesis, or an end may follow */
    while (at < s.n) {
        char c = s.p[at];
        if (c == '(') {
            /* address and body lists stand without spaces between them, so a list may follow a list */
            if (item && s.p[at - 1] != ')')
                return false;
            depth++;
            at++;
            item = false;
        } else if (c == ')') {
            if (depth == 0 || !item)
                return false; /* neither "()" nor "( " nor " )" is ever written */
            at++;
            if (--depth == 0)
                return at == s.n;
        } else if (c == ' ') {
            if (!item)
                return false;
            at++;
            item = false;
        } else if (item || depth == 0 || (at = check_atom(s, at)) == 0) {
            return false;
        } else {
            item = true;
        }
        if (c == ')')
            item = true;
    }
    return false;
}
