/* imap_fetch: what the files of FETCH share: the answer being built and where a section's bytes come from. */
#ifndef POSTEL_IMAP_FETCH_H
#define POSTEL_IMAP_FETCH_H

#include "imap/imap_part.h"
#include "imap/imap_read.h"
#include "imap/imap_rows.h"
#include "run/slices.h"

struct imap_fetch {
    struct imap *s;
    struct imap_attrs attrs;
    struct str out;             /* of the answers, not written yet; its arena lives as long as the command */
    struct arena mem;           /* of a window of rows */
    struct slices *ahead;       /* bytes of the next messages; NULL: none are wanted */
    bool uid, flags;            /* told besides what was asked for */
    bool missing, unknown_cte;
    struct fail fail;           /* of a message that could not be read */
};

/* The message whose answer is being written. */
struct imap_fetch_message {
    uint64_t eid, size;
    struct span structure;
    struct span held;           /* bytes of it that are here already, */
    uint64_t held_at;           /* from here on */
    struct arena *mem;          /* emptied behind it */
};

WAITS int imap_fetch_flush(struct imap_fetch *f); /* writes what is in `out`. 0 or WAIT_* */
/* Appends "name literal" for SECTION, BINARY, BINARY_SIZE. 0 or WAIT_*; what cannot be read is NIL and said in *f. */
WAITS int imap_fetch_section(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a);
/* The stretch of the message that all sections lie in. */
void imap_fetch_extent(const struct imap_fetch *f, const struct msg_member_row *row, uint64_t *from, uint64_t *to);

#endif
