/* sandbox: closes a role in. Landlock by raw system calls, since neither glibc nor Debian 12's headers know all of it. */
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/limits.h"
#include "run/sandbox_calls.h"

/* ---- Landlock (Documentation/userspace-api/landlock.rst) --------------------------------------------------------------- */

#define LL_EXECUTE (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE (1ull << 2)
#define LL_READ_DIR (1ull << 3)
#define LL_REMOVE_DIR (1ull << 4)
#define LL_REMOVE_FILE (1ull << 5)
#define LL_MAKE_DIR (1ull << 7)
#define LL_MAKE_REG (1ull << 8)
#define LL_REFER (1ull << 13)
#define LL_TRUNCATE (1ull << 14)
/* Every right that a version knows: 1 ends at MAKE_SYM, 2 has REFER, 3 TRUNCATE, 5 IOCTL_DEV. */
#define LL_ALL_1 ((1ull << 13) - 1)
#define LL_ALL_2 ((1ull << 14) - 1)
#define LL_ALL_3 ((1ull << 15) - 1)
#define LL_ALL_5 ((1ull << 16) - 1)
/* What a role may do beneath its directory: regular files and directories, nothing executable, no links elsewhere. */
#define LL_OWN                                                                                                         \
    (LL_WRITE_FILE | LL_READ_FILE | LL_READ_DIR | LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_DIR | LL_MAKE_REG | LL_REFER  \
     | LL_TRUNCATE)
#define LL_NET_BOTH 3ull    /* BIND_TCP, CONNECT_TCP; version 4 */
#define LL_SCOPE_BOTH 3ull  /* abstract Unix sockets, signals; version 6 */

struct ruleset { uint64_t fs, net, scoped; };
struct beneath { uint64_t allowed; int32_t fd; } __attribute__((packed));

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* LANDLOCK_CREATE_RULESET_VERSION */);
    return abi < 0 ? 0 : (int)abi; /* ENOSYS, EOPNOTSUPP: built or booted without it */
}

static int allow_beneath(int ruleset, const char *dir, uint64_t rights, struct fail *f)
{
    struct beneath rule = {.allowed = rights, .fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (rule.fd < 0)
        return fail_errno(f, dir, errno);
    long bad = syscall(SYS_landlock_add_rule, ruleset, 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0);
    int err = errno;
    close(rule.fd);
    return bad != 0 ? fail_errno(f, "landlock_add_rule", err) : 0;
}

static int landlock(enum role_kind kind, const char *dir, struct sandbox_level *level, struct fail *f)
{
    int abi = landlock_abi(), ret = -1;
    if (abi == 0)
        return 0;
    struct ruleset all = {
        .fs = abi >= 5 ? LL_ALL_5 : abi >= 3 ? LL_ALL_3 : abi == 2 ? LL_ALL_2 : LL_ALL_1,
        .net = kind == ROLE_RELAY ? 0 : LL_NET_BOTH, /* what it binds it cannot listen on: seccomp */
        .scoped = LL_SCOPE_BOTH,
    };
    /* A kernel refuses (E2BIG) fields that it does not know yet. */
    size_t size = abi >= 6 ? sizeof all : abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (ruleset < 0)
        return fail_errno(f, "landlock_create_ruleset", errno);
    if (dir != NULL && allow_beneath(ruleset, dir, LL_OWN & all.fs, f) < 0)
        goto out;
    if (SANDBOX_WIDE && allow_beneath(ruleset, "/", LL_READ_FILE | LL_READ_DIR, f) < 0)
        goto out;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        fail_errno(f, "landlock_restrict_self", errno);
        goto out;
    }
    level->landlock = true;
    level->landlock_abi = abi;
    ret = 0;
out:
    close(ruleset);
    return ret;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

/* For a role that root started without server.user: uid 0 that can do no more than own files. */
static int drop_capabilities(struct fail *f)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* EPERM without privilege: then there is none to lose */
    if (syscall(SYS_capset, &head, none) != 0)
        return fail_errno(f, "capset", errno);
    return 0;
}

static int set_limit(int what, const char *name, rlim_t value, struct fail *f)
{
    struct rlimit r = {.rlim_cur = value, .rlim_max = value};
    return setrlimit((__rlimit_resource_t)what, &r) != 0 ? fail_errno(f, name, errno) : 0;
}

int sandbox_early(enum role_kind kind, const char *dir, struct sandbox_level *level, struct fail *f)
{
    *level = (struct sandbox_level){0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno(f, "NO_NEW_PRIVS", errno);
    level->no_new_privs = true;
    if (set_limit(RLIMIT_CORE, "RLIMIT_CORE", 0, f) < 0)
        return -1;
    if (kind == ROLE_SCAN && !SANDBOX_WIDE && set_limit(RLIMIT_DATA, "RLIMIT_DATA", (rlim_t)LIMIT(SCAN_BYTES), f) < 0)
        return -1;
    if (landlock(kind, dir, level, f) < 0 || drop_capabilities(f) < 0)
        return -1;
    /* Nobody of the same uid reads our memory through /proc or ptrace. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail_errno(f, "DUMPABLE", errno);
    level->not_dumpable = true;
    return 0;
}

int sandbox_enter(enum role_kind kind, struct sandbox_level *level, struct fail *f)
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
        return 0; /* a kernel without it */
    int err = sandbox_calls_load(kind);
    if (err == -ENOSYS || err == -EINVAL)
        return 0; /* seccomp without filters */
    if (err != 0)
        return fail_errno(f, "seccomp", -err);
    level->seccomp = true;
    return 0;
}

void sandbox_describe(const struct sandbox_level *level, char out[128])
{
    char landlock_text[24] = "";
    if (level->landlock)
        snprintf(landlock_text, sizeof landlock_text, " landlock(%d)", level->landlock_abi);
    int n = snprintf(out, 128, "%s%s%s%s%s", level->no_new_privs ? " no_new_privs" : "", landlock_text,
                     level->seccomp ? " seccomp" : "", level->not_dumpable ? " not_dumpable" : "",
                     SANDBOX_WIDE ? " wide(sanitizer)" : "");
    if (n == 0)
        snprintf(out, 128, "none");
    else
        memmove(out, out + 1, (size_t)n);
}
