/* imap_texts: which strings of a search occur in messages, by the texts that store keeps of them. */
#ifndef POSTEL_IMAP_TEXTS_H
#define POSTEL_IMAP_TEXTS_H

#include "imap/imap_key.h"
#include "imap/imap_session.h"

struct imap_text_of {
    uint64_t eid, found;    /* found: strings, by number */
    uint32_t index;         /* the caller's */
    bool known;             /* else scan must be asked */
};

enum { IMAP_TEXTS_MOST = 8000 };

struct imap_texts {
    struct imap *s;
    bool able;  /* the texts can answer these strings */
    struct msg_scan_needle needles[IMAP_KEY_STRINGS];
    uint32_t n;
};

/* Lives as long as the command. */
void imap_texts_init(struct imap_texts *t, struct imap *s, const struct imap_keys *keys);
/* Fills found and known of up to IMAP_TEXTS_MOST messages, whose order changes to that of their eids. Texts that are not
 * there are made first, which takes as long as having scan read those messages. Never fails: what cannot be said is not
 * known. */
WAITS void imap_texts_ask(struct imap_texts *t, struct imap_text_of *v, uint32_t n);

#endif
