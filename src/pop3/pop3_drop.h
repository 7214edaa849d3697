/* pop3_drop: a maildrop as one session sees it: the INBOX at login, 16 bytes a message (RFC 1939 5). */
#ifndef POSTEL_POP3_DROP_H
#define POSTEL_POP3_DROP_H

#include "base/fail.h"
#include "base/list.h"
#include "base/vec.h"
#include "run/ipc.h"

struct pop3_item {
    uint64_t eid;
    uint32_t uid;
    uint32_t size : 31, deleted : 1; /* octets; the limit of a message keeps it below 2^31 */
};

struct pop3_drop {
    struct list node;   /* among those that are locked */
    bool lock_again;    /* store started anew: it does not know of the lock */
    char handle[16];
    uint64_t mailbox; /* 0: the account has no INBOX yet */
    uint64_t uidvalidity;
    VEC(struct pop3_item) items;
    size_t deleted;
    uint64_t octets;  /* of those that are not deleted */
};

/* The session's handle as IPC wants it. */
static inline struct span pop3_drop_handle(const struct pop3_drop *d)
{
    return span_of(d->handle, sizeof d->handle);
}
/* Locks the INBOX and lists it. handle: 16 bytes. 0, or -1 with *f; *busy: another session has it. In both cases
 * pop3_drop_done is due. */
WAITS int pop3_drop_open(struct pop3_drop *d, struct span handle, bool *busy, struct fail *f);
void pop3_drop_delete(struct pop3_drop *d, struct pop3_item *item); /* marks; nothing when it is marked */
void pop3_drop_undelete(struct pop3_drop *d);                       /* RSET */
/* Removes what is marked, durably (RFC 1939 6). 0, or -1 with *f: some or all of it remain. */
WAITS int pop3_drop_update(struct pop3_drop *d, struct fail *f);
/* A new channel: when it is a new store's, all locks are taken again, in the background. */
void pop3_drop_peer(const struct ipc_peer *peer);
void pop3_drop_done(struct pop3_drop *d); /* frees, ends the session at auth and with it the lock */

#endif
