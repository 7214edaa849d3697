/* master_place: mail lies in one directory that belongs to one user and to one running server. */
#include "roles/master_place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"

#define LOCK_FILE "run/master.pid"

static int lock_fd = -1;

/* server.user, or NULL when there is none to become. 0 or -1. */
static int wanted_user(const struct config *c, struct passwd **pw, struct fail *f)
{
    struct span user = config_get(c, CONFIG_server_user);
    *pw = NULL;
    if (geteuid() != 0 || user.n == 0)
        return 0;
    *pw = getpwnam(user.p); /* config text ends in NUL */
    if (*pw == NULL)
        return fail_perm(f, "5.3.5", "server.user: there is no user \"%s\"", user.p);
    return 0;
}

int master_place_data(const struct config *c, struct fail *f)
{
    const char *dir = config_get(c, CONFIG_server_data).p;
    struct passwd *pw;
    umask(077);
    if (wanted_user(c, &pw, f) < 0)
        return -1;
    if (mkdir(dir, 0700) < 0)
        return errno == EEXIST ? 0 : fail_perm(f, "5.3.5", "making the data directory %.90s: %s", dir, strerror(errno));
    /* Only what was made a moment ago is given away: nothing in it can be somebody's trap. */
    if (pw != NULL && lchown(dir, pw->pw_uid, pw->pw_gid) < 0)
        return fail_errno(f, dir, errno);
    return 0;
}

int master_place_user(const struct config *c, struct fail *f)
{
    struct passwd *pw;
    if (wanted_user(c, &pw, f) < 0)
        return -1;
    if (pw == NULL) {
        if (geteuid() == 0)
            LOG(LOG_WARN, "master.root", L_Z("why", "every role runs as root; set server.user to an ordinary user"));
        return 0;
    }
    if (setgroups(1, &pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0
        || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
        return fail_errno(f, "becoming server.user", errno);
    if (pw->pw_uid != 0 && setresuid(0, 0, 0) == 0)
        return fail_perm(f, "5.3.5", "root could not be given up");
    return 0;
}

static int check_dir(const char *dir, struct fail *f)
{
    struct stat st;
    if (lstat(dir, &st) < 0)
        return fail_perm(f, "5.3.5", "the data directory: %.100s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return fail_perm(f, "5.3.5", "%.100s is no directory", dir);
    if (st.st_uid != geteuid())
        return fail_perm(f, "5.3.5", "%.90s belongs to uid %u, the server runs as uid %u", dir, st.st_uid, geteuid());
    if (st.st_mode & 077)
        return fail_perm(f, "5.3.5", "%.90s is open to other users; do: chmod 700 it", dir);
    return 0;
}

static int take_lock(struct fail *f)
{
    char pid[16];
    lock_fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd < 0)
        return fail_errno(f, LOCK_FILE, errno);
    if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fail_perm(f, "5.3.5", "another server runs on this data directory (see %s there)", LOCK_FILE);
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(lock_fd, 0) < 0 || write(lock_fd, pid, (size_t)n) != n)
        return fail_errno(f, LOCK_FILE, errno);
    return 0;
}

/* REL-01: a directory that was just made is itself an entry that a power cut can take, with all the mail below it. */
static int sync_dir(const char *dir, struct fail *f)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : fail_errno(f, dir, errno); /* above ours, and not for us to read */
    int bad = fsync(fd), err = errno;
    close(fd);
    return bad < 0 && err != EINVAL ? fail_errno(f, dir, err) : 0; /* EINVAL: a file system without such a thing */
}

int master_place_enter(const struct config *c, struct fail *f)
{
    static const char *const below[] = {"run", "store", "auth"};
    const char *dir = config_get(c, CONFIG_server_data).p;
    if (check_dir(dir, f) < 0)
        return -1;
    if (chdir(dir) < 0)
        return fail_errno(f, dir, errno);
    for (size_t i = 0; i < COUNT_OF(below); i++) {
        if (mkdir(below[i], 0700) < 0 && errno != EEXIST)
            return fail_errno(f, below[i], errno);
        if (check_dir(below[i], f) < 0)
            return -1;
    }
    if (sync_dir(".", f) < 0 || sync_dir("..", f) < 0)
        return -1;
    return take_lock(f);
}

void master_place_leave(void)
{
    if (lock_fd >= 0 && ftruncate(lock_fd, 0) < 0)
        LOG(LOG_WARN, "master.lock", L_Z("error", strerror(errno)));
}
