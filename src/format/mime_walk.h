/* mime_walk: the parts of a message, found in one forward pass (RFC 2046 5.1, 5.2.1; SEC-20). */
#ifndef POSTEL_MIME_WALK_H
#define POSTEL_MIME_WALK_H

#include "format/envelope.h"
#include "format/header.h"
#include "format/mime.h"
#include "format/summary.h"

/* A part in order of appearance; number 0 is the message itself. `at` is what the store keeps. at.type is enum
 * mime_type, at.encoding enum mime_encoding; first_child 0: none; at.charset: 32 bits of span_hash_nocase, 0: none. */
struct mime_part {
    struct summary_part at;
    uint16_t next;              /* its next sibling, 0: none */
    bool opaque;                /* a multipart or message that was not looked into: too deep, or encoded */
    bool has_type, attachment;  /* a valid Content-Type; Content-Disposition: attachment */
    struct mime_value type, disposition;    /* disposition.main.n 0: none */
    struct span encoding, id, description, md5, language, location; /* field values; p NULL: absent */
    const struct envelope *envelope;        /* of the message itself, and of what is inside message/rfc822 */
};

struct mime_tree {
    struct mime_part *v;
    uint32_t n;
    bool truncated;             /* depth, parts, parameters, sizes */
    bool header_8bit, body_8bit; /* bytes above 127 in the message's own header, and behind it */
    bool parts_8bit;            /* in the header of a part, or in a delivery report */
};

/* field: told each field of the message's own header (NULL: nobody). Everything lives in mem or borrows from message,
 * of which at most 4 GiB are looked at. Never fails; at least one part. */
typedef void mime_walk_field(void *arg, const struct header_field *f, enum summary_header name);
void mime_walk(struct span message, struct mime_tree *out, mime_walk_field *field, void *arg, struct arena *mem);

/* RFC 3464, RFC 6533: fields that tell what became of a message, in the clear. */
bool mime_walk_is_report(const struct mime_part *p);

#endif
