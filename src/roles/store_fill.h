/* store_fill: has scan make the texts that a search misses (store/store_text.h). */
#ifndef POSTEL_STORE_FILL_H
#define POSTEL_STORE_FILL_H

#include "run/ipc.h"
#include "store/store.h"

void store_fill_start(struct store *s);
WAITS void store_fill_call(struct ipc_req *req);

#endif
