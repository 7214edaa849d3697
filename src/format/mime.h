/* mime: the MIME fields of a header: type, parameters, disposition, encoding (RFC 2045 5-6, RFC 2183, RFC 2231). */
#ifndef POSTEL_MIME_H
#define POSTEL_MIME_H

#include "base/arena.h"

/* Numbers stand in stored part tables: add at the end. */
enum mime_encoding {
    MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_BASE64, MIME_QP,
    MIME_UNKNOWN, /* RFC 2045 6.4: the content is then opaque */
};

enum mime_type {
    MIME_OTHER, MIME_TEXT, MIME_TEXT_PLAIN, MIME_TEXT_HTML, MIME_TEXT_CALENDAR,
    MIME_MULTIPART, MIME_MIXED, MIME_ALTERNATIVE, MIME_RELATED, MIME_DIGEST, MIME_SIGNED, MIME_REPORT,
    MIME_MESSAGE, MIME_RFC822,  /* or message/global */
    MIME_IMAGE, MIME_AUDIO, MIME_VIDEO, MIME_APPLICATION,
    MIME_TYPE_COUNT
};

struct mime_param {
    struct span name;   /* as written; with a final `*` when the value was of the extended form and is now UTF-8 */
    struct span value;  /* quotes resolved, pieces joined */
};

struct mime_value {
    struct span main, sub;      /* "text" and "plain", or a disposition and nothing; as written */
    struct mime_param *params;
    uint32_t n_params;
    bool truncated;             /* more than limit mime_params */
};

/* value: as header_next gives it. Results borrow from it or live in mem. False, and *out empty, when there is no type
 * and subtype, or no disposition; RFC 2045 5.2 then wants text/plain. */
bool mime_content_type(struct span value, struct mime_value *out, struct arena *mem);
bool mime_disposition(struct span value, struct mime_value *out, struct arena *mem);
enum mime_encoding mime_encoding(struct span value);        /* empty: MIME_7BIT */
struct span mime_encoding_name(enum mime_encoding e);       /* upper case; empty for MIME_UNKNOWN */
enum mime_type mime_type(const struct mime_value *v);
struct span mime_param(const struct mime_value *v, struct span name); /* any case; p NULL when absent. `name*` goes first */
static inline bool mime_is_text(enum mime_type t) { return t >= MIME_TEXT && t <= MIME_TEXT_CALENDAR; }
static inline bool mime_is_multipart(enum mime_type t) { return t >= MIME_MULTIPART && t <= MIME_REPORT; }
/* Skips blanks, folding and comments (RFC 5322 3.2.2) from `at`; returns the place behind. */
size_t mime_skip_blank(struct span s, size_t at);

#endif
