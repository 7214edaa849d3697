/* smtp_grammar: the command lines of RFC 5321 4.1: spans in, structs of spans out, no I/O. */
#ifndef POSTEL_SMTP_GRAMMAR_H
#define POSTEL_SMTP_GRAMMAR_H

#include "smtp/smtp_param.h"

/* Every function here returns the bytes it used (1 and more), or one of these. */
enum smtp_error {
    SMTP_BAD_SYNTAX = -1,    /* no such command form */
    SMTP_BAD_ADDRESS = -2,   /* the path is not one */
    SMTP_TOO_LONG = -3,      /* RFC 5321 4.5.3.1.1-3: local part 64, domain 255, path 256 octets */
    SMTP_8BIT = -4,          /* a byte above 127 where SMTPUTF8 was not negotiated */
    SMTP_PARAM_BAD = -5,     /* a known parameter with a value that it cannot have, or twice */
    SMTP_PARAM_UNKNOWN = -6, /* RFC 5321 4.1.1.11: 555 */
};

/* A path, taken apart; all spans are borrowed from the line. A source route is checked and left out (RFC 5321 C). */
struct smtp_path {
    struct span local;  /* as written, with its quotes; empty for <> */
    struct span domain; /* a literal with its brackets; empty for <> and <postmaster> */
    bool null;          /* <> */
    bool utf8;          /* not only ASCII: good UTF-8, and SMTPUTF8 was asked for */
};

/* Splits "VERB rest" at the first space; args is trimmed of spaces at both ends. line: without CRLF. -1 when the line
 * holds a control character (HT is none here) or begins with no letter. */
ptrdiff_t smtp_grammar_command(struct span line, struct span *verb, struct span *args);
/* The argument of HELO (ehlo false: a domain; a literal is taken too, many send one) or EHLO. */
ptrdiff_t smtp_grammar_helo(struct span args, struct span *name);
/* "FROM:<reverse-path> [params]" and "TO:<forward-path> [params]": the whole of args. ext: enum smtp_ext in force. */
ptrdiff_t smtp_grammar_mail(struct span args, unsigned ext, struct smtp_path *path, struct smtp_params *params);
ptrdiff_t smtp_grammar_rcpt(struct span args, unsigned ext, struct smtp_path *path, struct smtp_params *params);
ptrdiff_t smtp_grammar_bdat(struct span args, uint64_t *size, bool *last); /* "1000", "0 LAST": RFC 3030 2 */

/* Parts, for others: how much of the start of `in` is one. */
ptrdiff_t smtp_grammar_local(struct span in); /* dot-string or quoted-string, UTF-8 allowed (RFC 6531 3.3) */
ptrdiff_t smtp_grammar_domain(struct span in);
ptrdiff_t smtp_grammar_literal(struct span in); /* "[192.0.2.1]", "[IPv6:...]", "[tag:...]" */
/* Appends the address as others compare it: quotes and backslashes of the local part removed, "@", domain. */
void smtp_grammar_address(struct str *out, const struct smtp_path *path);

#endif
