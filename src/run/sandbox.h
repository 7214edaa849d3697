/* sandbox: what a role may no longer do once it begins: NO_NEW_PRIVS, Landlock, seccomp, DUMPABLE 0 (SEC-27). */
#ifndef POSTEL_SANDBOX_H
#define POSTEL_SANDBOX_H

#include "base/fail.h"
#include "run/role_kind.h"

/* Under ASan and TSan a role may read any file, so that reports can name source lines; sandbox_describe marks it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_WIDE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_WIDE 1
#endif
#endif
#ifndef SANDBOX_WIDE
#define SANDBOX_WIDE 0
#endif

struct sandbox_level {
    bool no_new_privs, landlock, seccomp, not_dumpable;
    int landlock_abi;   /* 0 when there is none */
};

/* Two steps, both for good. What the kernel lacks is left out and shows in *level (SEC-29); anything else that fails is
 * an error. sandbox_early: NO_NEW_PRIVS, no capabilities, no core, DUMPABLE 0, memory limit, Landlock. dir: the only
 * directory (with all below) that may be used, or NULL for none. Call it before any thread starts: Landlock reaches
 * only the calling thread and what it starts later. */
int sandbox_early(enum role_kind kind, const char *dir, struct sandbox_level *level, struct fail *f);
/* seccomp, for all threads; none can be started afterwards. */
int sandbox_enter(enum role_kind kind, struct sandbox_level *level, struct fail *f);
void sandbox_describe(const struct sandbox_level *level, char out[128]); /* "no_new_privs landlock(5) seccomp" */

#endif
