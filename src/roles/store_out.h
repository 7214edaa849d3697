/* store_out: mail for elsewhere in the store role: what relay asks and is told, and what people do to the queue. */
#ifndef POSTEL_STORE_OUT_H
#define POSTEL_STORE_OUT_H

#include "run/ipc.h"
#include "store/store_queue.h"

void store_out_start(struct store *s);
void store_out_stop(void);
void store_out_relay(struct ipc_req *req);          /* domains, lease, attempt, result */
void store_out_return(const struct ipc_peer *peer, const void *in);
void store_out_people(struct ipc_req *req);         /* change, suspend */
void store_out_closed(struct ipc_peer peer, bool calls); /* a channel */

#endif
