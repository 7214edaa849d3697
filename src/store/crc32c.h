/* crc32c: the checksum of everything in the message log (Castagnoli polynomial, RFC 3720 B.4 has test vectors). */
#ifndef POSTEL_CRC32C_H
#define POSTEL_CRC32C_H

#include "base/base.h"

/* Continues `crc` (0 to begin) over n bytes. Uses the processor's instruction where it has one. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
uint32_t crc32c_soft(uint32_t crc, const void *p, size_t n); /* the same without it; for tests */

#endif
