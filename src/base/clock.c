/* clock: time from the kernel plus the offsets of the test page. Dates are computed here and not by gmtime_r, which
 * may want to read the time zone's file from inside a sandbox. */
#include "base/clock.h"

#include <stdatomic.h>

static const struct clock_page *_Atomic shared_page;

static int64_t real_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_use_page(const struct clock_page *page) { atomic_store(&shared_page, page); }
bool clock_is_test(void) { return atomic_load(&shared_page) != NULL; }

int64_t clock_now_ms(void)
{
    const struct clock_page *page = atomic_load_explicit(&shared_page, memory_order_acquire);
    int64_t now = real_us(CLOCK_REALTIME) / 1000;
    if (page)
        now += atomic_load_explicit(&page->wall_offset_ms, memory_order_relaxed) +
               atomic_load_explicit(&page->mono_offset_ms, memory_order_relaxed);
    return now;
}

int64_t clock_now_s(void)
{
    int64_t ms = clock_now_ms();
    return (ms - (ms < 0 ? 999 : 0)) / 1000;
}

int64_t clock_mono_ms(void)
{
    const struct clock_page *page = atomic_load_explicit(&shared_page, memory_order_acquire);
    int64_t now = real_us(CLOCK_MONOTONIC) / 1000;
    if (page)
        now += atomic_load_explicit(&page->mono_offset_ms, memory_order_relaxed);
    return now;
}

int64_t clock_mono_us(void) { return real_us(CLOCK_MONOTONIC); }

struct date {
    int year, month, day, weekday, hour, minute, second; /* month 1..12, weekday 0 = Sunday */
};

/* Days to a date as in Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
static struct date date_of(int64_t s)
{
    /* A clock beyond the year 9999 is not ours to print: four digits is what mail has. */
    s = MAX_OF(MIN_OF(s, INT64_C(253402300799)), INT64_C(0));
    int64_t days = s / 86400, rest = s % 86400;
    int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct date){
        .year = (int)(yoe + era * 400 + (month <= 2)),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .weekday = (int)((days + 4) % 7),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
    };
}

void clock_rfc5322(int64_t wall_s, char out[32])
{
    static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct date d = date_of(wall_s);
    /* RFC 5322 3.3: "+0000" says that the time is UTC and nothing about the local zone would add to it */
    snprintf(out, 32, "%s, %d %s %04d %02d:%02d:%02d +0000", day[d.weekday], d.day, month[d.month - 1], d.year, d.hour,
             d.minute, d.second);
}

static char *put(char *to, int v, int digits, char behind)
{
    for (int i = digits; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    to[digits] = behind;
    return to + digits + 1;
}

/* By hand: every log line has one, and snprintf takes longer than the rest of the line. */
void clock_rfc3339(int64_t wall_ms, char out[32])
{
    wall_ms = MAX_OF(wall_ms, INT64_C(0));
    struct date d = date_of(wall_ms / 1000);
    /* RFC 3339 5.6: date-time with "Z" */
    out = put(put(put(out, d.year, 4, '-'), d.month, 2, '-'), d.day, 2, 'T');
    out = put(put(put(out, d.hour, 2, ':'), d.minute, 2, ':'), d.second, 2, '.');
    *put(out, (int)(wall_ms % 1000), 3, 'Z') = '\0';
}
