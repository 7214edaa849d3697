/* postel backup: fetches a moment of the running server into a directory: what is not there yet (doc/decisions/09-backup.md). */
#include "admin/admin_backup.h"

#include "admin/backup_manifest.h"
#include "admin/control.h"
#include "base/clock.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { WINDOW = 65536 };

struct job {
    int dir;                        /* where the backup goes */
    uint64_t id;                    /* the server's */
    char stamp[24];
    struct backup_manifest old, new;
    uint64_t fetched, kept;         /* bytes */
    struct arena mem;               /* of a window */
};

static struct job job;

/* ---- a file ---- */

static WAITS int window(struct control *c, struct span name, uint64_t offset, struct span *out)
{
    struct msg_backup_read in = {.id = job.id, .name = name, .offset = offset};
    struct msg_backup_read_r r;
    if (control_call(c, MSG_ID_backup_read, &in, &r) < 0)
        return -1;
    *out = r.data;
    return 0;
}

static int wrong(struct control *c, const char *name, int err) { return fail_errno(&c->fail, name, err); }

/* Whether what lies here from an earlier backup is the beginning of what the server has: its last window tells, for every
 * record has ids of its own. Full segments and big bodies never change. */
static WAITS int same_start(struct control *c, int fd, struct span from, uint64_t size, bool *same)
{
    uint64_t at = size > WINDOW ? size - WINDOW : 0;
    struct span theirs;
    *same = true;
    if (size == 0)
        return 0;
    if (window(c, from, at, &theirs) < 0)
        return -1;
    size_t n = (size_t)(size - at);
    char *buf = base_alloc(WINDOW); /* not on the stack: a coroutine's has no more than that */
    *same = theirs.n >= n && pread(fd, buf, n, (off_t)at) == (ssize_t)n && memcmp(buf, theirs.p, n) == 0;
    free(buf);
    return 0;
}

static int hash_part(int fd, uint64_t n, struct backup_hash *h)
{
    char *buf = base_alloc(WINDOW);
    int rc = 0;
    for (uint64_t at = 0; at < n && rc == 0; at += WINDOW) {
        size_t some = (size_t)MIN_OF((uint64_t)WINDOW, n - at);
        if (pread(fd, buf, some, (off_t)at) != (ssize_t)some)
            rc = -1;
        backup_hash_add(h, span_of(buf, some));
    }
    free(buf);
    return rc;
}

static WAITS int fetch_from(struct control *c, int fd, struct span from, uint64_t at, uint64_t size, struct backup_hash *h)
{
    while (at < size) {
        struct span bytes;
        arena_reset(&c->mem);
        if (window(c, from, at, &bytes) < 0)
            return -1;
        if (bytes.n == 0)
            return fail_temp(&c->fail, "", "%.*s is shorter than it should be", SPAN_ARGS(from));
        if (pwrite(fd, bytes.p, bytes.n, (off_t)at) != (ssize_t)bytes.n)
            return wrong(c, "write", errno);
        backup_hash_add(h, bytes);
        at += bytes.n;
        job.fetched += bytes.n;
    }
    return 0;
}

/* from: the server's name, name: ours, a C string. */
static WAITS int fetch(struct control *c, struct span from, const char *name, uint64_t size)
{
    char hash[BACKUP_HASH + 1];
    struct backup_hash h;
    struct stat st;
    const struct backup_entry *e = backup_manifest_find(&job.old, span_z(name));
    bool same = false;
    int fd = openat(job.dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return wrong(c, name, errno);
    int rc = fstat(fd, &st) == 0 ? 0 : wrong(c, name, errno);
    uint64_t have = e != NULL && e->size <= size && (uint64_t)st.st_size >= e->size ? e->size : 0;
    if (rc == 0 && have > 0)
        rc = same_start(c, fd, from, have, &same);
    if (rc == 0 && have == size && same) { /* nothing is new */
        job.kept += size;
        backup_manifest_add(&job.new, span_z(name), size, e->hash);
        close(fd);
        return 0;
    }
    have = same ? have : 0;
    backup_hash_start(&h);
    if (rc == 0 && have > 0 && hash_part(fd, have, &h) != 0)
        rc = wrong(c, name, EIO);
    job.kept += have;
    if (rc == 0)
        rc = fetch_from(c, fd, from, have, size, &h);
    backup_hash_end(&h, hash);
    if (rc == 0 && (ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0))
        rc = wrong(c, name, errno);
    close(fd);
    if (rc == 0)
        backup_manifest_add(&job.new, span_z(name), size, hash);
    return rc;
}

/* ---- the store ---- */

struct listed { char name[40]; uint64_t size; };
struct listing { struct listed *v; size_t n, cap; };

static WAITS int list(struct control *c, struct listing *all)
{
    struct msg_backup_list in = {.id = job.id};
    struct msg_backup_list_r r;
    do {
        if (control_call(c, MSG_ID_backup_list, &in, &r) < 0)
            return -1;
        for (uint32_t i = 0; i < r.files.n; i++) {
            struct listed *x = VEC_PUSH(all);
            snprintf(x->name, sizeof x->name, "%.*s", SPAN_ARGS(r.files.v[i].name));
            x->size = r.files.v[i].size;
        }
        in.from = r.next;
    } while (r.next != 0);
    return 0;
}

static WAITS int fetch_all(struct control *c, const struct listing *all)
{
    char name[80];
    for (size_t i = 0; i < all->n; i++) {
        const char *from = all->v[i].name;
        bool index = strcmp(from, "index.db") == 0;
        snprintf(name, sizeof name, index ? "store/index-%s%s" : "store/%s%s", index ? job.stamp : from, index ? ".db" : "");
        arena_reset(&c->mem);
        if (fetch(c, span_z(from), name, all->v[i].size) < 0)
            return -1;
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%zu of %zu files", i + 1, all->n);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r                              \r");
    return 0;
}

/* ---- the directory and the keys ---- */

static WAITS int fetch_auth(struct control *c)
{
    char name[60], hash[BACKUP_HASH + 1];
    struct backup_hash h;
    struct msg_auth_backup in = {0};
    struct msg_auth_backup_r r;
    snprintf(name, sizeof name, "auth-%s.bundle", job.stamp);
    int fd = openat(job.dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
    if (fd < 0)
        return wrong(c, name, errno);
    backup_hash_start(&h);
    do {
        arena_reset(&c->mem);
        rc = control_call(c, MSG_ID_auth_backup, &in, &r);
        if (rc == 0 && pwrite(fd, r.data.p, r.data.n, (off_t)in.offset) != (ssize_t)r.data.n)
            rc = wrong(c, name, errno);
        if (rc == 0)
            backup_hash_add(&h, r.data);
        in.id = r.id;
        in.offset += rc == 0 ? r.data.n : 0;
    } while (rc == 0 && in.offset < r.size && r.data.n > 0);
    backup_hash_end(&h, hash);
    if (rc == 0 && (in.offset < r.size || fsync(fd) != 0))
        rc = wrong(c, name, EIO);
    close(fd);
    if (rc == 0)
        backup_manifest_add(&job.new, span_z(name), in.offset, hash);
    job.fetched += in.offset;
    return rc;
}

/* ---- all of it ---- */

/* What only older manifests named goes: the newest one is whole by now. Only names that a backup may have given. */
static void tidy(const char *below)
{
    char name[300];
    int fd = openat(job.dir, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "%s%s%s", strcmp(below, ".") == 0 ? "" : below, strcmp(below, ".") == 0 ? "" : "/", e->d_name);
        if (backup_manifest_find(&job.old, span_z(name)) != NULL && backup_manifest_find(&job.new, span_z(name)) == NULL)
            unlinkat(job.dir, name, 0);
    }
    if (d != NULL)
        closedir(d);
}

static int sync_folder(const char *name)
{
    int fd = openat(job.dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static WAITS int backup(struct control *c)
{
    struct msg_backup_begin_r begun;
    struct msg_backup_end_r ended;
    struct listing all = {0};
    if (control_call(c, MSG_ID_backup_begin, NULL, &begun) < 0)
        return -1;
    job.id = begun.id;
    /* The directory is of a later moment than the mail: mail of an account that is not in it could come to be somebody
     * else's, who gets the same number later. What was removed in between, auth tells the store again when it starts. */
    if (control_turn(c, ROLE_AUTH) < 0 || fetch_auth(c) < 0)
        return -1;
    c->to = ROLE_STORE;
    int rc = list(c, &all);
    if (rc == 0)
        rc = fetch_all(c, &all);
    VEC_FREE(&all);
    struct msg_backup_end end = {.id = job.id};
    if (rc == 0)
        rc = control_call(c, MSG_ID_backup_end, &end, &ended);
    if (rc == 0 && (sync_folder("store/big") != 0 || sync_folder("store") != 0))
        rc = wrong(c, "sync of the backup", errno);
    if (rc == 0)
        rc = backup_manifest_write(&job.new, job.dir, &c->fail);
    if (rc != 0)
        return -1;
    tidy(".");
    tidy("store");
    tidy("store/big");
    printf("%zu files; %llu bytes are new, %llu were there\n", job.new.v.n, (unsigned long long)job.fetched,
           (unsigned long long)job.kept);
    return 0;
}

static int open_target(const char *path, struct fail *f)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_errno(f, path, errno);
    job.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (job.dir < 0)
        return fail_errno(f, path, errno);
    if ((mkdirat(job.dir, "store", 0700) != 0 && errno != EEXIST) || (mkdirat(job.dir, "store/big", 0700) != 0 && errno != EEXIST))
        return fail_errno(f, path, errno);
    return backup_manifest_read(&job.old, job.dir, f) < 0 ? -1 : 0;
}

int admin_backup(const struct command_input *in)
{
    struct fail f = {0};
    job.dir = -1;
    snprintf(job.stamp, sizeof job.stamp, "%lld", (long long)clock_now_ms());
    backup_manifest_init(&job.old);
    backup_manifest_init(&job.new);
    int status = open_target(in->words[0], &f) == 0 ? control_run(in, ROLE_STORE, backup) : control_say(in, &f);
    backup_manifest_done(&job.old);
    backup_manifest_done(&job.new);
    if (job.dir >= 0)
        close(job.dir);
    return status;
}
