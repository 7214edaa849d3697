/* Sets of message numbers, flags and dates. */
#include "base/limits.h"
#include "base/num.h"
#include "format/date.h"
#include "imap/imap_grammar.h"
#include "run/ipc_table.h"

/* ---- sets ---- */

static bool set_char(char c)
{
    return (c >= '0' && c <= '9') || c == ':' || c == ',' || c == '*';
}

static bool set_number(struct imap_lex *in, uint32_t *out)
{
    uint64_t n = 0;
    if (imap_grammar_may(in, '*')) {
        *out = IMAP_STAR;
        return true;
    }
    if (!imap_grammar_number(in, UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return n > 0 || imap_grammar_bad(in, "0 is the number of no message"); /* RFC 9051 9: nz-number */
}

bool imap_grammar_set(struct imap_lex *in, struct imap_set *out)
{
    *out = (struct imap_set){0};
    if (imap_grammar_may(in, '$')) {
        out->saved = true;
        return true;
    }
    size_t ranges = 1;
    for (size_t i = 0; i < in->at.n && set_char(in->at.p[i]); i++)
        ranges += in->at.p[i] == ',';
    if (ranges > (uint64_t)LIMIT(IMAP_RANGES))
        return imap_grammar_bad(in, "the set has too many ranges");
    out->v = arena_alloc(in->mem, ranges * sizeof *out->v);
    do {
        struct imap_range r;
        if (!set_number(in, &r.first))
            return false;
        r.last = r.first;
        if (imap_grammar_may(in, ':') && !set_number(in, &r.last))
            return false;
        /* RFC 9051 9: 4:2 and 2:4 are the same, and so are *:3 and 3:* */
        if (r.last != IMAP_STAR && (r.first == IMAP_STAR || r.first > r.last))
            r = (struct imap_range){r.last, r.first};
        out->v[out->n++] = r;
    } while (imap_grammar_may(in, ','));
    return true;
}

/* ---- flags ---- */

static const struct {
    struct span name;
    uint32_t flag;
} system_flags[] = {
    {SPAN("Seen"), FLAG_SEEN},       {SPAN("Answered"), FLAG_ANSWERED}, {SPAN("Flagged"), FLAG_FLAGGED},
    {SPAN("Deleted"), FLAG_DELETED}, {SPAN("Draft"), FLAG_DRAFT},       {SPAN("Recent"), 0}, /* RFC 3501 2.3.2: not ours to set */
};

static bool system_flag(struct imap_lex *in, struct imap_flags *out)
{
    struct span name;
    if (imap_grammar_may(in, '*'))
        return out->any = true;
    if (!imap_grammar_atom(in, &name))
        return false;
    for (size_t i = 0; i < COUNT_OF(system_flags); i++)
        if (span_eq_nocase(name, system_flags[i].name)) {
            out->flags |= system_flags[i].flag;
            return true;
        }
    return imap_grammar_bad(in, "there is no such system flag");
}

static bool one_flag(struct imap_lex *in, struct imap_flags *out, struct str *words)
{
    struct span word;
    if (imap_grammar_may(in, '\\'))
        return system_flag(in, out);
    if (!imap_grammar_atom(in, &word))
        return false;
    if (words->n > 0)
        str_addc(words, ' ');
    str_add(words, word);
    return true;
}

static bool flags_until(struct imap_lex *in, struct imap_flags *out, bool list)
{
    struct str words;
    *out = (struct imap_flags){0};
    str_init(&words, in->mem);
    if (list && imap_grammar_may_close(in))
        return true;
    do
        if (!one_flag(in, out, &words))
            return false;
    while (imap_grammar_may(in, ' '));
    out->keywords = str_span(&words);
    return !list || imap_grammar_close(in);
}

bool imap_grammar_flag_list(struct imap_lex *in, struct imap_flags *out)
{
    return imap_grammar_open(in) && flags_until(in, out, true);
}

bool imap_grammar_flags(struct imap_lex *in, struct imap_flags *out)
{
    return flags_until(in, out, imap_grammar_may_open(in)) && in->error == NULL;
}

/* ---- dates ---- */

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static bool digits(struct imap_lex *in, size_t n, uint64_t max, uint64_t *out)
{
    if (in->at.n < n || num_u64(span_sub(in->at, 0, n), max, out) != 0)
        return imap_grammar_bad(in, "that is no date");
    in->at = span_from(in->at, n);
    return true;
}

static bool month_and_year(struct imap_lex *in, uint64_t day, int64_t *days)
{
    static const unsigned char most[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t year = 0;
    unsigned month = 0;
    if (!imap_grammar_want(in, '-'))
        return false;
    while (month < 12 && !span_starts_nocase(in->at, span_of(months[month], 3)))
        month++;
    in->at = span_from(in->at, 3);
    if (month == 12 || !imap_grammar_want(in, '-') || !digits(in, 4, 9999, &year))
        return imap_grammar_bad(in, "that is no date");
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > most[month] || (month == 1 && day == 29 && !leap))
        return imap_grammar_bad(in, "no month has that day");
    *days = date_days((int64_t)year, month + 1, (unsigned)day);
    return true;
}

bool imap_grammar_date(struct imap_lex *in, int64_t *days)
{
    uint64_t day = 0;
    bool quote = imap_grammar_may(in, '"');
    size_t n = in->at.n > 1 && in->at.p[1] != '-' ? 2 : 1;
    *days = 0;
    return digits(in, n, 31, &day) && month_and_year(in, day, days) && (!quote || imap_grammar_want(in, '"'));
}

bool imap_grammar_date_time(struct imap_lex *in, int64_t *ms)
{
    uint64_t day = 0, hour = 0, minute = 0, second = 0, zone_h = 0, zone_m = 0;
    int64_t days = 0;
    *ms = 0;
    imap_grammar_want(in, '"');
    bool one = imap_grammar_may(in, ' '); /* RFC 9051 9: date-day-fixed */
    if (!digits(in, one ? 1 : 2, 31, &day) || !month_and_year(in, day, &days))
        return false;
    imap_grammar_want(in, ' ');
    digits(in, 2, 23, &hour);
    imap_grammar_want(in, ':');
    digits(in, 2, 59, &minute);
    imap_grammar_want(in, ':');
    digits(in, 2, 60, &second); /* a leap second */
    imap_grammar_want(in, ' ');
    bool west = imap_grammar_may(in, '-');
    if (!west)
        imap_grammar_want(in, '+');
    digits(in, 2, 23, &zone_h);
    digits(in, 2, 59, &zone_m);
    if (!imap_grammar_want(in, '"'))
        return false;
    int64_t zone_s = (int64_t)(zone_h * 3600 + zone_m * 60);
    *ms = (days * 86400 + (int64_t)(hour * 3600 + minute * 60 + second) - (west ? -zone_s : zone_s)) * 1000;
    return true;
}

/* ---- the same the other way ---- */

void imap_grammar_add_flags(struct str *out, uint32_t flags, struct span keywords)
{
    size_t start = out->n;
    str_addc(out, '(');
    for (size_t i = 0; i < COUNT_OF(system_flags); i++)
        if (flags & system_flags[i].flag) {
            str_addz(out, out->n > start + 1 ? " \\" : "\\");
            str_add(out, system_flags[i].name);
        }
    if (keywords.n > 0) {
        if (out->n > start + 1)
            str_addc(out, ' ');
        str_add(out, keywords);
    }
    str_addc(out, ')');
}

void imap_grammar_add_date_time(struct str *out, int64_t ms)
{
    time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;
    gmtime_r(&s, &tm);
    if (tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) /* the grammar has four digits */
        tm = (struct tm){.tm_mday = 1, .tm_year = 70};
    str_addf(out, "\"%02d-%s-%04d %02d:%02d:%02d +0000\"", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
}
