/* imap_decode: transfer encodings undone piece by piece, for BINARY (RFC 9051 6.4.5, RFC 3516). */
#ifndef POSTEL_IMAP_DECODE_H
#define POSTEL_IMAP_DECODE_H

#include "base/str.h"
#include "format/mime.h"

enum { IMAP_DECODE_LINE = 1024 }; /* of quoted-printable; a longer one is decoded in pieces */

struct imap_decode {
    enum mime_encoding encoding;
    char carry[IMAP_DECODE_LINE];   /* what cannot be decoded without what follows */
    size_t n;
    bool ended;                     /* base64: padding was met */
};

void imap_decode_init(struct imap_decode *d, enum mime_encoding encoding); /* not MIME_UNKNOWN */
void imap_decode_add(struct imap_decode *d, struct str *out, struct span in);
void imap_decode_end(struct imap_decode *d, struct str *out);

#endif
