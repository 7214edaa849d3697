/* feed: who in this front hears of changes in an account: store's `changed` posts, handed on to sessions. */
#ifndef POSTEL_FEED_H
#define POSTEL_FEED_H

#include "run/ipc.h"

struct feed {
    struct list node;       /* among those of the same account; all zero: not open */
    uint64_t account;
    uint64_t modseq;        /* the newest that was told */
    bool stale;             /* store started anew: it does not know of us */
    struct coro *waiter;    /* woken by news; the session sets and clears it */
};

/* Opens, or renews when stale: from now on modseq follows the account. handle: of the session. 0 or -1 with *f (then it is
 * as before). */
WAITS int feed_open(struct feed *fd, uint64_t account, struct span handle, struct fail *f);
static inline bool feed_is_open(const struct feed *fd) { return list_linked(&fd->node) && !fd->stale; }
void feed_close(struct feed *fd);   /* nothing when it is not open */

void feed_changed(const struct ipc_peer *peer, const void *in);     /* ipc_post_fn for MSG_ID_changed */
void feed_peer(const struct ipc_peer *peer);                        /* a new channel: is store new? */

#endif
