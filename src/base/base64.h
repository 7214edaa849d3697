/* base64: RFC 4648 section 4, and its url alphabet (section 5, without padding). */
#ifndef POSTEL_BASE64_H
#define POSTEL_BASE64_H

#include "base/str.h"

void base64_encode(struct str *out, struct span in);        /* one line, padded */
void base64url_encode(struct str *out, struct span in);
/* Strict: whole quanta, right padding, no other byte. Returns 0 or -1 (out then holds rubbish). For SASL, keys, tokens. */
int base64_decode(struct str *out, struct span in) MUST_CHECK;
int base64url_decode(struct str *out, struct span in) MUST_CHECK;
/* Lenient, as RFC 2045 6.8 wants for bodies: skips bytes outside the alphabet, stops at padding, keeps what decodes. */
void base64_decode_mime(struct str *out, struct span in);

#endif
