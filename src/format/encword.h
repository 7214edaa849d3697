/* encword: encoded words of header fields to UTF-8 (RFC 2047, with the language of RFC 2231 5). */
#ifndef POSTEL_ENCWORD_H
#define POSTEL_ENCWORD_H

#include "base/str.h"

/* Appends the value of an unstructured field, or of a phrase, as valid UTF-8: unfolded, encoded words decoded, blanks
 * between two of them dropped (RFC 2047 6.2). Words that are cut inside a character are joined first. Raw bytes above
 * 127 count as UTF-8, else as windows-1252. O(n). */
void encword_decode(struct str *out, struct span value);

#endif
