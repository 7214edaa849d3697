/* sandbox: what a role may no longer do once it begins: NO_NEW_PRIVS, Landlock, seccomp, DUMPABLE 0 (SEC-27). */
#ifndef POSTEL_SANDBOX_H
#define POSTEL_SANDBOX_H

#include "base/fail.h"
#include "run/role_kind.h"

struct sandbox_level {
    bool no_new_privs, landlock, seccomp, not_dumpable;
    int landlock_abi;   /* 0 when there is none */
};

/* Closes this process in for good, all threads. dir: the only directory (with all below) that may be used, or NULL
 * for none. What the kernel lacks is left out and shows in *level (SEC-29); anything else that fails is an error.
 * Call with all threads of work_start running (seccomp TSYNC, Landlock before the threads or by each). */
int sandbox_enter(enum role_kind kind, const char *dir, struct sandbox_level *level, struct fail *f);
/* First thing in main of a role: NO_NEW_PRIVS, DUMPABLE 0, Landlock for `dir`; sandbox_enter then adds seccomp. */
int sandbox_early(enum role_kind kind, const char *dir, struct sandbox_level *level, struct fail *f);
void sandbox_describe(const struct sandbox_level *level, char out[128]); /* "no_new_privs landlock(5) seccomp" */

#endif
