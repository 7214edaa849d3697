/* header: the fields of a message header in one forward pass, and the one writer of header fields (SEC-10). */
#ifndef POSTEL_HEADER_H
#define POSTEL_HEADER_H

#include "base/str.h"

struct header_field {
    struct span name;   /* as written; empty for a line that begins with a colon */
    struct span value;  /* all behind the colon but the last line end: folding and blanks are still in it */
    size_t at, length;  /* its place in the text, line end included */
};

/* Reads `text` from a header's first byte. Line ends are CRLF or LF. The header ends at the empty line (which is behind
 * it), before a line that is no field, before a line that `stop` claims, or after limit header_bytes. */
struct header_reader {
    struct span text;
    size_t at, limit;
    size_t lines;       /* line ends passed so far */
    bool ended;         /* then `at` is where the body begins */
    bool truncated;     /* a limit was met: the header's or a field's size */
    bool (*stop)(void *arg, struct span line);  /* asked for each line that begins with "--"; NULL: none */
    void *arg;
};

void header_begin(struct header_reader *r, struct span text);
/* The next field, spans borrowed from the text; a value is cut at limit header_field_bytes. False at the end. */
bool header_next(struct header_reader *r, struct header_field *f);

/* RFC 5322 2.2.3: the value without line ends (and NULs) and without blanks around it. Borrowed from `value` or lives in mem. */
struct span header_unfold(struct span value, struct arena *mem);

/* Appends "name: value" CRLF, folded at spaces where a line would pass 78 characters (RFC 5322 2.1.1). -1 and nothing
 * appended when the name is no field name, or the value holds CR, LF or NUL (SEC-10), or no fold keeps a line under
 * 998 octets. */
int header_write(struct str *out, struct span name, struct span value) MUST_CHECK;

#endif
