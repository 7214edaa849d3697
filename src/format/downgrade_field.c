/* downgrade_field: which method each field has (RFC 6857 3.2), and the methods. */
#include "base/utf8.h"
#include "format/downgrade.h"
#include "format/downgrade_address.h"
#include "format/downgrade_mime.h"
#include "format/downgrade_text.h"
#include "format/dsn.h"
#include "format/encword.h"
#include "format/header.h"
#include "format/idna.h"

/* Writes the new value of a field; s: unfolded UTF-8. False: there is none, and the whole field is encapsulated. */
typedef bool method(struct str *out, struct span s, struct arena *mem);

/* RFC 6857 3.2.6, 3.2.8 */
static bool text(struct str *out, struct span s, struct arena *mem)
{
    downgrade_text_words(out, s);
    return true;
}

/* RFC 6857 3.2.1 */
static bool addresses(struct str *out, struct span s, struct arena *mem)
{
    downgrade_address_list(out, s, mem);
    return true;
}

/* RFC 6857 3.2.2: what is not ASCII outside of comments should not be there; it becomes text */
static bool comments(struct str *out, struct span s, struct arena *mem) { return text(out, s, mem); }

/* RFC 6857 3.2.3 */
static bool ids(struct str *out, struct span s, struct arena *mem) { return false; }

/* RFC 6857 3.2.7 */
static bool phrases(struct str *out, struct span s, struct arena *mem)
{
    for (size_t at = 0; at < s.n;) {
        size_t from = at;
        while (at < s.n && s.p[at] != ',')
            at = s.p[at] == '"' || s.p[at] == '(' ? downgrade_text_skip(s, at) : at + 1;
        downgrade_text_phrase(out, span_sub(s, from, at - from), false);
        if (at < s.n)
            str_addz(out, ", ");
        at += at < s.n;
    }
    return true;
}

/* ---- Received (RFC 6857 3.2.4) ----------------------------------------------------------------------------------------- */

/* A domain, or the address of FOR, in ASCII. False: it has no such form. */
static bool put_named(struct str *out, struct span s)
{
    char domain[255];
    bool angle = s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>';
    struct span inner = angle ? span_sub(s, 1, s.n - 2) : s;
    ptrdiff_t cut = span_rfind_char(inner, '@');
    struct span local = span_sub(inner, 0, cut < 0 ? 0 : (size_t)cut + 1);
    size_t n = utf8_ascii(local) ? idna_ascii(span_from(inner, local.n), domain, sizeof domain) : 0;
    if (n == 0)
        return false;
    str_addz(out, angle ? "<" : "");
    str_add(out, local);
    str_add(out, span_of(domain, n));
    str_addz(out, angle ? ">" : "");
    return true;
}

/* One word that is not ASCII. clause: where the word before it, its keyword, began in out. */
static void received_word(struct str *out, struct span word, struct span keyword, size_t clause)
{
    if (put_named(out, word))
        return;
    if (span_eq_nocase(keyword, SPAN("for")) || span_eq_nocase(keyword, SPAN("id"))) {
        out->n = clause;
        return;
    }
    str_addc(out, '('); /* what it said stays readable */
    encword_write(out, word);
    str_addc(out, ')');
}

static bool received(struct str *out, struct span s, struct arena *mem)
{
    struct span keyword = SPAN("");
    size_t clause = 0;
    for (size_t at = 0; at < s.n;) {
        size_t end = at + 1, start = out->n;
        if (s.p[at] == '(' || s.p[at] == '"')
            end = downgrade_text_skip(s, at);
        else if (s.p[at] != ' ' && s.p[at] != '\t')
            while (end < s.n && strchr(" \t(;", s.p[end]) == NULL)
                end++;
        struct span word = span_sub(s, at, end - at);
        at = end;
        if (downgrade_text_high(word))
            received_word(out, word, keyword, clause);
        else
            str_add(out, word);
        if (word.p[0] != ' ' && word.p[0] != '\t' && word.p[0] != '(') {
            keyword = word;
            clause = start;
        }
    }
    return true;
}

/* ---- recipients of delivery reports (RFC 6857 3.1.9) -------------------------------------------------------------------- */

static bool type_addr(struct str *out, struct span s, struct arena *mem)
{
    struct span addr = s, type = span_trim(span_split(&addr, ';'));
    if (addr.p == NULL || !span_eq_nocase(type, SPAN("utf-8")))
        return false;
    str_addz(out, "utf-8; ");
    dsn_write_unitext(out, span_trim(addr));
    return true;
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; method *run; } table[] = {
    {"From", addresses}, {"Sender", addresses}, {"Reply-To", addresses}, {"To", addresses}, {"Cc", addresses},
    {"Bcc", addresses}, {"Resent-From", addresses}, {"Resent-Sender", addresses}, {"Resent-Reply-To", addresses},
    {"Resent-To", addresses}, {"Resent-Cc", addresses}, {"Resent-Bcc", addresses}, {"Return-Path", addresses},
    {"Disposition-Notification-To", addresses},
    {"Delivered-To", addresses}, /* RFC 9228: not in RFC 6857, whose 3.2.8 wants the method that fits */
    {"Date", comments}, {"Resent-Date", comments}, {"MIME-Version", comments}, {"Content-ID", comments},
    {"Content-Transfer-Encoding", comments}, {"Content-Language", comments}, {"Accept-Language", comments},
    {"Auto-Submitted", comments},
    {"Message-ID", ids}, {"Resent-Message-ID", ids}, {"In-Reply-To", ids}, {"References", ids},
    {"Received", received}, {"Keywords", phrases},
    {"Content-Type", downgrade_mime_type}, {"Content-Disposition", downgrade_mime_disposition},
    {"Original-Recipient", type_addr}, {"Final-Recipient", type_addr},
};

static method *method_of(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (span_eq_nocase(name, span_z(table[i].name)))
            return table[i].run;
    return text;
}

/* The name is written here and not by header_write, which wants it to be short. */
static bool write_field(struct str *out, struct span prefix, struct span name, struct span value)
{
    struct str field;
    str_init(&field, out->mem);
    if (value.n == 0)
        str_addz(&field, "X: \r\n");
    else if (header_write(&field, SPAN("X"), value) != 0)
        return false;
    str_add(out, prefix);
    str_add(out, name);
    str_add(out, span_from(str_span(&field), 1));
    return true;
}

bool downgrade_field(struct str *out, struct span name, struct span value, struct arena *mem)
{
    struct span plain = header_unfold(value, mem);
    struct str passed, done;
    method *run = method_of(name);
    if (!downgrade_text_high(plain) || !utf8_valid(plain))
        return false;
    str_init(&passed, mem);
    str_init(&done, mem);
    if (run != text) /* RFC 6857 3.1.3 comes first, and may be all */
        downgrade_text_comments(&passed, plain);
    struct span s = run != text ? str_span(&passed) : plain;
    bool fine = !downgrade_text_high(s);
    if (fine)
        str_add(&done, s);
    else if (run(&done, s, mem))
        fine = !downgrade_text_high(str_span(&done));
    if (fine && write_field(out, SPAN(""), name, span_trim(str_span(&done))))
        return true;
    /* RFC 6857 3.1.10: as a last resort all of it in a field that nobody reads for what it was; Received is no such field,
     * and text cannot come here but by a word of 1,000 letters */
    str_clear(&done);
    (run == ids || run == type_addr ? downgrade_text_words : encword_write)(&done, plain);
    bool encapsulate = run == ids || run == type_addr;
    return write_field(out, encapsulate ? SPAN("Downgraded-") : SPAN(""), name, str_span(&done));
}
