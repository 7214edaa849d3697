/* imap_surrogate: a message as a session sees it that knows no UTF-8 in headers (RFC 6857), made by scan
 * (doc/decisions/15-surrogate.md). */
#ifndef POSTEL_IMAP_SURROGATE_H
#define POSTEL_IMAP_SURROGATE_H

#include "imap/imap_session.h"

struct imap_surrogate {
    uint64_t eid;
    uint64_t stored;            /* octets of the message */
    struct span edits;          /* make it of the message (format/edit.h); empty: that is shown as it is */
    uint64_t size;              /* of the surrogate, */
    struct span envelope, structure; /* and these are its own, in the forms of format/summary.h */
    struct arena mem;
};

/* Whether a message with these enum summary_flag may need one in this session. */
bool imap_surrogate_needed(const struct imap *s, uint32_t summary_flags);
/* The one of a message of `size` octets; *out NULL: it needs none. Borrowed until the next call. 0; 1 with *f: the message
 * cannot be read; -1 with *f: none can now. */
WAITS int imap_surrogate_get(struct imap *s, uint64_t eid, uint64_t size, const struct imap_surrogate **out, struct fail *f);
/* At the end of a FETCH: only that of a large message is kept, for the next FETCH, as clients fetch those in pieces (SEC-07:
 * a session that idles holds little). */
void imap_surrogate_rest(struct imap *s);
void imap_surrogate_drop(struct imap *s);   /* forgets what is kept */

#endif
