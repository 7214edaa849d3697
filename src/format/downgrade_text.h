/* downgrade_text: the elements of header fields in ASCII (RFC 6857 3.1). Values come unfolded: without line ends and NULs. */
#ifndef POSTEL_DOWNGRADE_TEXT_H
#define POSTEL_DOWNGRADE_TEXT_H

#include "base/str.h"

bool downgrade_text_high(struct span s);    /* it has bytes above 127 */
/* RFC 6857 3.1.1: words that are not ASCII as encoded words; the others and all blanks stay. */
void downgrade_text_words(struct str *out, struct span s);
/* RFC 6857 3.1.3: the same inside of comments only. */
void downgrade_text_comments(struct str *out, struct span s);
/* RFC 6857 3.1.2, 3.1.5: a phrase that is not ASCII as encoded words, quotes resolved; one that is stays. Comments stand
 * behind it. more: an encoded word follows, from which a space shall be seen. */
void downgrade_text_phrase(struct str *out, struct span s, bool more);
/* The comments of s, each behind a space. */
void downgrade_text_keep_comments(struct str *out, struct span s);
/* The end of what begins at s.p[at] with a quote, a parenthesis or a bracket: behind its last byte, or s.n. */
size_t downgrade_text_skip(struct span s, size_t at);

#endif
