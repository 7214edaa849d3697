/* date: reads RFC 5322 dates: words, numbers and comments in the order that the grammar gives. */
#include "format/date.h"

struct cursor {
    const char *p, *end;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* RFC 5322 3.2.2: blanks, folding and nested comments. */
static void skip_blank(struct cursor *c)
{
    size_t depth = 0;
    for (; c->p < c->end; c->p++) {
        if (*c->p == '(')
            depth++;
        else if (*c->p == ')' && depth > 0)
            depth--;
        else if (*c->p == '\\' && depth > 0 && c->p + 1 < c->end)
            c->p++;
        else if (depth == 0 && *c->p != ' ' && *c->p != '\t' && *c->p != '\r' && *c->p != '\n')
            return;
    }
}

static struct span word(struct cursor *c)
{
    const char *from = c->p;
    while (c->p < c->end && is_alpha(*c->p))
        c->p++;
    return span_of(from, (size_t)(c->p - from));
}

/* least..most digits; returns how many, 0 when there are fewer or more. */
static unsigned number(struct cursor *c, unsigned least, unsigned most, unsigned *out)
{
    unsigned n = 0, v = 0;
    for (; c->p < c->end && is_digit(*c->p) && n <= most; c->p++, n++)
        v = v * 10 + (unsigned)(*c->p - '0');
    *out = v;
    return n >= least && n <= most ? n : 0;
}

static bool take(struct cursor *c, char what)
{
    skip_blank(c);
    if (c->p >= c->end || *c->p != what)
        return false;
    c->p++;
    skip_blank(c);
    return true;
}

static unsigned month_of(struct span w)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (w.n < 3)
        return 0; /* "June" is taken as "Jun": seen in the wild, and cannot mean anything else */
    for (unsigned i = 0; i < 12; i++)
        if (span_eq_nocase(span_of(w.p, 3), span_of(names + 3 * i, 3)))
            return i + 1;
    return 0;
}

/* RFC 5322 4.3: names of zones; one that is not known counts as -0000, that is UTC. */
static int zone_named(struct span w)
{
    static const struct { const char *name; int hours; } zones[] = {
        {"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6}, {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8},
    };
    for (size_t i = 0; i < COUNT_OF(zones); i++)
        if (span_eq_nocase(w, span_z(zones[i].name)))
            return zones[i].hours * 3600;
    return 0;
}

/* Seconds east of UTC. A missing zone counts as UTC. */
static int zone(struct cursor *c, int *seconds)
{
    unsigned v;
    skip_blank(c);
    *seconds = 0;
    if (c->p >= c->end)
        return 0;
    if (*c->p != '+' && *c->p != '-') {
        *seconds = zone_named(word(c));
        return 0;
    }
    int sign = *c->p++ == '-' ? -1 : 1;
    if (number(c, 4, 4, &v) == 0 || v % 100 > 59)
        return -1;
    *seconds = sign * (int)(v / 100 * 3600 + v % 100 * 60);
    return 0;
}

int64_t date_days(int64_t year, unsigned month, unsigned day)
{
    /* years that begin in March, so that the leap day is the last one */
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned of_era = (unsigned)(y - era * 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned month_length(unsigned year, unsigned month)
{
    if (month == 2)
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static int day_month_year(struct cursor *c, unsigned *day, unsigned *month, unsigned *year)
{
    skip_blank(c);
    if (is_alpha(c->p < c->end ? *c->p : 0)) {
        word(c); /* the day of the week: may be wrong or misspelt, and says nothing new */
        take(c, ',');
    }
    if (number(c, 1, 2, day) == 0)
        return -1;
    skip_blank(c);
    *month = month_of(word(c));
    skip_blank(c);
    unsigned digits = number(c, 2, 4, year);
    if (*month == 0 || digits == 0)
        return -1;
    if (digits == 2) /* RFC 5322 4.3 */
        *year += *year < 50 ? 2000 : 1900;
    else if (digits == 3)
        *year += 1900;
    return *year >= 1900 && *day >= 1 && *day <= month_length(*year, *month) ? 0 : -1;
}

int date_parse(struct span value, int64_t *out)
{
    struct cursor c = {value.p, value.p + value.n};
    unsigned day, month, year, hour, minute, second = 0;
    int east;
    if (value.n == 0 || day_month_year(&c, &day, &month, &year) != 0)
        return -1;
    skip_blank(&c);
    if (number(&c, 1, 2, &hour) == 0 || !take(&c, ':') || number(&c, 1, 2, &minute) == 0)
        return -1;
    if (take(&c, ':') && number(&c, 1, 2, &second) == 0)
        return -1;
    if (hour > 23 || minute > 59 || second > 60 || zone(&c, &east) != 0)
        return -1;
    *out = date_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
    return 0;
}
