/* idna: domains to A-labels (RFC 5891). */
#ifndef POSTEL_IDNA_H
#define POSTEL_IDNA_H

#include "base/span.h"

/* Writes the domain in lower case with its U-labels as A-labels, at most `room` bytes. Returns the length, or 0: it is no
 * domain that IDNA knows, or there is no room. ASCII comes out lower-cased and otherwise as it is. */
size_t idna_ascii(struct span domain, char *out, size_t room);

#endif
