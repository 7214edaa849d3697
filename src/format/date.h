/* date: the date-time of a header field (RFC 5322 3.3, obsolete forms of 4.3 included). */
#ifndef POSTEL_DATE_H
#define POSTEL_DATE_H

#include "base/span.h"

/* UTC seconds since 1970 into *out; 0, or -1 when this is no date of the years 1900-9999. The sender's word, no more. */
int date_parse(struct span value, int64_t *out) MUST_CHECK;
int64_t date_days(int64_t year, unsigned month, unsigned day); /* from 1970-01-01, Gregorian; month 1..12 */

#endif
