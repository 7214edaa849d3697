/* store_session: who may ask the store for what: handles told by auth, and the locks and watches that hang on them. */
#ifndef POSTEL_STORE_SESSION_H
#define POSTEL_STORE_SESSION_H

#include "run/ipc.h"

/* SEC-24: a front names no account; it shows a handle, which auth told us directly and which holds for that one front.
 */
struct store_session {
    unsigned char handle[16];
    uint64_t account, front_boot;
    uint64_t locked; /* mailbox, 0: none */
    int64_t used_ms;
    uint32_t service; /* where the login was made */
    char lang[36]; /* of the account, NUL-terminated */
    bool watching;
    bool orphan; /* the auth that would tell its end is gone */
};

void store_session_start(void);
void store_session_add(const struct msg_session_add *m);
void store_session_end(struct span handle);
void store_session_end_account(uint64_t account);
void store_session_end_front(uint64_t boot);
void store_session_orphan_all(void); /* auth died: what idles for long is taken as ended from now on */

/* The session of a request; NULL and *f: unknown (FAIL_TEMP), or another front's (FAIL_PERM, logged). Borrowed until
 * the loop runs on. */
struct store_session *store_session_find(struct span handle, const struct ipc_peer *peer, struct fail *f);
/* RFC 1939 4: exclusive. 0, or -1 and FAIL_TEMP when another session has it. Again by the same session: nothing. */
int store_session_lock(struct store_session *s, uint64_t mailbox, struct fail *f);
void store_session_watch(struct store_session *s);
bool store_session_watched(void);                        /* anybody at all; any thread */
void store_session_changed(const struct msg_changed *m); /* posts it to the fronts that watch the account, once each */
size_t store_session_count(void);

#endif
