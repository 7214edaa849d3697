/* master_spawn: starts a role: fork and exec of this very program. */
#ifndef POSTEL_MASTER_SPAWN_H
#define POSTEL_MASTER_SPAWN_H

#include "base/fail.h"
#include "run/role_kind.h"

int master_spawn_prepare(struct fail *f);   /* once, before the user changes: opens the program */
/* Returns the pid, or -1 with errno; *control: our end of its descriptor 3, the caller's to close. */
pid_t master_spawn_role(enum role_kind kind, int *control);

#endif
