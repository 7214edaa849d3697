/* sandbox_calls: the system calls that each role may make. */
#ifndef POSTEL_SANDBOX_CALLS_H
#define POSTEL_SANDBOX_CALLS_H

#include "run/role_kind.h"

/* Loads the seccomp filter of this role for all threads. 0, or -errno as the kernel gave it. */
int sandbox_calls_load(enum role_kind kind);

#endif
