/* The parameters of MAIL and RCPT: one row each says where it may stand, which extension brings it and how its value is
 * read. A value that its RFC does not allow is 501, a parameter that nobody announced 555. */
#include "smtp/smtp_param.h"

#include "base/num.h"
#include "base/utf8.h"
#include "run/ipc_table.h"
#include "smtp/smtp_grammar.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500 }; /* RFC 3461 5.4 */

static unsigned char at(struct span s, size_t i)
{
    return i < s.n ? (unsigned char)s.p[i] : 0;
}

static bool is_alnum(unsigned char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
}

/* ---- xtext ------------------------------------------------------------------------------------------------------------ */

/* RFC 3461 4: capitals only */
static int hex(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext = *( xchar / hexchar ); and what it says is printable ASCII (RFC 3461 4.2, 4.4), or a blank. */
static bool is_xtext(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = at(s, i);
        if (c == '+') {
            int high = hex(at(s, i + 1)), low = hex(at(s, i + 2));
            if (high < 0 || low < 0)
                return false;
            c = (unsigned char)(high * 16 + low);
            i += 2;
            if (c == ' ' || c == '=' || c == '+')
                continue;
        }
        if (c <= 32 || c >= 127 || c == '=')
            return false;
    }
    return true;
}

void smtp_param_xtext(struct str *out, struct span xtext)
{
    for (size_t i = 0; i < xtext.n; i++) {
        if (at(xtext, i) != '+') {
            str_addc(out, xtext.p[i]);
            continue;
        }
        str_addc(out, (char)(hex(at(xtext, i + 1)) * 16 + hex(at(xtext, i + 2))));
        i += 2;
    }
}

/* "\x{HEXPOINT}" of RFC 6533 3 at the start of s: its length and the character, or 0. Never a control character: what
 * comes out of it is written into fields of a report. */
static size_t embedded(struct span s, uint32_t *cp)
{
    uint64_t value;
    char scratch[4];
    ptrdiff_t end = span_find_char(span_sub(s, 0, 10), '}');
    if (!span_starts(s, SPAN("\\x{")) || end < 5 || num_hex(span_sub(s, 3, (size_t)end - 3), 0x10ffff, &value) < 0)
        return 0;
    *cp = (uint32_t)value;
    return value < 32 || (value >= 127 && value < 160) || utf8_encode(*cp, scratch) == 0 ? 0 : (size_t)end + 1;
}

/* utf-8-enc-addr: QCHAR, UTF-8, or a character by its number; it has no xtext inside (RFC 6533 3). */
static bool is_unitext(struct span s)
{
    uint32_t cp;
    for (size_t i = 0; i < s.n;) {
        size_t n = 1;
        if (at(s, i) == '\\')
            n = embedded(span_from(s, i), &cp);
        else if (at(s, i) == '+' || at(s, i) == '=')
            n = 0;
        if (n == 0)
            return false;
        i += n;
    }
    return utf8_valid(s);
}

static void add_unitext(struct str *out, struct span s)
{
    uint32_t cp;
    char utf8[4];
    for (size_t i = 0; i < s.n;) {
        size_t n = at(s, i) == '\\' ? embedded(span_from(s, i), &cp) : 0;
        if (n > 0)
            str_add(out, span_of(utf8, utf8_encode(cp, utf8)));
        else
            str_addc(out, s.p[i]);
        i += MAX_OF(n, (size_t)1);
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static int read_size(struct span value, struct smtp_params *p)
{
    p->has_size = true;
    return num_u64(value, INT64_MAX, &p->size); /* RFC 1870 3: 1*20DIGIT; SEC-06 ends them at 2^63-1 */
}

static int read_body(struct span value, struct smtp_params *p)
{
    p->body = span_eq_nocase(value, SPAN("8BITMIME")) ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
    return p->body == SMTP_BODY_8BITMIME || span_eq_nocase(value, SPAN("7BIT")) ? 0 : -1;
}

static int read_utf8(struct span value, struct smtp_params *p)
{
    p->utf8 = true;
    return value.p == NULL ? 0 : -1; /* RFC 6531 3.4: has no value */
}

static int read_ret(struct span value, struct smtp_params *p)
{
    p->ret = span_eq_nocase(value, SPAN("FULL")) ? DSN_RET_FULL
             : span_eq_nocase(value, SPAN("HDRS")) ? DSN_RET_HDRS
                                                   : DSN_RET_NONE;
    return p->ret == DSN_RET_NONE ? -1 : 0;
}

static int read_envid(struct span value, struct smtp_params *p)
{
    p->envid = value;
    return value.n > 0 && value.n <= ENVID_MAX && is_xtext(value) ? 0 : -1;
}

/* RFC 4954 5: whoever it names, nobody is trusted to say so: it is checked and counts as <>. */
static int read_auth(struct span value, struct smtp_params *p)
{
    return span_eq(value, SPAN("<>")) || (value.n > 0 && is_xtext(value)) ? 0 : -1;
}

static int read_notify(struct span value, struct smtp_params *p)
{
    static const struct { const char *word; uint32_t bit; } words[] = {
        {"NEVER", DSN_NEVER}, {"SUCCESS", DSN_SUCCESS}, {"FAILURE", DSN_FAILURE}, {"DELAY", DSN_DELAY},
    };
    while (value.p != NULL) {
        struct span word = span_split(&value, ',');
        size_t i = 0;
        while (i < COUNT_OF(words) && !span_eq_nocase(word, span_z(words[i].word)))
            i++;
        if (i == COUNT_OF(words))
            return -1;
        p->notify |= words[i].bit;
    }
    /* RFC 3461 4.1: NEVER stands alone */
    return p->notify == 0 || ((p->notify & DSN_NEVER) && p->notify != DSN_NEVER) ? -1 : 0;
}

static int read_orcpt(struct span value, struct smtp_params *p)
{
    struct span rest = value, type = span_split(&rest, ';');
    p->orcpt = value;
    if (value.n > ORCPT_MAX || type.n == 0 || rest.n == 0)
        return -1;
    for (size_t i = 0; i < type.n; i++)
        if (!is_alnum(at(type, i)) && at(type, i) != '-')
            return -1;
    return (span_eq_nocase(type, SPAN("utf-8")) ? is_unitext(rest) : is_xtext(rest)) ? 0 : -1;
}

void smtp_param_orcpt(struct str *out, struct span orcpt)
{
    struct span rest = orcpt, type = span_split(&rest, ';');
    str_add(out, type);
    str_addc(out, ';');
    (span_eq_nocase(type, SPAN("utf-8")) ? add_unitext : smtp_param_xtext)(out, rest);
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    enum smtp_command on;
    enum smtp_ext ext;
    int (*read)(struct span value, struct smtp_params *p);
} rows[] = {
    {"SIZE", SMTP_MAIL, SMTP_EXT_CORE, read_size},
    {"BODY", SMTP_MAIL, SMTP_EXT_CORE, read_body},
    {"SMTPUTF8", SMTP_MAIL, SMTP_EXT_UTF8, read_utf8},
    {"RET", SMTP_MAIL, SMTP_EXT_DSN, read_ret},
    {"ENVID", SMTP_MAIL, SMTP_EXT_DSN, read_envid},
    {"AUTH", SMTP_MAIL, SMTP_EXT_AUTH, read_auth},
    {"NOTIFY", SMTP_RCPT, SMTP_EXT_DSN, read_notify},
    {"ORCPT", SMTP_RCPT, SMTP_EXT_DSN, read_orcpt},
};

static int one(struct span keyword, struct span value, enum smtp_command on, unsigned ext, struct smtp_params *p)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        if (row->on != on || !(row->ext & ext) || !span_eq_nocase(keyword, span_z(row->name)))
            continue;
        if (p->seen & (1u << i) || row->read(value, p) < 0) /* RFC 3461 4.5: twice is 501 */
            return SMTP_PARAM_BAD;
        p->seen |= 1u << i;
        return 0;
    }
    return SMTP_PARAM_UNKNOWN;
}

/* What begins at `c`, where a rule cannot go on. */
static int refuse(unsigned char c, int error)
{
    return c >= 0x80 ? SMTP_8BIT : error;
}

int smtp_param_take(struct span in, enum smtp_command on, unsigned ext, struct smtp_params *p)
{
    size_t n = 0;
    while (n < in.n) {
        if (at(in, n) != ' ')
            return SMTP_BAD_SYNTAX;
        while (at(in, n) == ' ')
            n++;
        if (n == in.n)
            return 0; /* spaces at the end: RFC 5321 4.1.1 asks to tolerate them */
        size_t key = n;
        while (is_alnum(at(in, n)) || (n > key && at(in, n) == '-'))
            n++;
        struct span keyword = span_sub(in, key, n - key);
        struct span value = SPAN_NONE;
        if (at(in, n) == '=') {
            size_t v = ++n;
            /* RFC 6531 3.4: esmtp-value gets UTF-8 */
            while (at(in, n) > 32 && at(in, n) != 127 && at(in, n) != '=' && (at(in, n) < 127 || (ext & SMTP_EXT_UTF8)))
                n++;
            value = span_sub(in, v, n - v);
            if (value.n == 0)
                return refuse(at(in, n), SMTP_PARAM_BAD);
        }
        if (keyword.n == 0)
            return refuse(at(in, n), SMTP_BAD_SYNTAX);
        int r = one(keyword, value, on, ext, p);
        if (r < 0)
            return r;
    }
    return 0;
}
