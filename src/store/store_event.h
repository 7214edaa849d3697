/* store_event: what happened to messages, for `postel trace` and for an account's own sessions; kept 30 days.
 *
 * A row tells what one commit did to one message: its head, then a step per recipient (msg_event_row says what of). It is
 * written in that commit. Nothing is indexed but the time: a search reads rows from a moment on, some hundred thousand a
 * second.
 */
#ifndef POSTEL_STORE_EVENT_H
#define POSTEL_STORE_EVENT_H

#include "store/store.h"

int store_event_read(struct store *s, uint64_t account, const struct msg_events *in, struct msg_events_r *out,
                     struct arena *mem, struct fail *f); /* account 0: everybody's */

#endif
