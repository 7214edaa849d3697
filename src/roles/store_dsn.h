/* store_dsn: makes the reports that the queue says are due, one at a time, and sends them. */
#ifndef POSTEL_STORE_DSN_H
#define POSTEL_STORE_DSN_H

#include "store/store_queue.h"

void store_dsn_start(struct store *s);
void store_dsn_stop(void);
bool store_dsn_idle(void);      /* nothing is under way */

#endif
