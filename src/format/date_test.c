/* date: RFC 5322 3.3 and 4.3; expected values from `date -ud`. */
#include "format/date.h"

#include "format/format_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


#define BAD INT64_MIN
static const struct {
    struct span in;
    int64_t want;
} rows[] = {
    {IN("Tue, 1 Jul 2003 10:52:37 +0200"), 1057049557},
    {IN("Fri, 21 Nov 1997 09:55:06 -0600"), 880127706},
    {IN("Thu,\r\n   13\r\n  Feb\r\n    1969\r\n  23:32\r\n  -0330 (Newfoundland Time)\r\n"), -27723480},
    {IN(" 1 Jul 2003 ((tricky)\r\n comment) 10:52:37 +0200"), 1057049557},
    {IN("21 Nov 97 09:55:06 GMT"), 880106106},
    {IN("21 Nov 97 09:55:06 EST"), 880124106},
    {IN("21 Nov 97 09:55:06 Z"), 880106106},
    {IN("21 Nov 97 09:55:06 A"), 880106106},    /* RFC 5322 4.3: military zones mean nothing */
    {IN("21 Nov 97 09:55:06 MEST"), 880106106},
    {IN("21 Nov 97 09:55:06"), 880106106},
    {IN("Thu, 01 Jan 70 00:00:00 +0000"), 0},
    {IN("1 Jan 49 00:00:00 +0000"), 2493072000},
    {IN("1 Jan 50 00:00:00 +0000"), -631152000},
    {IN("1 Jan 103 00:00:00 +0000"), 1041379200},
    {IN("29 Feb 2000 0:0:0 +0000"), 951782400},
    {IN("31 Dec 2016 23:59:60 +0000"), 1483228800}, /* leap second */
    {IN("1 Jan 1900 00:00:00 +0000"), -2208988800},
    {IN("31 Dec 9999 23:59:59 -0000"), 253402300799},
    {IN("Tue , 1 Jul 2003 10 : 52 : 37 +0200"), 1057049557},
    {IN("Tue 1 July 2003 10:52:37 +0200"), 1057049557},
    {IN("Tue, 1 Jul 2003 10:52:37 +0200 trailing"), 1057049557},
    {IN("29 Feb 1900 00:00:00 +0000"), BAD},
    {IN("30 Feb 2000 00:00:00 +0000"), BAD},
    {IN("31 Apr 2000 00:00:00 +0000"), BAD},
    {IN("0 Jan 2000 00:00:00 +0000"), BAD},
    {IN("1 Foo 2000 00:00:00 +0000"), BAD},
    {IN("1 Jan 2000 24:00:00 +0000"), BAD},
    {IN("1 Jan 2000 00:60:00 +0000"), BAD},
    {IN("1 Jan 2000 00:00:61 +0000"), BAD},
    {IN("1 Jan 2000 00:00:00 +0060"), BAD},
    {IN("1 Jan 2000 00:00:00 +000"), BAD},
    {IN("1 Jan 2000 00:00:00 +00000"), BAD},
    {IN("1 Jan 20000 00:00:00 +0000"), BAD},
    {IN("1 Jan 1899 00:00:00 +0000"), BAD},
    {IN("1 Jan 2 00:00:00 +0000"), BAD},
    {IN("1 Jan 99999999999999999999 00:00:00 +0000"), BAD},
    {IN("111111111111111 Jan 2000 00:00:00 +0000"), BAD},
    {IN("1 Jan 2000"), BAD},
    {IN("1 Jan 2000 12"), BAD},
    {IN("(all comment"), BAD},
    {IN("now"), BAD},
    {IN(""), BAD},
};

static void table(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t got = BAD;
        if (date_parse(rows[i].in, &got) != (rows[i].want == BAD ? -1 : 0) || got != rows[i].want)
            fail_msg("row %zu: %lld", i, (long long)got);
    }
}

static void prefix(struct span in, struct arena *mem)
{
    int64_t got;
    (void)!date_parse(in, &got);
}

static void truncated(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        format_testing_prefixes(rows[i].in, prefix);
}

static void days(void **state)
{
    struct tm tm;
    for (int64_t d = -25567; d < 60000; d += 13) {
        time_t t = d * 86400;
        gmtime_r(&t, &tm);
        assert_int_equal(date_days(tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday), d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(truncated), cmocka_unit_test(days)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
