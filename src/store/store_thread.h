/* store_thread: which emails belong together (RFC 8621 3), found out after they came, in order of arrival. */
#ifndef POSTEL_STORE_THREAD_H
#define POSTEL_STORE_THREAD_H

#include "store/store_impl.h"

/* In a transaction: gives up to `most` more emails their thread. s->threaded moves. 0, or -1 for trouble of the index.
 */
int store_thread_step(struct store *s, size_t most);
uint64_t store_thread_behind(const struct store *s); /* emails that have none yet, at most */
/* Keys of threads that ended may be as many as those of the others, or a walk through them is under way. */
bool store_thread_keys_due(const struct store *s);
/* In a transaction: one step of that walk. 1: there is more, 0, or -1. s->keys moves. */
int store_thread_keys_step(struct store *s);
/* The email goes; *thread: the one it was in. */
int store_thread_forget(struct store *s, uint64_t eid, uint64_t *thread);
int store_thread_load(struct store *s); /* at the opening */
/* For readers: waits until emails below `eid` have their thread. 0, or -1 and *f. */
int store_thread_wait(struct store *s, uint64_t eid, struct fail *f);

#endif
