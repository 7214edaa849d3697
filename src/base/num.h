/* num: the one reader of numbers from outside (SEC-06): digits only, no sign, no space, limit checked before arithmetic. */
#ifndef POSTEL_NUM_H
#define POSTEL_NUM_H

#include "base/span.h"

/* Whole span must be 1..20 digits with value <= max. Returns 0, or -1 and leaves *out alone. */
int num_u64(struct span s, uint64_t max, uint64_t *out) MUST_CHECK;
/* Reads the digits at the start of s (at least one); returns how many, or -1 when none or value > max. */
ptrdiff_t num_u64_prefix(struct span s, uint64_t max, uint64_t *out) MUST_CHECK;
int num_hex(struct span s, uint64_t max, uint64_t *out) MUST_CHECK; /* 1..16 hex digits, either case */
/* "50MB", "64KiB", "10": KB = 1000, KiB = 1024, so on to G; the same for "90s", "5m", "4h", "5d" in seconds. */
int num_size(struct span s, uint64_t max, uint64_t *out) MUST_CHECK;
int num_seconds(struct span s, uint64_t max, uint64_t *out) MUST_CHECK;

#endif
