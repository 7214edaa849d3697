/* store_select: which messages a write is about, read once before any of them is changed. */
#ifndef POSTEL_STORE_SELECT_H
#define POSTEL_STORE_SELECT_H

#include "store/store_impl.h"

/* Messages per commit, of an operation that takes `most` at once. */
static inline size_t store_select_step(const struct store *s, size_t most)
{
    unsigned step = s->step;
    return step != 0 ? step : most;
}

struct store_row {
    struct store_mailbox *box;
    uint64_t uid, eid, modseq, size;
    int64_t internal_ms;
    uint32_t flags;
    struct span keywords; /* packed; lives in the batch's arena */
    struct span changed;  /* what they become */
};

struct store_rows {
    struct store_row *v;
    size_t n, cap;
    uint64_t last; /* uid (or eid) of the last one looked at */
    bool more;     /* `limit` ended it */
};

/* At most `limit` rows, in order of uid, behind position `after`. mailbox 0: `ranges` are eids, and the rows are all
 * that the account's mailboxes have of them, those of one eid together. only_deleted: of these, those with \Deleted. 0,
 * or -1 with op->w->fail set, or for trouble of the index. VEC_FREE(rows) in both cases. *m: NULL for mailbox 0. */
int store_select(struct store *s, struct store_op *op, uint64_t mailbox, const struct msg_uid_range *ranges, uint32_t n,
                 uint64_t after, size_t limit, bool only_deleted, struct store_account **a, struct store_mailbox **m,
                 struct store_rows *rows);
/* The same without a request: rows of m with uids in [first, last]. */
int store_select_mailbox(struct store *s, struct store_mailbox *m, uint64_t first, uint64_t last, size_t limit,
                         bool only_deleted, struct store_rows *rows);

#endif
