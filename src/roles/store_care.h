/* store_care: the store role's answers to the command line: verify and backup. */
#ifndef POSTEL_STORE_CARE_H
#define POSTEL_STORE_CARE_H

#include "run/ipc.h"
#include "store/store.h"

void store_care_start(struct store *s);
void store_care_stop(void);     /* nothing is under way any more */
void store_care_verify(struct ipc_req *req);
void store_care_backup(struct ipc_req *req);    /* begin, list, read, end */

#endif
