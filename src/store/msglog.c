/* msglog: opening the log, and appending to it (the committer's side; see the header for the format). */
#include "base/log.h"
#include "base/vec.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static const char magic[4] = {'P', 'L', 'O', 'G'};

void msglog_name(uint32_t seg, char out[MSGLOG_NAME])
{
    snprintf(out, MSGLOG_NAME, "seg-%08u", seg);
}
void msglog_big_name(uint64_t bid, char out[MSGLOG_NAME])
{
    snprintf(out, MSGLOG_NAME, "%016llx", (unsigned long long)bid);
}

/* What failed leaves the files as they were only if space alone was missing before anything was synced. */
static int trouble(const char *what, int err, bool *doubt, struct fail *f)
{
    if (err != ENOSPC && err != EDQUOT)
        *doubt = true;
    LOG(LOG_ERROR, "store.log", L_Z("what", what), L_Z("error", strerror(err)));
    return fail_errno(f, what, err);
}

static int sync_trouble(const char *what, int err, bool *doubt, struct fail *f)
{
    *doubt = true; /* REL-04: whatever the reason, after a failed sync nobody knows what is on disk */
    LOG(LOG_ERROR, "store.log", L_Z("what", what), L_Z("error", strerror(err)));
    return fail_errno(f, what, err);
}

/* ---- segments ---- */

/* end: what the index says must be there. */
static int open_segment(struct msglog *l, uint32_t seg, uint64_t end) /* 0, or -1 with errno */
{
    char name[MSGLOG_NAME];
    struct stat st;
    msglog_name(seg, name);
    int fd = store_io->open(l->dir, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < end) {
        close(fd);
        errno = ENODATA;
        return -1;
    }
    if (l->fd >= 0)
        close(l->fd);
    l->fd = fd;
    l->seg = seg;
    l->zeroed = (uint64_t)st.st_size >= l->limit;
    return 0;
}

static int next_segment(struct msglog *l, bool *doubt, struct fail *f)
{
    char name[MSGLOG_NAME];
    msglog_name(l->seg + 1, name);
    msglog_ahead_take(l, name);
    if (open_segment(l, l->seg + 1, 0) != 0)
        return trouble("open segment", errno, doubt, f);
    l->end = l->tail = 0;
    if (store_io->fsync(l->dir) != 0)
        return sync_trouble("fsync of the store's directory", errno, doubt, f);
    msglog_ahead_want(l);
    return 0;
}

/* A segment that was not zeroed ahead is left as soon as a zeroed one is there: it costs a short file, once. */
static bool must_switch(struct msglog *l, uint64_t need)
{
    return l->seg == 0 || l->tail + need > l->limit || (!l->zeroed && msglog_ahead_ready(l));
}

/* ---- appending ---- */

static void make_header(struct msglog_record *r)
{
    unsigned char *h = r->head;
    memset(h, 0, MSGLOG_HEADER);
    memcpy(h, magic, 4);
    h[4] = 1;
    h[5] = r->flags;
    h[6] = MSGLOG_HEADER;
    msglog_put32(h + 8, (uint32_t)r->meta.n);
    msglog_put32(h + 12, r->body_crc);
    msglog_put64(h + 16, r->body_len);
    msglog_put64(h + 24, r->bid);
    memcpy(h + 32, r->op, 16);
    msglog_put64(h + 48, (uint64_t)r->received_ms);
    msglog_put32(h + 60, crc32c(crc32c(0, h, 60), r->meta.p, r->meta.n));
}

/* The records of one segment, in one gathered write and one sync. */
static int write_run(struct msglog *l, struct msglog_record *v, size_t n, bool *doubt, struct fail *f)
{
    VEC(struct iovec) iov = {0};
    uint64_t at = l->tail;
    for (size_t i = 0; i < n; i++) {
        struct msglog_record *r = &v[i];
        r->seg = l->seg;
        r->off = l->tail;
        make_header(r);
        *VEC_PUSH(&iov) = (struct iovec){r->head, MSGLOG_HEADER};
        if (r->meta.n > 0)
            *VEC_PUSH(&iov) = (struct iovec){(void *)(uintptr_t)r->meta.p, r->meta.n};
        if (r->body.n > 0)
            *VEC_PUSH(&iov) = (struct iovec){(void *)(uintptr_t)r->body.p, r->body.n};
        l->tail += MSGLOG_HEADER + r->meta.n + r->body.n;
    }
    int rc = 0;
    if (store_io_write_all(l->fd, iov.v, iov.n, at) != 0)
        rc = trouble("write to the message log", errno, doubt, f);
    else if (store_io->fdatasync(l->fd) != 0)
        rc = sync_trouble("fdatasync of the message log", errno, doubt, f);
    VEC_FREE(&iov);
    return rc;
}

int msglog_append(struct msglog *l, struct msglog_record *v, size_t n, bool *doubt, struct fail *f)
{
    for (size_t i = 0; i < n;) {
        size_t run = i;
        uint64_t bytes = 0, need = MSGLOG_HEADER + v[i].meta.n + v[i].body.n;
        if (must_switch(l, need) && next_segment(l, doubt, f) != 0)
            return -1;
        do {
            bytes += need;
            if (++run == n)
                break;
            need = MSGLOG_HEADER + v[run].meta.n + v[run].body.n;
        } while (l->tail + bytes + need <= l->limit);
        if (write_run(l, v + i, run - i, doubt, f) != 0)
            return -1;
        i = run;
    }
    return 0;
}

void msglog_committed(struct msglog *l)
{
    l->end = l->tail;
}
void msglog_rewind(struct msglog *l)
{
    l->tail = l->end;
}
uint32_t msglog_segment(const struct msglog *l)
{
    return l->seg;
}
uint64_t msglog_end(const struct msglog *l)
{
    return l->tail;
}

/* ---- big bodies ---- */

int msglog_big_dir(const struct msglog *l)
{
    return l->big_dir;
}

int msglog_big_adopt(struct msglog *l, const char *name, uint64_t bid, bool *doubt, struct fail *f)
{
    char final[MSGLOG_NAME];
    msglog_big_name(bid, final);
    /* A link, not a rename: if the transaction fails, the same spool file serves the repeated operation. */
    if (store_io->link(l->big_dir, name, final) == 0)
        return 0;
    if (errno == EEXIST && store_io->unlink(l->big_dir, final) == 0 && store_io->link(l->big_dir, name, final) == 0)
        return 0; /* a blob id whose transaction never happened */
    return trouble("link of a spooled message", errno, doubt, f);
}

int msglog_big_copy(struct msglog *l, uint64_t from, uint64_t bid, bool *doubt, struct fail *f)
{
    char name[MSGLOG_NAME];
    msglog_big_name(from, name);
    return msglog_big_adopt(l, name, bid, doubt, f);
}

int msglog_big_write(struct msglog *l, struct span body, uint64_t bid, bool *doubt, struct fail *f)
{
    char final[MSGLOG_NAME];
    msglog_big_name(bid, final);
    int fd = store_io_create(l->big_dir, final);
    if (fd < 0)
        return trouble("create a file for a big message", errno, doubt, f);
    struct iovec v = {(void *)(uintptr_t)body.p, body.n};
    int rc = 0;
    if (store_io_write_all(fd, &v, 1, 0) != 0)
        rc = trouble("write of a big message", errno, doubt, f);
    else if (store_io->fdatasync(fd) != 0)
        rc = sync_trouble("fdatasync of a big message", errno, doubt, f);
    close(fd);
    if (rc != 0)
        store_io->unlink(l->big_dir, final);
    return rc;
}

int msglog_big_sync(struct msglog *l, bool *doubt, struct fail *f)
{
    return store_io->fsync(l->big_dir) == 0 ? 0 : sync_trouble("fsync of big/", errno, doubt, f);
}

void msglog_big_remove(struct msglog *l, uint64_t bid)
{
    char name[MSGLOG_NAME];
    msglog_big_name(bid, name);
    store_io->unlink(l->big_dir, name); /* may leak when it fails or we die first; never dangles */
}

/* Spool files are of operations that nobody can repeat any more: the front saw this process die. */
static void drop_spool(struct msglog *l)
{
    int fd = openat(l->big_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (span_starts(span_z(e->d_name), SPAN("spool-")))
            store_io->unlink(l->big_dir, e->d_name);
    closedir(d);
}

static bool begins_with_record(int dir, const char *name)
{
    char head[4] = {0};
    int fd = store_io->open(dir, name, O_RDONLY);
    if (fd < 0)
        return false;
    bool yes = pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && memcmp(head, magic, sizeof head) == 0;
    close(fd);
    return yes;
}

bool msglog_found(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool found = false;
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;)
        found = span_starts(span_z(e->d_name), SPAN("seg-")) && begins_with_record(dir, e->d_name);
    closedir(d);
    return found;
}

struct msglog *msglog_open(int dir, uint64_t segment_bytes, uint32_t seg, uint64_t end, struct fail *f)
{
    struct msglog *l = base_alloc(sizeof *l);
    l->dir = dir;
    l->big_dir = l->fd = -1;
    l->limit = segment_bytes;
    msglog_read_start(l);
    if (store_io->mkdir(dir, "big") != 0 && errno != EEXIST) {
        fail_errno(f, "mkdir big", errno);
        goto out;
    }
    l->big_dir = openat(dir, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (l->big_dir < 0) {
        fail_errno(f, "open big", errno);
        goto out;
    }
    drop_spool(l);
    if (seg > 0 && open_segment(l, seg, end) != 0) {
        fail_errno(f, "open segment", errno);
        goto out;
    }
    l->end = l->tail = end;
    if (msglog_ahead_start(l, f) == 0)
        return l;
out:
    msglog_close(l);
    return NULL;
}

void msglog_close(struct msglog *l)
{
    if (l == NULL)
        return;
    msglog_ahead_stop(l);
    msglog_read_stop(l);
    if (l->fd >= 0)
        close(l->fd);
    if (l->big_dir >= 0)
        close(l->big_dir);
    free(l);
}
