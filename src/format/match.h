/* match: whether strings occur in a message as its reader sees it: decoded, whatever their case (RFC 9051 6.4.4). */
#ifndef POSTEL_MATCH_H
#define POSTEL_MATCH_H

#include "base/arena.h"

enum match_where {
    MATCH_TEXT,     /* in any header field, name included, of the message and its parts, or in a body */
    MATCH_BODY,     /* in the text of a text part (of HTML what is seen), in message/delivery-status and the like, or in
                     * the header of a message that is attached */
    MATCH_HEADER,   /* in a field called `name` of the message's own header; an empty text: in its being there */
    MATCH_WHERE_COUNT
};

struct match_needle {
    enum match_where where;
    struct span name;
    struct span text;   /* UTF-8, of any case; at most MATCH_NEEDLE_BYTES when folded */
};

enum { MATCH_NEEDLES = 64, MATCH_NEEDLE_BYTES = 4096 };

/* Bit i: needle i was found. n <= MATCH_NEEDLES; a longer text is never found. Parts are matched one by one: nothing is
 * found across two of them. Linear in the message for each needle; needs some hundred KiB, HTML apart. */
uint64_t match_message(struct span message, const struct match_needle *needles, uint32_t n, struct arena *mem);

#endif
