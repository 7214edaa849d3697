/* imap_name: mailbox names: "Parent/Child" in UTF-8 inside, modified UTF-7 (RFC 3501 5.1.3) or UTF-8 on the wire; patterns. */
#ifndef POSTEL_IMAP_NAME_H
#define POSTEL_IMAP_NAME_H

#include "base/str.h"

/* What a client sent, as path: decoded (utf8: as it is, else modified UTF-7), NFC, INBOX in capitals, a "/" at the end cut
 * off (RFC 9051 6.3.4). False when it is no name at all (bad encoding, empty level, control characters). */
bool imap_name_read(struct span wire, bool utf8, struct arena *mem, struct span *path);
/* The same for a pattern, or part of one: only decoded. */
bool imap_name_wide(struct span wire, bool utf8, struct arena *mem, struct span *out);
void imap_name_add(struct str *out, struct span path, bool utf8);  /* as astring for an answer */
bool imap_name_decode(struct str *out, struct span mutf7);         /* RFC 3501 5.1.3, strict; false: not such text */
void imap_name_encode(struct str *out, struct span utf8);
struct span imap_name_leaf(struct span path);
struct span imap_name_parent(struct span path);                    /* empty at the root */
enum { IMAP_NAME_PATTERN = 1000 };                                 /* longer ones match nothing */
/* RFC 9051 6.3.9: * matches anything, % all but "/". O(pattern * name) at worst, no backtracking. INBOX in any case. */
bool imap_name_match(struct span pattern, struct span path);

#endif
