/* charset: text of any known charset to UTF-8. Not for several threads: iconv descriptors have state. */
#ifndef POSTEL_CHARSET_H
#define POSTEL_CHARSET_H

#include "base/str.h"

/* Opens iconv for the charsets of the table, for good: before the sandbox closes, iconv loads its modules from files.
 * Returns how many could not be had. Without it only UTF-8, US-ASCII, ISO-8859-1/-15 and windows-1252 are known. */
size_t charset_open_all(void);
void charset_close_all(void); /* for tests */

/* Appends `in` as valid UTF-8, whatever it is: bytes that mean nothing become U+FFFD. Returns false when the charset is
 * not known; then it counts as UTF-8 when it is that, else as windows-1252. Any case, and the usual other names. */
bool charset_to_utf8(struct str *out, struct span charset, struct span in);

/* The same in pieces; one text at a time. Appends what is whole characters of `in`, all of it when it is the last piece,
 * and returns how many bytes that was: the few that are left go in front of the next piece. */
enum charset_kind { CHARSET_UNKNOWN, CHARSET_UTF8, CHARSET_LATIN1, CHARSET_LATIN9, CHARSET_ICONV };
struct charset {
    enum charset_kind kind; /* CHARSET_ICONV: may have state, so that a text cannot be taken up in its middle */
    void *cd;
};
void charset_begin(struct charset *c, struct span charset);
size_t charset_add(const struct charset *c, struct str *out, struct span in, bool last) MUST_CHECK;

#endif
