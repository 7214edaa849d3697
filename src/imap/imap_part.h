/* imap_part: where in a message a section lies, found in the part table that scan made (RFC 9051 6.4.5.1). */
#ifndef POSTEL_IMAP_PART_H
#define POSTEL_IMAP_PART_H

#include "imap/imap_attr.h"

/* Offsets in what a client reads. Not there: from = to and `there` false. */
struct imap_place {
    uint64_t from, to;
    bool there;
    uint8_t encoding;   /* enum mime_encoding of the part itself */
};

/* structure: as stored; size: of the message as a client reads it. Only IMAP_ATTR_ALL without numbers needs no structure. */
struct imap_place imap_part_find(const struct imap_attr *a, struct span structure, uint64_t size);

/* The header's fields that are wanted (or all but those), as they are, and an empty line. O(header * names). */
void imap_part_fields(struct str *out, struct span header, const struct imap_attr *a);

/* BODY: the text of BODYSTRUCTURE without its extension data (RFC 9051 7.5.2). Text that is no such list gives nothing. */
bool imap_part_body(struct str *out, struct span structure_text);

/* The same text for who knows no UTF-8: parameters of RFC 2231, which scan decodes ("NAME*", "text"), with their values as
 * that has them (UTF-8''t%C3%A9xt). The text itself when it holds none, else in mem. */
struct span imap_part_encoded(struct span structure_text, struct arena *mem);

#endif
