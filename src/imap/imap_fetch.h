/* imap_fetch: what the files of FETCH share: the answer being built and where a section's bytes come from. */
#ifndef POSTEL_IMAP_FETCH_H
#define POSTEL_IMAP_FETCH_H

#include "format/edit.h"
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
    struct str downgraded;      /* set of the messages that were shown as surrogates, as the command counts */
    uint32_t downgraded_first, downgraded_last; /* its last range, not in it yet; 0: none */
    bool missing, unknown_cte;
    struct fail fail;           /* of a message that could not be read */
};

/* The message whose answer is being written. Of a surrogate edits are not empty, and all but eid and stored is its own. */
struct imap_fetch_message {
    uint64_t eid, size;
    struct span edits;
    uint64_t stored;            /* octets of the message */
    struct span structure;
    struct span held;           /* bytes of it that are here already, */
    uint64_t held_at;           /* from here on */
    struct arena *mem;          /* emptied behind it */
};

/* Bytes from..to of the message. */
struct imap_fetch_source {
    struct imap_fetch *f;
    const struct imap_fetch_message *m;
    struct imap_read read;
    struct arena mem;
    struct span held;
    bool from_held;
    struct edit_walk walk;      /* of a surrogate: */
    struct edit_piece piece;    /* what is left of the piece in work, which begins */
    uint64_t at, from, to;      /* at `at` */
    struct span window;         /* of the stored message, */
    uint64_t window_at;         /* from here on */
};
WAITS int imap_fetch_source_open(struct imap_fetch_source *src, struct imap_fetch *f, const struct imap_fetch_message *m,
                                 uint64_t from, uint64_t to); /* 0 or -1; close is due in any case */
/* The next piece, empty at the end; borrowed until the next call. 0 or -1 with f->fail. */
WAITS int imap_fetch_source_next(struct imap_fetch_source *src, struct span *piece);
void imap_fetch_source_close(struct imap_fetch_source *src);

WAITS int imap_fetch_flush(struct imap_fetch *f); /* writes what is in `out`. 0 or WAIT_* */
/* Appends "name literal" for SECTION, BINARY, BINARY_SIZE. 0 or WAIT_*; what cannot be read is NIL and said in *f. */
WAITS int imap_fetch_section(struct imap_fetch *f, const struct imap_fetch_message *m, const struct imap_attr *a);
/* The stretch of the message that all sections lie in. */
void imap_fetch_extent(const struct imap_fetch *f, const struct msg_member_row *row, uint64_t *from, uint64_t *to);

#endif
