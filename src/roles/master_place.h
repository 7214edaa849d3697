/* master_place: where and as whom the server runs: the data directory, its lock, the user. */
#ifndef POSTEL_MASTER_PLACE_H
#define POSTEL_MASTER_PLACE_H

#include "run/config.h"

/* All return 0, or -1 with a reason that says what to do. In this order: */
int master_place_data(const struct config *c, struct fail *f); /* as root: makes a missing data directory, for server.user */
int master_place_user(const struct config *c, struct fail *f); /* as root with server.user: becomes that user for good */
/* Checks the data directory, makes it the working directory, takes its lock, makes the directories below. */
int master_place_enter(const struct config *c, struct fail *f);
void master_place_leave(void);                                 /* the lock file says that nobody runs */

#endif
