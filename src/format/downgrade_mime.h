/* downgrade_mime: Content-Type and Content-Disposition in ASCII (RFC 6857 3.1.4, 3.2.5). */
#ifndef POSTEL_DOWNGRADE_MIME_H
#define POSTEL_DOWNGRADE_MIME_H

#include "base/str.h"

/* Append the value with its parameters in the extended form of RFC 2231 where they are not ASCII, comments at the end.
 * s: unfolded UTF-8 without any in comments. False: it is no such value, and something may have been appended. */
bool downgrade_mime_type(struct str *out, struct span s, struct arena *mem);
bool downgrade_mime_disposition(struct str *out, struct span s, struct arena *mem);

#endif
