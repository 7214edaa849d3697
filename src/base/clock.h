/* clock: the only source of time; a test may set it for all roles through one shared page. */
#ifndef POSTEL_CLOCK_H
#define POSTEL_CLOCK_H

#include "base/base.h"

/* The shared page: master (or a test) writes, everybody else maps it read-only. Both offsets are added. */
struct clock_page {
    _Atomic int64_t wall_offset_ms; /* a jump of the wall clock */
    _Atomic int64_t mono_offset_ms; /* passing time that a test skips; also added to the wall clock */
};

void clock_use_page(const struct clock_page *page); /* NULL: the real clock; page must live on */
bool clock_is_test(void);                           /* a page is in use: time may jump unannounced */
int64_t clock_now_ms(void);                         /* wall clock, ms since 1970-01-01 UTC */
int64_t clock_now_s(void);
int64_t clock_mono_ms(void);                        /* monotonic, for timers and durations (REL-06) */
int64_t clock_mono_us(void);                        /* monotonic, real time even under a test clock */
/* RFC 5322 3.3 date-time in UTC, "Tue, 24 Nov 2026 20:17:00 +0000"; out holds 32 bytes. */
void clock_rfc5322(int64_t wall_s, char out[32]);

/* RFC 3339 in UTC with milliseconds, "2026-11-24T20:17:00.123Z". */
void clock_rfc3339(int64_t wall_ms, char out[32]);

#endif
