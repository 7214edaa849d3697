/* precis: what Unicode text two people may type for one name or password (RFC 8264, RFC 8265). */
#ifndef POSTEL_PRECIS_H
#define POSTEL_PRECIS_H

#include "base/span.h"

/* UsernameCaseMapped (RFC 8265 3.3) without its checks: width mapping, lower case, NFC. For comparing.
 * Returns the length in out[0..cap), or 0 when `in` is empty, bad UTF-8 or does not fit. */
size_t precis_fold(struct span in, char *out, size_t cap);
/* The checks: only IdentifierClass characters (RFC 8264 4.2), Bidi Rule (RFC 5893 2). `folded` came from precis_fold.
 * Characters that are only valid in some context (RFC 8264 F, G, e.g. U+00B7) are refused. */
bool precis_identifier(struct span folded);
/* OpaqueString (RFC 8265 4.2): every space becomes U+0020, NFC, no controls or unassigned characters.
 * Returns the length in out[0..cap), or 0 when `in` is empty, does not fit or may be no password. */
size_t precis_opaque(struct span in, char *out, size_t cap);

#endif
