/* downgrade_text: what is not ASCII in text, comments and phrases becomes encoded words. */
#include "format/downgrade_text.h"

#include "format/encword.h"

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool downgrade_text_high(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] & 0x80)
            return true;
    return false;
}

static size_t quoted(struct span s, size_t at, char close)
{
    for (at++; at < s.n && s.p[at] != close; at++)
        at += s.p[at] == '\\';
    return MIN_OF(at + 1, s.n);
}

/* RFC 5322 3.2.2 */
static size_t comment(struct span s, size_t at)
{
    for (size_t depth = 0; at < s.n; at++) {
        depth += s.p[at] == '(';
        if (s.p[at] == ')' && --depth == 0)
            return at + 1;
        at += s.p[at] == '\\';
    }
    return s.n;
}

size_t downgrade_text_skip(struct span s, size_t at)
{
    if (s.p[at] == '"')
        return quoted(s, at, '"');
    if (s.p[at] == '(')
        return comment(s, at);
    char close = s.p[at] == '<' ? '>' : ']';
    size_t end = at + 1;
    while (end < s.n && s.p[end] != close)
        end = s.p[end] == '"' ? quoted(s, end, '"') : end + 1;
    return end < s.n ? end + 1 : at + 1; /* it is never closed: then it opens nothing */
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static size_t blanks_end(struct span s, size_t at)
{
    while (at < s.n && is_blank(s.p[at]))
        at++;
    return at;
}

static size_t word_end(struct span s, size_t at)
{
    while (at < s.n && !is_blank(s.p[at]))
        at++;
    return at;
}

static bool encoded_shape(struct span word)
{
    return word.n > 8 && span_starts(word, SPAN("=?")) && word.p[word.n - 2] == '?' && word.p[word.n - 1] == '=';
}

/* The words from `at` on that are not ASCII, up to the end of the last one; with the blanks behind it when an encoded word
 * follows: what stands between two of those is not shown (RFC 2047 6.2). */
static size_t run_end(struct span s, size_t at)
{
    size_t end = word_end(s, at);
    for (;;) {
        size_t next = blanks_end(s, end), next_end = word_end(s, next);
        struct span word = span_sub(s, next, next_end - next);
        if (encoded_shape(word) && !downgrade_text_high(word))
            return next;
        if (!downgrade_text_high(word))
            return end;
        end = next_end;
    }
}

void downgrade_text_words(struct str *out, struct span s)
{
    bool after_encoded = false;
    for (size_t at = 0; at < s.n;) {
        size_t from = blanks_end(s, at), end = word_end(s, from);
        struct span word = span_sub(s, from, end - from);
        if (!downgrade_text_high(word)) {
            str_add(out, span_sub(s, at, end - at));
            after_encoded = encoded_shape(word);
            at = end;
            continue;
        }
        end = run_end(s, from);
        if (after_encoded) { /* the blanks go into the word */
            str_addc(out, ' ');
            from = at;
        } else {
            str_add(out, span_sub(s, at, from - at));
        }
        encword_write(out, span_sub(s, from, end - from));
        if (end < s.n && !is_blank(s.p[end]))
            str_addc(out, ' ');
        after_encoded = true;
        at = end;
    }
}

/* ---- comments ---------------------------------------------------------------------------------------------------------- */

static void one_comment(struct str *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            i++;
        } else if (s.p[i] == '(' || s.p[i] == ')') {
            downgrade_text_words(out, span_sub(s, from, i - from));
            str_addc(out, s.p[i]);
            from = i + 1;
        }
    }
    downgrade_text_words(out, span_from(s, from));
}

void downgrade_text_comments(struct str *out, struct span s)
{
    for (size_t at = 0; at < s.n;) {
        bool comment = s.p[at] == '(';
        size_t end = comment || s.p[at] == '"' ? downgrade_text_skip(s, at) : at + 1;
        if (comment)
            one_comment(out, span_sub(s, at, end - at));
        else
            str_add(out, span_sub(s, at, end - at));
        at = end;
    }
}

void downgrade_text_keep_comments(struct str *out, struct span s)
{
    for (size_t at = 0; at < s.n;) {
        bool comment = s.p[at] == '(';
        size_t end = comment || s.p[at] == '"' ? downgrade_text_skip(s, at) : at + 1;
        if (comment) {
            str_addc(out, ' ');
            str_add(out, span_sub(s, at, end - at));
            if (s.p[end - 1] != ')')
                str_addc(out, ')');
        }
        at = end;
    }
}

/* ---- phrases ----------------------------------------------------------------------------------------------------------- */

static void add_unquoted(struct str *out, struct span s)
{
    for (size_t i = 1; i < s.n && s.p[i] != '"'; i++) {
        i += s.p[i] == '\\' && i + 1 < s.n;
        str_addc(out, s.p[i]);
    }
}

void downgrade_text_phrase(struct str *out, struct span s, bool more)
{
    struct str text, decoded;
    s = span_trim(s);
    if (!downgrade_text_high(s)) {
        str_add(out, s);
        return;
    }
    str_init(&text, out->mem);
    str_init(&decoded, out->mem);
    for (size_t at = 0; at < s.n;) {
        bool open = s.p[at] == '"' || s.p[at] == '(';
        size_t end = open ? downgrade_text_skip(s, at) : is_blank(s.p[at]) ? blanks_end(s, at) : at + 1;
        if (s.p[at] == '"')
            add_unquoted(&text, span_sub(s, at, end - at));
        else if (s.p[at] == '(' || is_blank(s.p[at]))
            str_addc(&text, ' ');
        else
            str_addc(&text, s.p[at]);
        at = end;
    }
    encword_decode(&decoded, str_span(&text)); /* RFC 2047 words that stood beside the others become one text with them */
    if (more)
        str_addc(&decoded, ' ');
    encword_write(out, str_span(&decoded));
    downgrade_text_keep_comments(out, s);
}
