/* address: the addresses of a header field, one after the other (RFC 5322 3.4 with 4.4, RFC 6532 3.2, RFC 6854). */
#ifndef POSTEL_ADDRESS_H
#define POSTEL_ADDRESS_H

#include "base/arena.h"

enum address_kind {
    ADDRESS_MAILBOX,
    ADDRESS_GROUP,      /* `name:` opens a group; only name is set */
    ADDRESS_GROUP_END,  /* its `;`, also given when that is missing; nothing is set */
};

struct address {
    enum address_kind kind;
    struct span name;   /* display name, quotes and comments resolved, encoded words not; else the comment beside it */
    struct span route;  /* obsolete source route "@a,@b" */
    struct span local;  /* quotes resolved */
    struct span domain; /* empty when there is none; a literal keeps its brackets */
};

struct address_reader {
    const char *p, *end;
    char *out[3];       /* each with room for every byte that is still to come */
    size_t left;        /* addresses that may still be told (limit header_addresses) */
    bool in_group, truncated;
};

/* value: as header_next gives it. Whatever is wrong in it is skipped, never reported: such mail is shown too. */
void address_begin(struct address_reader *r, struct span value, struct arena *mem);
bool address_next(struct address_reader *r, struct address *a); /* false at the end; spans live in mem */

#endif
