/* master_spawn: a role begins with nothing: standard streams, its control channel at 3, no environment. exec gives it an
 * address space of its own, laid out anew, that holds none of master's or the others' secrets. */
#include "roles/master_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/vec.h"
#include "run/sandbox.h"

enum { CONTROL_FD = 3 };

extern char **environ;

static int program = -1;
static VEC(char *) env;

/* Sanitizers take their options from the environment. Leaks are not looked for: that needs ptrace and threads. */
static void keep_sanitizer_options(void)
{
    if (SANDBOX_WIDE) {
        char leaks[1024] = "ASAN_OPTIONS=detect_leaks=0";
        for (char **e = environ; *e != NULL; e++) {
            if (strncmp(*e, "ASAN_OPTIONS=", 13) == 0)
                snprintf(leaks, sizeof leaks, "%.990s:detect_leaks=0", *e);
            else if (strncmp(*e, "UBSAN_OPTIONS=", 14) == 0 || strncmp(*e, "TSAN_OPTIONS=", 13) == 0)
                *VEC_PUSH(&env) = *e;
        }
        *VEC_PUSH(&env) = strdup(leaks);
    }
    *VEC_PUSH(&env) = NULL;
}

int master_spawn_prepare(struct fail *f)
{
    struct rlimit files;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (null >= 0 && null <= STDERR_FILENO) /* whoever started us left some of 0 to 2 closed */
        null = dup(null);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return fail_errno(f, "/dev/null", errno);
    close(null);
    int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    program = exe < 0 ? -1 : fcntl(exe, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
    if (program < 0)
        return fail_errno(f, "/proc/self/exe", errno);
    close(exe);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* each session is a descriptor */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    keep_sanitizer_options();
    return 0;
}

static void become_role(enum role_kind kind, int control, pid_t parent) NORETURN;
static void become_role(enum role_kind kind, int control, pid_t parent)
{
    char postel[] = "postel", role[] = "role", name[16];
    char *argv[] = {postel, role, name, NULL};
    sigset_t none;
    snprintf(name, sizeof name, "%s", role_kind_name(kind));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) /* died before prctl could see it */
        _exit(1);
    if (dup2(control, CONTROL_FD) == CONTROL_FD && fcntl(CONTROL_FD, F_SETFD, 0) == 0
        && close_range(CONTROL_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        syscall(SYS_execveat, program, "", argv, env.v, AT_EMPTY_PATH);
    _exit(127);
}

pid_t master_spawn_role(enum role_kind kind, int *control)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become_role(kind, ends[1], parent);
    int err = errno;
    close(ends[1]);
    if (pid > 0) {
        *control = ends[0];
        return pid;
    }
    close(ends[0]);
    errno = err;
    return -1;
}
