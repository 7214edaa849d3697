/* imap_attr: what a FETCH asks for (RFC 9051 6.4.5, RFC 3501 6.4.5), read from the command; no I/O. */
#ifndef POSTEL_IMAP_ATTR_H
#define POSTEL_IMAP_ATTR_H

#include "imap/imap_grammar.h"

enum imap_attr_kind {
    IMAP_ATTR_FLAGS, IMAP_ATTR_UID, IMAP_ATTR_DATE, IMAP_ATTR_SIZE, IMAP_ATTR_ENVELOPE,
    IMAP_ATTR_BODY,         /* BODYSTRUCTURE without its extension data */
    IMAP_ATTR_STRUCTURE, IMAP_ATTR_SECTION,
    IMAP_ATTR_BINARY, IMAP_ATTR_BINARY_SIZE,
};

enum imap_attr_text { IMAP_ATTR_ALL, IMAP_ATTR_HEADER, IMAP_ATTR_FIELDS, IMAP_ATTR_FIELDS_NOT, IMAP_ATTR_TEXT, IMAP_ATTR_MIME };

struct imap_attr {
    enum imap_attr_kind kind;
    enum imap_attr_text text;
    bool peek;              /* sets no \Seen */
    bool partial;
    uint32_t from, count;   /* of a partial; count > 0 */
    uint32_t *part;         /* the part's numbers */
    uint32_t n_part;
    struct span *fields;    /* of FIELDS and FIELDS_NOT */
    uint32_t n_fields;
    struct span name;       /* as the answer says it: "BODY[1.TEXT]<0>" */
};

struct imap_attrs { /* lives in the mem of the lexer */
    struct imap_attr *v;
    uint32_t n;
    bool seen;              /* one of them sets \Seen */
};

/* False: in->error says what is wrong. */
bool imap_attr_read(struct imap_lex *in, struct imap_attrs *out);

#endif
