/* postel restore: makes a data directory from a backup, each file against its hash (doc/decisions/09-backup.md). */
#include "admin/admin_backup.h"

#include "admin/backup_manifest.h"
#include "admin/columns.h"
#include "admin/control.h"
#include "base/str.h"
#include "store/store_queue.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* The index has this name until all else is in place and its queue is held: without one the server does not start. */
#define UNDONE "store/restoring.db"

enum { PIECE = 65536 };

struct restore { int from, to; bool give; uid_t uid; gid_t gid; };

/* ---- files ---- */

static int make(struct restore *r, const char *name, struct fail *f)
{
    int fd = openat(r->to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && r->give && fchown(fd, r->uid, r->gid) != 0) {
        close(fd);
        fd = -1;
    }
    return fd >= 0 ? fd : fail_errno(f, name, errno);
}

static int folder(struct restore *r, const char *name, struct fail *f)
{
    if (mkdirat(r->to, name, 0700) != 0 || (r->give && fchownat(r->to, name, r->uid, r->gid, AT_SYMLINK_NOFOLLOW) != 0))
        return fail_errno(f, name, errno);
    return 0;
}

/* The first e->size bytes of the backup's file, into fd when it is not -1. */
static int copy(struct restore *r, const struct backup_entry *e, int fd, struct fail *f)
{
    char name[120], hash[BACKUP_HASH + 1], *buf = base_alloc(PIECE);
    struct backup_hash h;
    snprintf(name, sizeof name, "%.*s", SPAN_ARGS(e->name));
    int in = openat(r->from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = in < 0 ? fail_errno(f, name, errno) : 0;
    backup_hash_start(&h);
    for (uint64_t at = 0; rc == 0 && at < e->size;) {
        size_t want = (size_t)MIN_OF((uint64_t)PIECE, e->size - at);
        ssize_t got = pread(in, buf, want, (off_t)at);
        if (got <= 0)
            rc = fail_perm(f, "", "%s is shorter than the manifest says", name);
        else if (fd >= 0 && write(fd, buf, (size_t)got) != got)
            rc = fail_errno(f, name, errno);
        if (rc == 0)
            backup_hash_add(&h, span_of(buf, (size_t)got));
        at += rc == 0 ? (uint64_t)got : 0;
    }
    backup_hash_end(&h, hash);
    if (rc == 0 && strcmp(hash, e->hash) != 0)
        rc = fail_perm(f, "", "%s is damaged: its hash is not the manifest's", name);
    if (rc == 0 && fd >= 0 && fsync(fd) != 0)
        rc = fail_errno(f, name, errno);
    if (in >= 0)
        close(in);
    free(buf);
    return rc;
}

/* ---- the bundle of auth ---- */

static int write_file(struct restore *r, const char *name, struct span bytes, struct fail *f)
{
    int fd = make(r, name, f);
    if (fd < 0)
        return -1;
    int rc = 0;
    while (bytes.n > 0 && rc == 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n <= 0)
            rc = fail_errno(f, name, errno);
        else
            bytes = span_from(bytes, (size_t)n);
    }
    if (rc == 0 && fsync(fd) != 0)
        rc = fail_errno(f, name, errno);
    close(fd);
    return rc;
}

static uint64_t number(struct span s, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, s.p, n);
    return le64toh(v);
}

/* keys/NAME and directory.db; nothing that leads elsewhere. */
static bool good(struct span name)
{
    struct span last = span_starts(name, SPAN("keys/")) ? span_from(name, 5) : name;
    return last.n > 0 && last.n < 200 && last.p[0] != '.' && span_find_char(last, '/') < 0 && span_find_char(last, '\0') < 0;
}

static int unpack(struct restore *r, struct span rest, struct fail *f)
{
    char path[300];
    const struct span magic = SPAN("POSTELAUTH1\n");
    if (!span_starts(rest, magic))
        return fail_perm(f, "", "the bundle of auth is of another format");
    rest = span_from(rest, magic.n);
    while (rest.n > 0) {
        size_t n = rest.n >= 2 ? (size_t)number(rest, 2) : SIZE_MAX;
        if (n == SIZE_MAX || rest.n < 2 + n + 8 || !good(span_sub(rest, 2, n)))
            return fail_perm(f, "", "the bundle of auth is damaged");
        snprintf(path, sizeof path, "auth/%.*s", (int)n, rest.p + 2);
        rest = span_from(rest, 2 + n);
        uint64_t size = number(rest, 8);
        rest = span_from(rest, 8);
        if (size > rest.n)
            return fail_perm(f, "", "the bundle of auth is damaged");
        if (write_file(r, path, span_sub(rest, 0, (size_t)size), f) != 0)
            return -1;
        rest = span_from(rest, (size_t)size);
    }
    return 0;
}

static int restore_auth(struct restore *r, const struct backup_entry *e, struct fail *f)
{
    char name[120];
    if (copy(r, e, -1, f) != 0) /* the hash first */
        return -1;
    snprintf(name, sizeof name, "%.*s", SPAN_ARGS(e->name));
    char *p = base_alloc((size_t)e->size + 1);
    int fd = openat(r->from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int rc = fd >= 0 && read(fd, p, (size_t)e->size) == (ssize_t)e->size ? unpack(r, span_of(p, (size_t)e->size), f)
                                                                         : fail_errno(f, name, errno);
    if (fd >= 0)
        close(fd);
    explicit_bzero(p, (size_t)e->size);
    free(p);
    return rc;
}

/* ---- all of it ---- */

static int restore_one(struct restore *r, const struct backup_entry *e, struct fail *f)
{
    char name[120];
    if (span_starts(e->name, SPAN("auth-")))
        return restore_auth(r, e, f);
    if (span_starts(e->name, SPAN("store/index-")))
        snprintf(name, sizeof name, UNDONE);
    else
        snprintf(name, sizeof name, "%.*s", SPAN_ARGS(e->name));
    int fd = make(r, name, f);
    int rc = fd < 0 ? -1 : copy(r, e, fd, f);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int empty(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d == NULL)
        return 0;
    closedir(d);
    return n == 0;
}

/* The new data directory: made, or empty; what it holds belongs to whom it belongs to. */
static int open_target(struct restore *r, const char *path, struct fail *f)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_errno(f, path, errno);
    r->to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->to < 0 || fstat(r->to, &st) != 0)
        return fail_errno(f, path, errno);
    if (!empty(r->to))
        return fail_perm(f, "", "%.100s is not empty: restore makes a new data directory", path);
    if (fchmod(r->to, 0700) != 0) /* SEC-11: the server wants it so */
        return fail_errno(f, path, errno);
    r->give = geteuid() == 0;
    r->uid = st.st_uid;
    r->gid = st.st_gid;
    static const char *const folders[] = {"store", "store/big", "auth", "auth/keys"};
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (folder(r, folders[i], f) != 0)
            return -1;
    return 0;
}

static int finish(struct restore *r, const char *to, bool send, uint64_t *queued, struct fail *f)
{
    char index[4096];
    if ((size_t)snprintf(index, sizeof index, "%s/" UNDONE, to) >= sizeof index)
        return fail_perm(f, "", "the path is too long");
    if (store_queue_restored(index, send, queued, f) != 0)
        return -1;
    return renameat(r->to, UNDONE, r->to, "store/index.db") == 0 && syncfs(r->to) == 0 ? 0 : fail_errno(f, to, errno);
}

static int restore(struct restore *r, const char *from, const char *to, struct backup_manifest *m, struct fail *f)
{
    r->from = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->from < 0)
        return fail_errno(f, from, errno);
    int rc = backup_manifest_read(m, r->from, f);
    if (rc != 1)
        return rc == 0 ? fail_perm(f, "", "no manifest in %.100s: this is no whole backup", from) : -1;
    if (open_target(r, to, f) != 0)
        return -1;
    for (size_t i = 0; i < m->v.n; i++)
        if (restore_one(r, &m->v.v[i], f) != 0)
            return -1;
    return 0;
}

static void say_queue(uint64_t n, bool send)
{
    if (n == 0)
        return;
    printf("Its queue has %llu recipients whose mail had not gone out when the backup was made.\n", (unsigned long long)n);
    printf(send ? "They are tried as soon as the server starts: who got the mail since gets it again.\n"
                : "They are held, for the mail may have gone out since: see postel queue list --state held, then let it go\n"
                  "(postel queue release --all) or not (postel queue drop --all), or some of it.\n");
}

int admin_restore(const struct command_input *in)
{
    struct restore r = {.from = -1, .to = -1};
    struct backup_manifest m;
    struct fail f = {0};
    const char *to = in->option[OPTION_DATA];
    bool send = in->option[OPTION_SEND_QUEUE] != NULL;
    uint64_t queued = 0;
    if (to == NULL)
        return command_wrong(in, "say where to with --data");
    backup_manifest_init(&m);
    int rc = restore(&r, in->words[0], to, &m, &f);
    if (rc == 0)
        rc = finish(&r, to, send, &queued, &f);
    if (rc == 0) {
        printf("%zu files restored into %s\n", m.v.n, to);
        say_queue(queued, send);
    }
    backup_manifest_done(&m);
    if (r.from >= 0)
        close(r.from);
    if (r.to >= 0)
        close(r.to);
    return rc == 0 ? 0 : control_say(in, &f);
}
