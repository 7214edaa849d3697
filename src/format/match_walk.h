/* match_walk: every text of a message in which a search may look: decoded, folded, piece by piece (RFC 9051 6.4.4). */
#ifndef POSTEL_MATCH_WALK_H
#define POSTEL_MATCH_WALK_H

#include "base/arena.h"

enum match_field {
    MATCH_FIELD_OWN,    /* of the message's own header */
    MATCH_FIELD_PART,   /* of the header of a part */
    MATCH_FIELD_INNER,  /* of the header of a message that is attached */
};

struct match_visit {
    void *arg;
    /* hay: "name: value", folded; name as it stands there. */
    void (*field)(void *arg, enum match_field kind, struct span name, struct span hay);
    /* Of the text of a part; what stands in pieces of one part in a row is one text. */
    void (*piece)(void *arg, bool first, struct span hay);
    bool (*enough)(void *arg);  /* asked before each */
};

/* All fields, then all pieces; what they get is borrowed. Linear in the message; needs some hundred KiB, HTML apart. */
void match_walk(struct span message, const struct match_visit *v, struct arena *mem);

#endif
