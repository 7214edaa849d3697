/* rand: bytes nobody can guess (getrandom), and short ids made of them. */
#ifndef POSTEL_RAND_H
#define POSTEL_RAND_H

#include "base/base.h"

void rand_bytes(void *out, size_t n);
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t n);        /* 0..n-1, even; n >= 1 */

/* Operation id of a write: 6 bytes of wall clock in ms, big endian, then 10 random bytes.
 * In order of time, so that the store's index of them grows at its right edge (doc/decisions). */
struct op_id { unsigned char b[16]; };
struct op_id rand_op_id(void);
/* The trace id that people see: 12 characters of a-z2-7 from the first 60 random bits of an op id; NUL-terminated. */
void rand_trace_id(const struct op_id *op, char out[13]);

#endif
