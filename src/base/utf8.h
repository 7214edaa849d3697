/* utf8: strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF (SEC-23). */
#ifndef POSTEL_UTF8_H
#define POSTEL_UTF8_H

#include "base/span.h"

bool utf8_valid(struct span s);
/* Decodes the character at the start of s; returns its length 1..4, or 0 when s is empty or bad there. */
size_t utf8_decode(struct span s, uint32_t *cp);
size_t utf8_encode(uint32_t cp, char out[4]);   /* 1..4; 0 when cp is no scalar value */
bool utf8_ascii(struct span s);                 /* only 1..127 */
/* The longest prefix of s, at most n bytes, that does not cut a character. */
struct span utf8_clip(struct span s, size_t n);

#endif
