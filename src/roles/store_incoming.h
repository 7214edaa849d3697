/* store_incoming: the store role's part of bodies that come in parts, before they are a message: spool_write, spool_lend,
 * spool_drop. */
#ifndef POSTEL_STORE_INCOMING_H
#define POSTEL_STORE_INCOMING_H

#include "run/ipc.h"
#include "store/store.h"

void store_incoming_start(struct store *s);
void store_incoming_spool(struct ipc_req *req); /* write, lend */
void store_incoming_drop(const struct ipc_peer *peer, const void *in);

#endif
