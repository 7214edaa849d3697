/* downgrade: a message for readers who know no UTF-8 in headers, as an edit list (RFC 6857).
 *
 * Only fields whose value is UTF-8 and not ASCII are touched; bytes above 127 that are no UTF-8 never were right, and stay
 * as they are. Headers of parts at all levels count, and delivery reports (RFC 6857 4). What is message/global becomes
 * message/rfc822, which it is then (doc/decisions/15-surrogate.md).
 */
#ifndef POSTEL_DOWNGRADE_H
#define POSTEL_DOWNGRADE_H

#include "base/str.h"

enum { DOWNGRADE_BYTES = 128 * 1024 };

/* The edit list (format/edit.h), empty when nothing is to be done; lives in mem. At most DOWNGRADE_BYTES: a field that no
 * longer fits stays as it is. Never fails; O(n). */
struct span downgrade_message(struct span message, struct arena *mem);

/* Appends the field that takes the place of name and value, line end included. False, and nothing appended: it may stay as
 * it is. value: as header_next gives it. */
bool downgrade_field(struct str *out, struct span name, struct span value, struct arena *mem);

#endif
