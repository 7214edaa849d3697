/* imap_match: which strings of a search occur in messages, by scan, which alone may look into them. */
#ifndef POSTEL_IMAP_MATCH_H
#define POSTEL_IMAP_MATCH_H

#include "imap/imap_key.h"
#include "imap/imap_session.h"

enum { IMAP_MATCH_BATCH = 8 };

struct imap_match_message {
    uint32_t index;
    uint64_t eid, size;
    uint64_t header;        /* bytes of the header with what was put in front; 0: not known */
    uint64_t found;         /* strings, by number */
    bool gone;              /* it cannot be read any more */
};

/* Up to IMAP_MATCH_BATCH messages at once. 0, or -1 with *f: store or scan cannot be asked. */
WAITS int imap_match_batch(struct imap *s, const struct imap_keys *keys, struct imap_match_message *v, uint32_t n,
                           struct fail *f);

#endif
