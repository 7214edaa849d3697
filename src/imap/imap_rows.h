/* imap_rows: the store's rows of messages that a command names, in windows that overlap with what is done with them. */
#ifndef POSTEL_IMAP_ROWS_H
#define POSTEL_IMAP_ROWS_H

#include "imap/imap_session.h"
#include "run/ipc.h"

enum { IMAP_ROWS_FLYING = 3 };

struct imap_rows {
    struct imap *s;
    const struct imap_range *idx;   /* of indexes in the view, as imap_view_resolve gives them */
    uint32_t n, at, index;          /* range and index that the next window begins with */
    uint32_t want, window;          /* enum member_want; messages a window */
    struct imap_rows_window {
        struct ipc_pending *p;
        uint32_t first, last;       /* indexes */
    } flying[IMAP_ROWS_FLYING];
    unsigned first, n_flying;
};

struct imap_row_of {
    uint32_t index;                     /* in the view */
    const struct msg_member_row *row;   /* NULL: the message is gone */
};

void imap_rows_start(struct imap_rows *r, struct imap *s, const struct imap_range *idx, uint32_t n, uint32_t want);
/* The next messages in order, *n = 0 behind the end; live in mem. 0, or -1 with *f. */
WAITS int imap_rows_next(struct imap_rows *r, struct imap_row_of **out, uint32_t *n, struct arena *mem, struct fail *f);
void imap_rows_stop(struct imap_rows *r);

#endif
