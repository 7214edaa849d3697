/* encword: encoded words of header fields to UTF-8 (RFC 2047, with the language of RFC 2231 5), and back. */
#ifndef POSTEL_ENCWORD_H
#define POSTEL_ENCWORD_H

#include "base/str.h"

/* Appends the value of an unstructured field, or of a phrase, as valid UTF-8: unfolded, encoded words decoded, blanks
 * between two of them dropped (RFC 2047 6.2). Words that are cut inside a character are joined first. Raw bytes above
 * 127 count as UTF-8, else as windows-1252. O(n). */
void encword_decode(struct str *out, struct span value);

/* Appends text, which must be UTF-8, as encoded words of at most 75 characters with a space between them, none of which
 * cuts a character. They may stand in text, in a phrase and in a comment alike (RFC 2047 5). Nothing for empty text. O(n). */
void encword_write(struct str *out, struct span text);

#endif
