/* match_text: what match_walk shows of a message as one run of bytes to be kept, in which later searches find by looking at
 * bytes alone exactly what match_message finds in the message.
 *
 * Each text stands behind a NUL: first the fields of the message's own header, at parts_at those of its parts, at body_at
 * what MATCH_BODY looks in. In the first region a NUL that is no such mark is followed by a byte 1. A needle that has
 * neither NUL nor 1 can therefore match in one text only, and only where that text has it.
 */
#ifndef POSTEL_MATCH_TEXT_H
#define POSTEL_MATCH_TEXT_H

#include "format/match.h"

/* To be raised whenever the same message may now give other bytes: folding, charsets, HTML, MIME, this format. */
enum { MATCH_TEXT_VERSION = 1 };

struct match_text {
    struct span bytes;
    uint32_t parts_at, body_at;
};

/* False: it would be longer than `most`. Lives in mem. */
bool match_text_make(struct span message, size_t most, struct match_text *out, struct arena *mem);

/* A needle whose text and name are folded. Whether match_text_find can say it: else match_message must. */
bool match_text_able(const struct match_needle *folded);
/* Bit i: needle i was found. n <= MATCH_NEEDLES, all able. t.parts_at <= t.body_at <= t.bytes.n. At memory speed. */
uint64_t match_text_find(const struct match_text *t, const struct match_needle *folded, uint32_t n);

#endif
