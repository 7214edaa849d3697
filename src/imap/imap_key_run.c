/* Runs the compiled keys over what is known of a message: what cannot be known yet is neither true nor false, and often
 * does not matter. Exports imap_key_run. */
#include "base/num.h"
#include "format/date.h"
#include "imap/imap_key.h"

enum { DAY_MS = 86400000, ENVELOPE_SURE = 16384, TEXT_MAX = 2000 };

static bool in_set(const struct imap_key *key, uint32_t index)
{
    uint32_t low = 0, high = key->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (key->idx[mid].last < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low < key->n && key->idx[low].first <= index;
}

static bool has_word(struct span words, struct span word)
{
    while (words.n > 0)
        if (span_eq_nocase(span_split(&words, ' '), word))
            return true;
    return false;
}

static int64_t day_of(int64_t ms)
{
    return (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
}

/* ---- envelopes --------------------------------------------------------------------------------------------------------- */

/* Reads the value at the start of *at: a quoted string, a literal, NIL, or "(" or ")" alone; skips a space before it.
 * *plain: false when escapes stand in it or it is a literal. */
static bool next_value(struct span *at, struct span *value, char *kind, bool *plain)
{
    size_t n = 1;
    *plain = true;
    *value = SPAN("");
    if (at->n > 0 && at->p[0] == ' ')
        *at = span_from(*at, 1);
    if (at->n == 0)
        return false;
    *kind = at->p[0];
    if (*kind == '"') {
        for (; n < at->n && at->p[n] != '"'; n++)
            if (at->p[n] == '\\') {
                *plain = false;
                n++;
            }
        if (n >= at->n)
            return false;
        *value = span_sub(*at, 1, n - 1);
        n++;
    } else if (*kind == '{') {
        uint64_t size;
        ptrdiff_t digits = num_u64_prefix(span_from(*at, 1), at->n, &size);
        if (digits < 0 || (n += (size_t)digits + 3) + size > at->n)
            return false;
        *value = span_sub(*at, n, (size_t)size);
        *plain = false;
        n += size;
    } else if (*kind == 'N') {
        n = 3;
    } else if (*kind != '(' && *kind != ')') {
        return false; /* no envelope of ours */
    }
    *at = span_from(*at, n);
    return true;
}

/* The texts of envelope item `item` (0 date, 1 subject, 2 from, 3 sender, 4 reply-to, 5 to, 6 cc, 7 bcc, 8 in-reply-to,
 * 9 message-id) in `text`, addresses as "name <box@host>, ". -1 when that cannot be said here: literals, encoded words, too
 * long; else its length; *nil: there is none. */
static ptrdiff_t envelope_text(struct span envelope, unsigned item, char text[TEXT_MAX], bool *nil)
{
    static const char *const behind[] = {" ", "", "@", ""}; /* name adl mailbox host */
    struct span value;
    size_t n = 0;
    unsigned at = 0, depth = 0, part = 0;
    char kind;
    bool plain;
    *nil = true;
    if (envelope.n == 0 || envelope.n > ENVELOPE_SURE || !next_value(&envelope, &value, &kind, &plain) || kind != '(')
        return -1;
    while (at <= item) {
        if (!next_value(&envelope, &value, &kind, &plain))
            return -1;
        if (kind == '(') {
            depth++;
            part = 0;
        } else if (kind == ')') {
            if (depth == 0)
                return -1;
            depth--;
        } else if (at == item && kind != 'N') {
            const char *open = depth > 0 && part == 2 ? "<" : "", *close = depth == 0 ? "" : part < 3 ? behind[part] : ">, ";
            if (!plain || span_find(value, SPAN("=?")) >= 0 || n + value.n + 8 > TEXT_MAX)
                return -1;
            n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s%.*s%s", open, SPAN_ARGS(value), close);
            *nil = false;
        }
        if (kind != '(' && kind != ')')
            part++;
        at += depth == 0;
    }
    return (ptrdiff_t)n;
}

static bool contains_nocase(struct span s, struct span what)
{
    if (what.n == 0)
        return true;
    for (size_t i = 0; i + what.n <= s.n; i++)
        if (((s.p[i] ^ what.p[0]) & ~0x20) == 0 && span_eq_nocase(span_sub(s, i, what.n), what))
            return true;
    return false;
}

static bool ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 127)
            return false;
    return true;
}

static const struct { struct span name; unsigned item; bool unlike; } items[] = { /* unlike: its text is not the field's */
    {SPAN("SUBJECT"), 1, false}, {SPAN("FROM"), 2, true}, {SPAN("TO"), 5, true},          {SPAN("CC"), 6, true},
    {SPAN("BCC"), 7, true},      {SPAN("MESSAGE-ID"), 9, false}, {SPAN("IN-REPLY-TO"), 8, false},
};

static enum imap_key_truth in_envelope(const struct imap_key_string *s, struct span envelope)
{
    char text[TEXT_MAX];
    bool nil;
    if (s->where != IMAP_KEY_HEADER || !ascii(s->text))
        return IMAP_KEY_UNKNOWN;
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        if (!span_eq_nocase(s->name, items[i].name) || (items[i].unlike && !s->envelope && s->text.n > 0))
            continue;
        ptrdiff_t n = envelope_text(envelope, items[i].item, text, &nil);
        if (n < 0)
            return IMAP_KEY_UNKNOWN;
        return !nil && contains_nocase(span_of(text, (size_t)n), s->text) ? IMAP_KEY_YES : IMAP_KEY_NO;
    }
    return IMAP_KEY_UNKNOWN;
}

/* The day in the Date field, in the sender's own zone (RFC 9051 6.4.4: "disregarding time and timezone"). */
static bool sent_day(struct span envelope, int64_t *day)
{
    char text[TEXT_MAX];
    bool nil;
    int64_t seconds;
    ptrdiff_t n = envelope_text(envelope, 0, text, &nil);
    ptrdiff_t colon = n > 0 ? span_find_char(span_of(text, (size_t)n), ':') : -1;
    if (colon < 0)
        return false;
    size_t end = (size_t)colon;
    while (end < (size_t)n && text[end] != ' ')
        end++;
    if (end + 7 > sizeof text)
        return false;
    memcpy(text + end, " +0000", 6);
    if (date_parse(span_of(text, end + 6), &seconds) != 0)
        return false;
    *day = day_of(seconds * 1000);
    return true;
}

/* ---- the machine -------------------------------------------------------------------------------------------------------- */

static bool compare(enum imap_key_op op, int64_t day, int64_t want)
{
    switch (op) {
    case IMAP_KEY_BEFORE:
    case IMAP_KEY_SENT_BEFORE: return day < want;
    case IMAP_KEY_ON:
    case IMAP_KEY_SENT_ON: return day == want;
    default: return day >= want;
    }
}

static enum imap_key_truth by_row(const struct imap_key *key, const struct msg_member_row *row)
{
    int64_t day;
    if (row == NULL)
        return IMAP_KEY_UNKNOWN;
    if (key->op == IMAP_KEY_LARGER)
        return row->size > (uint64_t)key->number;
    if (key->op == IMAP_KEY_SMALLER)
        return row->size < (uint64_t)key->number;
    if (key->op <= IMAP_KEY_SINCE)
        return compare(key->op, day_of(row->internal_ms), key->number);
    return sent_day(row->envelope, &day) && compare(key->op, day, key->number);
}

static enum imap_key_truth leaf(const struct imap_keys *keys, const struct imap_key *key, const struct imap_key_facts *f)
{
    const struct imap_message *m = &f->view->v[f->index];
    switch (key->op) {
    case IMAP_KEY_TRUE: return IMAP_KEY_YES;
    case IMAP_KEY_FALSE: return IMAP_KEY_NO;
    case IMAP_KEY_FLAG: return (m->flags & key->flag) != 0;
    case IMAP_KEY_KEYWORD: return has_word(imap_view_keywords(f->view, m), key->keyword);
    case IMAP_KEY_SET: return in_set(key, f->index);
    case IMAP_KEY_STRING:
        if (f->found != NULL)
            return (*f->found >> key->string & 1) != 0;
        return f->row == NULL ? IMAP_KEY_UNKNOWN : in_envelope(&keys->strings[key->string], f->row->envelope);
    default: return by_row(key, f->row);
    }
}

static enum imap_key_truth both(enum imap_key_truth a, enum imap_key_truth b)
{
    if (a == IMAP_KEY_NO || b == IMAP_KEY_NO)
        return IMAP_KEY_NO;
    return a == IMAP_KEY_YES && b == IMAP_KEY_YES ? IMAP_KEY_YES : IMAP_KEY_UNKNOWN;
}

static enum imap_key_truth not(enum imap_key_truth a)
{
    return a == IMAP_KEY_UNKNOWN ? a : a == IMAP_KEY_NO ? IMAP_KEY_YES : IMAP_KEY_NO;
}

enum imap_key_truth imap_key_run(const struct imap_keys *keys, const struct imap_key_facts *facts)
{
    /* An AND or OR takes two values where it was pushed behind two: nesting and one for each level bound the stack */
    unsigned char stack[2 * IMAP_KEY_NEST + 4];
    size_t top = 0;
    for (uint32_t i = 0; i < keys->n; i++) {
        const struct imap_key *key = &keys->v[i];
        assert(top < sizeof stack);
        if (key->op == IMAP_KEY_NOT) {
            stack[top - 1] = (unsigned char)not(stack[top - 1]);
        } else if (key->op == IMAP_KEY_AND || key->op == IMAP_KEY_OR) {
            enum imap_key_truth a = stack[top - 2], b = stack[top - 1];
            top--;
            stack[top - 1] = (unsigned char)(key->op == IMAP_KEY_AND ? both(a, b) : not(both(not(a), not(b))));
        } else {
            stack[top++] = (unsigned char)leaf(keys, key, facts);
        }
    }
    return top == 1 ? stack[0] : IMAP_KEY_NO;
}
