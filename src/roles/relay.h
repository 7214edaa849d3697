/* relay: what the files of the relay role share. */
#ifndef POSTEL_RELAY_H
#define POSTEL_RELAY_H

#include "run/ipc.h"

void relay_dns(struct ipc_req *req); /* a dns call */

#endif
