/* sandbox_calls: the one table of system calls that roles may make.
 *
 * A call without a row kills the process: execve, fork, new threads, socket, connect, bind, ptrace, kill, io_uring,
 * mount... A few that libraries make by habit are only refused, with the errno they expect. Paths cannot be checked
 * here; that is Landlock's part. The list holds for glibc 2.36 to 2.41 and SQLite. */
#include "run/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "run/sandbox.h"

#define EVERY (ROLE_BIT(ROLE_COUNT) - 1)
#define FILES (ROLE_BIT(ROLE_STORE) | ROLE_BIT(ROLE_AUTH))  /* have a directory */
#define ACCEPT (ROLES_FRONT | FILES)                        /* have listeners: of a service, or a control socket */
#define RELAY ROLE_BIT(ROLE_RELAY)
#define WIDE (SANDBOX_WIDE ? EVERY : 0)

/* Whether an argument must have a value, or bits of it. */
enum check {
    ANY, IS, BITS_CLEAR, BITS_SET,
    SELF,   /* is this process */
    STREAM, /* IS, and the argument behind it is SOCK_STREAM, whatever the flags */
    DGRAM,
};

struct row {
    int call;
    unsigned roles; /* that this row speaks of */
    unsigned arg;
    enum check check;
    uint64_t value;
    uint16_t err;   /* 0: the call goes through; else it is refused so */
};

#define CALL(name, roles) {SCMP_SYS(name), roles, 0, ANY, 0, 0}
#define CALL_IF(name, roles, arg, check, value) {SCMP_SYS(name), roles, arg, check, value, 0}
/* Asked by habit: a library that looks for a file of its own goes on without. */
#define REFUSE(name, err) {SCMP_SYS(name), EVERY & ~(FILES | WIDE), 0, ANY, 0, err}
#define REFUSE_ALL(name, err) {SCMP_SYS(name), EVERY, 0, ANY, 0, err}

static const struct row rows[] = {
    /* what is open already */
    CALL(read, EVERY), CALL(write, EVERY), CALL(readv, EVERY), CALL(writev, EVERY), CALL(pread64, EVERY),
    CALL(lseek, EVERY), CALL(close, EVERY), CALL(close_range, EVERY), CALL(dup, EVERY), CALL(fstat, EVERY),
    CALL_IF(newfstatat, EVERY, 3, BITS_SET, AT_EMPTY_PATH), /* glibc 2.36 makes fstat of it */
    CALL_IF(fcntl, EVERY, 1, IS, F_GETFD), CALL_IF(fcntl, EVERY, 1, IS, F_SETFD), CALL_IF(fcntl, EVERY, 1, IS, F_GETFL),
    CALL_IF(fcntl, EVERY, 1, IS, F_SETFL), CALL_IF(fcntl, EVERY, 1, IS, F_DUPFD_CLOEXEC),
    CALL_IF(fcntl, EVERY, 1, IS, F_GET_SEALS),
    CALL(recvfrom, EVERY), CALL(sendto, EVERY), CALL(recvmsg, EVERY), CALL(sendmsg, EVERY), CALL(recvmmsg, EVERY),
    CALL(sendmmsg, EVERY), CALL(shutdown, EVERY), CALL(getsockopt, EVERY), CALL(getsockname, EVERY),
    CALL(getpeername, EVERY),
    CALL(epoll_wait, EVERY), CALL(epoll_pwait, EVERY), CALL(epoll_pwait2, EVERY), CALL(epoll_ctl, EVERY),
    CALL(poll, EVERY), CALL(ppoll, EVERY),

    /* memory, never executable */
    CALL_IF(mmap, EVERY, 2, BITS_CLEAR, PROT_EXEC), CALL_IF(mprotect, EVERY, 2, BITS_CLEAR, PROT_EXEC),
    CALL(munmap, EVERY), CALL(mremap, EVERY), CALL(madvise, EVERY), CALL(brk, EVERY),

    /* threads that run already; rseq and set_robust_list: one may still be on its first steps */
    CALL(futex, EVERY), CALL(sched_yield, EVERY), CALL(rseq, EVERY), CALL(set_robust_list, EVERY),
    CALL(sched_getaffinity, EVERY), CALL(getcpu, EVERY), CALL(membarrier, EVERY),
    CALL(exit, EVERY), CALL(exit_group, EVERY), CALL(restart_syscall, EVERY),
    CALL(rt_sigaction, EVERY), CALL(rt_sigprocmask, EVERY), CALL(rt_sigreturn, EVERY), CALL(sigaltstack, EVERY),
    CALL_IF(tgkill, EVERY, 0, SELF, 0), /* abort() */

    /* time, randomness, who am I */
    CALL(clock_gettime, EVERY), CALL(clock_getres, EVERY), CALL(clock_nanosleep, EVERY), CALL(nanosleep, EVERY),
    CALL(gettimeofday, EVERY), CALL(time, EVERY), CALL(getrandom, EVERY), CALL(getpid, EVERY), CALL(gettid, EVERY),
    CALL(getppid, EVERY), CALL(getuid, EVERY), CALL(geteuid, EVERY), CALL(getgid, EVERY), CALL(getegid, EVERY),
    CALL(getrusage, EVERY), CALL(sysinfo, EVERY), CALL(uname, EVERY),
    CALL_IF(prlimit64, EVERY, 2, IS, 0), /* to ask only */

    /* connections come in by accept, and go out of relay alone, which can neither listen nor accept */
    CALL(accept4, ACCEPT), CALL(setsockopt, ROLES_FRONT | RELAY),
    CALL_IF(socket, RELAY, 0, STREAM, AF_INET), CALL_IF(socket, RELAY, 0, STREAM, AF_INET6),
    CALL_IF(socket, RELAY, 0, DGRAM, AF_INET), CALL_IF(socket, RELAY, 0, DGRAM, AF_INET6),
    CALL(connect, RELAY), CALL(bind, RELAY), CALL_IF(socketpair, RELAY, 0, IS, AF_UNIX), /* curl wakes itself */

    /* bodies on their way, sealed */
    CALL(memfd_create, ROLES_FRONT | ROLE_BIT(ROLE_STORE)),
    CALL_IF(fcntl, ROLES_FRONT | ROLE_BIT(ROLE_STORE), 1, IS, F_ADD_SEALS),

    /* files, beneath the role's directory by Landlock */
    CALL(openat, FILES | WIDE), CALL(open, FILES | WIDE), CALL(openat2, FILES), CALL(newfstatat, FILES | WIDE),
    CALL(stat, FILES | WIDE), CALL(lstat, FILES | WIDE), CALL(statx, FILES | WIDE), CALL(access, FILES | WIDE),
    CALL(faccessat, FILES | WIDE), CALL(faccessat2, FILES | WIDE), CALL(readlink, FILES | WIDE),
    CALL(readlinkat, FILES | WIDE), CALL(getcwd, FILES | WIDE), CALL(getdents64, FILES), CALL(statfs, FILES),
    CALL(fstatfs, FILES),
    CALL(pwrite64, FILES), CALL(preadv, FILES), CALL(preadv2, FILES), CALL(pwritev, FILES), CALL(pwritev2, FILES),
    CALL(fsync, FILES), CALL(fdatasync, FILES), CALL(sync_file_range, FILES), CALL(msync, FILES),
    CALL(ftruncate, FILES | ROLES_FRONT), CALL(fallocate, FILES), CALL(fadvise64, FILES), CALL(copy_file_range, FILES),
    CALL(flock, FILES), CALL_IF(fcntl, FILES, 1, IS, F_SETLK), CALL_IF(fcntl, FILES, 1, IS, F_SETLKW),
    CALL_IF(fcntl, FILES, 1, IS, F_GETLK), CALL_IF(fcntl, FILES, 1, IS, F_OFD_SETLK),
    CALL_IF(fcntl, FILES, 1, IS, F_OFD_GETLK),
    CALL(fchmod, FILES), CALL(mkdir, FILES), CALL(mkdirat, FILES), CALL(rmdir, FILES), CALL(unlink, FILES),
    CALL(unlinkat, FILES), CALL(rename, FILES), CALL(renameat, FILES), CALL(renameat2, FILES), CALL(link, FILES),
    CALL(linkat, FILES),

    REFUSE(openat, EACCES), REFUSE(open, EACCES), REFUSE(stat, EACCES), REFUSE(lstat, EACCES), REFUSE(statx, EACCES),
    {SCMP_SYS(newfstatat), EVERY & ~(FILES | WIDE), 3, BITS_CLEAR, AT_EMPTY_PATH, EACCES},
    REFUSE(access, EACCES), REFUSE(faccessat, EACCES), REFUSE(faccessat2, EACCES), REFUSE(readlink, EACCES),
    REFUSE(readlinkat, EACCES), REFUSE(getcwd, EACCES), REFUSE(mkdir, EACCES), REFUSE(unlink, EACCES),
    REFUSE(rename, EACCES),
    {SCMP_SYS(setsockopt), EVERY & ~(ROLES_FRONT | RELAY), 0, ANY, 0, EPERM},
    REFUSE_ALL(ioctl, ENOTTY), REFUSE_ALL(prctl, EPERM), REFUSE_ALL(fchown, EPERM),
};

static int add_row(scmp_filter_ctx ctx, const struct row *row)
{
    uint32_t action = row->err == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(row->err);
    struct scmp_arg_cmp cmp[2] = {
        {.arg = row->arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = row->value},
        {.arg = row->arg + 1, .op = SCMP_CMP_MASKED_EQ, .datum_a = ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC)},
    };
    unsigned n = 1;
    switch (row->check) {
    case ANY: return seccomp_rule_add_array(ctx, action, row->call, 0, NULL);
    case IS: cmp[0].op = SCMP_CMP_EQ; break;
    case SELF: cmp[0].op = SCMP_CMP_EQ; cmp[0].datum_a = (scmp_datum_t)getpid(); break;
    case BITS_CLEAR: cmp[0].datum_b = 0; break;
    case BITS_SET: cmp[0].datum_b = row->value; break;
    case STREAM:
    case DGRAM:
        cmp[0].op = SCMP_CMP_EQ;
        cmp[1].datum_b = row->check == STREAM ? SOCK_STREAM : SOCK_DGRAM;
        n = 2;
        break;
    }
    return seccomp_rule_add_array(ctx, action, row->call, n, cmp);
}

static int fill(scmp_filter_ctx ctx, enum role_kind kind)
{
    int err = 0;
    for (size_t i = 0; i < COUNT_OF(rows) && err == 0; i++)
        if (rows[i].roles & ROLE_BIT(kind))
            err = add_row(ctx, &rows[i]);
    return err;
}

int sandbox_calls_load(enum role_kind kind)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL)
        return -ENOMEM;
    int err;
    if ((err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) == 0
        && (err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)) == 0
        && (err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) == 0 /* a tree: calls cost the same wherever they stand */
        && (err = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1)) == 0 && (err = fill(ctx, kind)) == 0)
        err = seccomp_load(ctx);
    seccomp_release(ctx);
    return err;
}
