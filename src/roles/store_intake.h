/* store_intake: an ingest that goes on elsewhere, or that somebody of ours submits: what of it may be (SEC-15, SEC-24). */
#ifndef POSTEL_STORE_INTAKE_H
#define POSTEL_STORE_INTAKE_H

#include "run/ipc.h"
#include "store/store.h"

void store_intake_start(struct store *s);
void store_intake(struct ipc_req *req); /* MSG_ID_ingest */

#endif
