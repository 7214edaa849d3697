/* pop3_grammar: command lines of RFC 1939 3 and the bytes of its multi-line answers; no I/O. */
#ifndef POSTEL_POP3_GRAMMAR_H
#define POSTEL_POP3_GRAMMAR_H

#include "base/span.h"

/* Splits "VERB rest" at the first space; rest is left as it is (a password may begin or end with spaces). line:
 * without CRLF. Returns the bytes used, or -1 when a control character stands in it or it begins with no letter. */
ptrdiff_t pop3_grammar_command(struct span line, struct span *verb, struct span *rest);
/* A message number, or another one of 0..2^63-1, at the start of *rest with a space or the end behind it; moves *rest
 * on. Returns the bytes used or -1. */
ptrdiff_t pop3_grammar_number(struct span *rest, uint64_t *out);

/* Byte-stuffing (RFC 1939 3): all zero is the start. Uses some of `in` (at least 1 byte, or none and *out is the dot
 * to send first) and gives what to send in *out. Call until `in` is used up. */
struct pop3_stuff {
    bool inside; /* a line */
    bool dotted; /* the extra dot of this line was given */
};
size_t pop3_grammar_stuff(struct pop3_stuff *s, struct span in, struct span *out);

/* TOP (RFC 1939 7): how much of `in` belongs to the header, the empty line and the first `left` lines of the body. */
struct pop3_top {
    uint64_t left;
    bool body;     /* behind the empty line */
    bool text, cr; /* of this line: it is not empty; it may be a CR so far */
};
size_t pop3_grammar_top(struct pop3_top *t, struct span in);

#endif
