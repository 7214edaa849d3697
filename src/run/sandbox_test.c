/* The probe: as each role, sandboxed, try what it must not do and what it needs, and see what comes of it (SEC-01,
 * SEC-27). Holds for the release build; a row marked `wide` is let through in sanitizer builds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "run/sandbox.h"

enum outcome { DONE, REFUSED, KILLED };
static const char *const outcome_names[] = {"done", "refused", "killed"};

static char room[] = "/tmp/postel-sandbox-XXXXXX"; /* stands for the data directory */
static int pair[2], tcp;                           /* made before the sandbox */

/* Attempts: 0 when it worked, -1 when refused. */
static int open_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : 0;
}

static int try_passwd(void) { return open_path("/etc/passwd", O_RDONLY); }
static int try_proc(void) { return open_path("/proc/self/maps", O_RDONLY); }
static int try_list(void) { return open_path("/", O_RDONLY | O_DIRECTORY); }
static int try_write_outside(void) { return open_path("outside", O_RDWR | O_CREAT); }
static int try_write_tmp(void) { return open_path("/tmp/postel-sandbox-probe", O_RDWR | O_CREAT); }
static int try_climb(void) { return open_path("store/../auth/../outside", O_RDWR | O_CREAT); }
static int try_store_read(void) { return open_path("store/mail", O_RDONLY); }
static int try_auth_read(void) { return open_path("auth/mail", O_RDONLY); }
static int try_store_write(void) { return open_path("store/new", O_RDWR | O_CREAT | O_TRUNC); }
static int try_auth_write(void) { return open_path("auth/new", O_RDWR | O_CREAT | O_TRUNC); }
static int try_stat(void)
{
    struct stat st;
    return stat("/etc/passwd", &st);
}
static int try_inet(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int try_inet6(void) { return socket(AF_INET6, SOCK_DGRAM, 0); }
static int try_raw(void) { return socket(AF_INET, SOCK_RAW, 1); }
static int try_netlink(void) { return socket(AF_NETLINK, SOCK_DGRAM, 0); }
static int try_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int try_socketpair(void)
{
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static int try_connect(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(tcp, (struct sockaddr *)&to, sizeof to) == 0 || errno == ECONNREFUSED ? 0 : -1;
}
static int try_bind(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(tcp, (struct sockaddr *)&to, sizeof to);
}
static int try_listen(void) { return listen(tcp, 1); }
static int try_execve(void)
{
    char *argv[] = {(char *)"true", NULL}, *envp[] = {NULL};
    return execve("/bin/true", argv, envp);
}
static int try_execveat(void)
{
    char *argv[] = {(char *)"true", NULL}, *envp[] = {NULL};
    return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, envp, 0);
}
static int try_fork(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}
static void *idle_thread(void *arg) { return arg; }
static int try_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, idle_thread, NULL) == 0 ? pthread_join(t, NULL) : -1;
}
static int try_ptrace(void) { return ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0 ? -1 : 0; }
static int try_read_parent(void) { return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0); }
static int try_kill(void) { return kill(getppid(), 0); }
static int try_tgkill(void) { return (int)syscall(SYS_tgkill, getppid(), getppid(), 0); }
static int try_pidfd(void) { return (int)syscall(SYS_pidfd_open, getppid(), 0); }
static int try_mprotect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static int try_mmap_exec(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}
static int try_io_uring(void) { return (int)syscall(SYS_io_uring_setup, 1, NULL); }
static int try_bpf(void) { return (int)syscall(SYS_bpf, 0, NULL, 0); }
static int try_unshare(void) { return (int)syscall(SYS_unshare, 0x10000000); }
static int try_mount(void) { return (int)syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL); }
static int try_setuid(void) { return (int)syscall(SYS_setuid, 0); }
static int try_personality(void) { return (int)syscall(SYS_personality, 0x0400000); }
static int try_symlink(void) { return symlink("/etc/passwd", "store/link"); }
static int try_chmod(void) { return chmod("store/mail", 0777); }
static int try_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static int try_core(void)
{
    struct rlimit { uint64_t cur, max; } r = {1, 1};
    return (int)syscall(SYS_prlimit64, 0, 4 /* RLIMIT_CORE */, &r, NULL);
}
static int try_memfd(void)
{
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd >= 0 && ftruncate(fd, 10) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) == 0 ? 0 : -1;
}
static int try_accept(void)
{
    return accept4(tcp, NULL, NULL, SOCK_NONBLOCK) < 0 && errno == EINVAL ? 0 : -1; /* it does not listen */
}

/* What the store does all day, in its own directory and by /proc/self/fd for O_TMPFILE. */
static int file_work(const char *dir)
{
    char path[64], other[64];
    snprintf(path, sizeof path, "%s/work", dir);
    snprintf(other, sizeof other, "%s/sub", dir);
    if (mkdir(other, 0700) != 0)
        return -1;
    snprintf(other, sizeof other, "%s/sub/work", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, "abc", 3, 0) != 3 || fdatasync(fd) != 0 || ftruncate(fd, 1) != 0)
        return -1;
    struct flock lock = {.l_type = F_WRLCK};
    if (fcntl(fd, F_SETLK, &lock) != 0 || rename(path, other) != 0 || link(other, path) != 0 || unlink(path) != 0)
        return -1;
    int tmp = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    snprintf(other, sizeof other, "/proc/self/fd/%d", tmp);
    if (tmp >= 0)
        return linkat(AT_FDCWD, other, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    return errno == EOPNOTSUPP ? 0 : -1;
}
static int try_store_work(void) { return file_work("store"); }
static int try_auth_work(void) { return file_work("auth"); }

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* What every role does: memory, sorting (asks sysinfo), sockets that are there, logs, time. */
static int try_ordinary(void)
{
    static int numbers[100000];
    int buf;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        numbers[i] = (int)((i * 7919) % COUNT_OF(numbers));
    qsort(numbers, COUNT_OF(numbers), sizeof numbers[0], compare_ints);
    for (size_t n = 16; n < 64u << 20; n *= 4) {
        char *p = realloc(malloc(n), n * 2);
        p[n] = 1;
        free(p);
    }
    char byte = 1;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (sendmsg(pair[0], &msg, MSG_NOSIGNAL) != 1 || read(pair[1], &buf, 1) != 1)
        return -1;
    struct stat st;
    log_write(LOG_DEBUG, "probe", NULL, 0);
    return fstat(pair[0], &st) == 0 && fcntl(pair[0], F_GETFL) == O_RDWR && usleep(10) == 0 && time(NULL) > 0 ? 0 : -1;
}

#define FRONTS ROLES_FRONT
#define STORE ROLE_BIT(ROLE_STORE)
#define AUTH ROLE_BIT(ROLE_AUTH)
#define RELAY ROLE_BIT(ROLE_RELAY)
#define ALL (ROLES_FRONT | ROLE_BIT(ROLE_SCAN) | RELAY | STORE | AUTH)
#define NOBODY 0u

struct probe {
    const char *name;
    int (*attempt)(void);
    unsigned may;           /* roles that must succeed */
    enum outcome otherwise; /* for the others */
    bool wide;              /* sanitizer builds let it through */
};

static const struct probe probes[] = {
    {"ordinary", try_ordinary, ALL, KILLED, false},
    {"open /etc/passwd", try_passwd, NOBODY, REFUSED, true},
    {"open /proc/self/maps", try_proc, NOBODY, REFUSED, true},
    {"open / to list", try_list, NOBODY, REFUSED, true},
    {"stat /etc/passwd", try_stat, STORE | AUTH, REFUSED, true},
    {"write beside its directory", try_write_outside, NOBODY, REFUSED, false},
    {"write in /tmp", try_write_tmp, NOBODY, REFUSED, false},
    {"climb with ..", try_climb, NOBODY, REFUSED, false},
    {"read in store", try_store_read, STORE, REFUSED, true},
    {"read in auth", try_auth_read, AUTH, REFUSED, true},
    {"write in store", try_store_write, STORE, REFUSED, false},
    {"write in auth", try_auth_write, AUTH, REFUSED, false},
    {"chmod in store", try_chmod, NOBODY, KILLED, false},
    {"symlink in store", try_symlink, NOBODY, KILLED, false},
    {"socket IPv4", try_inet, RELAY, KILLED, false},
    {"socket IPv6", try_inet6, RELAY, KILLED, false},
    {"socket raw", try_raw, NOBODY, KILLED, false},
    {"socket netlink", try_netlink, NOBODY, KILLED, false},
    {"socket Unix", try_unix, NOBODY, KILLED, false},
    {"socketpair", try_socketpair, RELAY, KILLED, false},
    {"connect", try_connect, RELAY, KILLED, false},
    {"bind", try_bind, RELAY, KILLED, false},
    {"listen", try_listen, NOBODY, KILLED, false},
    {"accept", try_accept, FRONTS | STORE | AUTH, KILLED, false},
    {"execve", try_execve, NOBODY, KILLED, false},
    {"execveat", try_execveat, NOBODY, KILLED, false},
    {"fork", try_fork, NOBODY, KILLED, false},
    {"a new thread", try_thread, NOBODY, KILLED, false},
    {"ptrace", try_ptrace, NOBODY, KILLED, false},
    {"process_vm_readv", try_read_parent, NOBODY, KILLED, false},
    {"kill", try_kill, NOBODY, KILLED, false},
    {"tgkill of another", try_tgkill, NOBODY, KILLED, false},
    {"pidfd_open", try_pidfd, NOBODY, KILLED, false},
    {"mprotect executable", try_mprotect_exec, NOBODY, KILLED, false},
    {"mmap executable", try_mmap_exec, NOBODY, KILLED, false},
    {"io_uring", try_io_uring, NOBODY, KILLED, false},
    {"bpf", try_bpf, NOBODY, KILLED, false},
    {"unshare", try_unshare, NOBODY, KILLED, false},
    {"mount", try_mount, NOBODY, KILLED, false},
    {"setuid", try_setuid, NOBODY, KILLED, false},
    {"personality", try_personality, NOBODY, KILLED, false},
    {"dumpable again", try_dumpable, NOBODY, REFUSED, false},
    {"core size again", try_core, NOBODY, KILLED, false},
    {"sealed memfd", try_memfd, FRONTS | STORE, KILLED, false},
};

static const char *dir_of(enum role_kind kind)
{
    return kind == ROLE_STORE ? "store" : kind == ROLE_AUTH ? "auth" : NULL;
}

static struct sandbox_level close_in(enum role_kind kind)
{
    struct fail f = {0};
    struct sandbox_level level;
    if (sandbox_early(kind, dir_of(kind), &level, &f) < 0 || sandbox_enter(kind, &level, &f) < 0) {
        fprintf(stderr, "%s: %s\n", role_kind_name(kind), f.text);
        _exit(99);
    }
    return level;
}

/* Exit status of the child: 0 done, 1 refused; a signal: killed. */
static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static enum outcome run_probe(enum role_kind kind, int (*attempt)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close_in(kind);
        _exit(attempt() >= 0 ? 0 : 1);
    }
    int status = wait_for(pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return KILLED;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        fail_msg("%s: status %x", role_kind_name(kind), status);
    return WEXITSTATUS(status) == 0 ? DONE : REFUSED;
}

static void test_probes(void **state)
{
    int wrong = 0;
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        for (enum role_kind kind = ROLE_FRONT_MX; kind <= ROLE_AUTH; kind++) {
            enum outcome want = probes[i].may & ROLE_BIT(kind) ? DONE : probes[i].otherwise;
            if (SANDBOX_WIDE && probes[i].wide)
                want = DONE;
            enum outcome got = run_probe(kind, probes[i].attempt);
            if (got != want) {
                print_error("%s as %s: %s, wanted %s\n", probes[i].name, role_kind_name(kind), outcome_names[got],
                            outcome_names[want]);
                wrong++;
            }
        }
    assert_int_equal(wrong, 0);
}

static void test_file_work(void **state)
{
    assert_int_equal(run_probe(ROLE_STORE, try_store_work), DONE);
    assert_int_equal(run_probe(ROLE_AUTH, try_auth_work), DONE);
    assert_int_equal(run_probe(ROLE_STORE, try_auth_work), REFUSED);
}

/* A thread that ran before is inside as well (TSYNC). */
static int go_fd;
static void *late_thread(void *arg)
{
    uint64_t n;
    if (read(go_fd, &n, sizeof n) == sizeof n)
        socket(AF_INET, SOCK_STREAM, 0);
    return arg;
}

static void test_threads(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct fail f;
        struct sandbox_level level;
        pthread_t t;
        go_fd = eventfd(0, EFD_CLOEXEC);
        if (sandbox_early(ROLE_SCAN, NULL, &level, &f) < 0 || pthread_create(&t, NULL, late_thread, NULL) != 0
            || sandbox_enter(ROLE_SCAN, &level, &f) < 0)
            _exit(99);
        if (write(go_fd, &(uint64_t){1}, 8) == 8)
            pthread_join(t, NULL);
        _exit(0);
    }
    int status = wait_for(pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_abort(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        close_in(ROLE_STORE);
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    int status = wait_for(pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void expect_status(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no %s in %s", line, text);
}

/* /proc/PID/status of a closed-in role, seen from outside. */
static void test_status(void **state)
{
    char path[64], text[8192], got[128] = "";
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_level level = close_in(ROLE_AUTH);
        sandbox_describe(&level, got);
        if (write(pair[0], got, sizeof got) != sizeof got)
            _exit(99);
        _exit(read(pair[0], got, 1) == 1 ? 0 : 99);
    }
    assert_int_equal(read(pair[1], got, sizeof got), sizeof got);
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    close(fd);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(wait_for(pid), 0);
    expect_status(text, "NoNewPrivs:\t1");
    expect_status(text, "CapPrm:\t0000000000000000");
    expect_status(text, "CapEff:\t0000000000000000");
    expect_status(text, "CapAmb:\t0000000000000000");
    if (strstr(got, " seccomp") != NULL)
        expect_status(text, "Seccomp:\t2");
    print_message("reached: %s\n", got);
    expect_status(got, "no_new_privs");
    expect_status(got, "not_dumpable");
}

static int make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    return fd < 0 ? -1 : 0;
}

static int set_up(void **state)
{
    tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return mkdtemp(room) == NULL || chdir(room) != 0 || mkdir("store", 0700) != 0 || mkdir("auth", 0700) != 0
            || make_file("store/mail") < 0 || make_file("auth/mail") < 0 || tcp < 0
            || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0
        ? -1
        : 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"store/mail", "store/new", "store/work", "store/sub/work", "auth/mail", "auth/new",
                                        "auth/work", "auth/sub/work"};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlink(files[i]);
    rmdir("store/sub");
    rmdir("auth/sub");
    rmdir("store");
    rmdir("auth");
    return rmdir(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes), cmocka_unit_test(test_file_work), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_abort),  cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
