/* clock: the test page's offsets, and dates against gmtime_r. */
#include "base/clock.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void dates(void **state)
{
    static const struct {
        int64_t s;
        const char *want;
    } rows[] = {
        {0, "Thu, 1 Jan 1970 00:00:00 +0000"},           {951782399, "Mon, 28 Feb 2000 23:59:59 +0000"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 +0000"},  {1795551420, "Tue, 24 Nov 2026 20:17:00 +0000"},
        {4107542400, "Mon, 1 Mar 2100 00:00:00 +0000"},  {253402300799, "Fri, 31 Dec 9999 23:59:59 +0000"},
        {-1, "Thu, 1 Jan 1970 00:00:00 +0000"},          {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000"},
    };
    char out[32], want[40];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        clock_rfc5322(rows[i].s, out);
        assert_string_equal(out, rows[i].want);
    }
    for (int i = 0; i < 20000; i++) {
        time_t t = (time_t)rand_below(UINT64_C(253402300800));
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "%a, %-d %b %Y %H:%M:%S +0000", &tm);
        clock_rfc5322(t, out);
        assert_string_equal(out, want);
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.042Z", &tm);
        clock_rfc3339((int64_t)t * 1000 + 42, out);
        assert_string_equal(out, want);
    }
}

static void page(void **state)
{
    static struct clock_page p;
    int64_t wall = clock_now_ms(), mono = clock_mono_ms(), us = clock_mono_us();
    clock_use_page(&p);
    p.wall_offset_ms = 5000000; /* a jump of the wall clock moves no timer (REL-06) */
    assert_in_range(clock_now_ms() - wall, 5000000, 5010000);
    assert_in_range(clock_mono_ms() - mono, 0, 10000);
    p.mono_offset_ms = 70000; /* time that passes moves both */
    assert_in_range(clock_now_ms() - wall, 5070000, 5080000);
    assert_in_range(clock_mono_ms() - mono, 70000, 80000);
    assert_in_range(clock_mono_us() - us, 0, 10000000);
    assert_in_range(clock_now_s() - wall / 1000, 5070, 5080);
    clock_use_page(NULL);
    assert_in_range(clock_now_ms() - wall, 0, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates), cmocka_unit_test(page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
