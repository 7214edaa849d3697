/* qp: quoted-printable, RFC 2045 section 6.7, and the Q encoding of RFC 2047. */
#ifndef POSTEL_QP_H
#define POSTEL_QP_H

#include "base/str.h"

void qp_decode(struct str *out, struct span in);          /* lenient: what is no valid escape stays as it is */
void qp_decode_word(struct str *out, struct span in);     /* RFC 2047 4.2: `_` is a space */
/* Text of lines that end in CRLF, quoted; lines of at most 76 characters. */
void qp_encode(struct str *out, struct span text);

#endif
