/* msglog_read: reading bodies back, checked against their checksums, from any thread. */
#include "base/log.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_io.h"

#include <errno.h>
#include <fcntl.h>

enum { READ_WHOLE = 64 * 1024 }; /* bodies up to this are read and checked whole each time */

void msglog_read_start(struct msglog *l)
{
    pthread_mutex_init(&l->read_lock, NULL);
    for (size_t i = 0; i < MSGLOG_FDS; i++)
        l->fds[i].fd = -1;
}

void msglog_read_stop(struct msglog *l)
{
    for (size_t i = 0; i < MSGLOG_FDS; i++)
        if (l->fds[i].fd >= 0)
            close(l->fds[i].fd);
    pthread_mutex_destroy(&l->read_lock);
}

/* ---- pins ---- */

void msglog_pin(struct msglog *l, struct msglog_pin *p)
{
    pthread_mutex_lock(&l->read_lock);
    p->ticket = l->ticket;
    p->next = l->pins;
    p->at = &l->pins;
    if (p->next != NULL)
        p->next->at = &p->next;
    l->pins = p;
    pthread_mutex_unlock(&l->read_lock);
}

void msglog_unpin(struct msglog *l, struct msglog_pin *p)
{
    pthread_mutex_lock(&l->read_lock);
    *p->at = p->next;
    if (p->next != NULL)
        p->next->at = p->at;
    pthread_mutex_unlock(&l->read_lock);
}

uint64_t msglog_ticket(struct msglog *l)
{
    pthread_mutex_lock(&l->read_lock);
    uint64_t t = ++l->ticket;
    pthread_mutex_unlock(&l->read_lock);
    return t;
}

bool msglog_past(struct msglog *l, uint64_t ticket)
{
    bool past = true;
    pthread_mutex_lock(&l->read_lock);
    for (const struct msglog_pin *p = l->pins; p != NULL && past; p = p->next)
        past = p->ticket >= ticket;
    pthread_mutex_unlock(&l->read_lock);
    return past;
}

void msglog_segment_remove(struct msglog *l, uint32_t seg)
{
    char name[MSGLOG_NAME];
    pthread_mutex_lock(&l->read_lock);
    for (size_t i = 0; i < MSGLOG_FDS; i++) {
        struct msglog_fd *s = &l->fds[i];
        if (s->fd >= 0 && s->seg == seg && s->users == 0) { /* else its space would stay taken */
            close(s->fd);
            s->fd = -1;
        }
    }
    pthread_mutex_unlock(&l->read_lock);
    msglog_name(seg, name);
    store_io->unlink(l->dir, name); /* may leak when it fails or we die first: found as an orphan later */
}

/* ---- descriptors of segments, kept open ---- */

/* The slot that has seg, else the free or idle one used longest ago, else NULL. Locked. */
static struct msglog_fd *find_slot(struct msglog *l, uint32_t seg)
{
    struct msglog_fd *best = NULL;
    for (size_t i = 0; i < MSGLOG_FDS; i++) {
        struct msglog_fd *s = &l->fds[i];
        if (s->fd >= 0 && s->seg == seg)
            return s;
        if (s->users == 0 && (best == NULL || s->used < best->used))
            best = s;
    }
    return best;
}

/* A descriptor of the body's file; *slot is NULL when it is the caller's to close. -1 with errno. */
static int file_get(struct msglog *l, const struct msglog_place *p, bool big, struct msglog_fd **slot)
{
    char name[MSGLOG_NAME];
    *slot = NULL;
    if (big) {
        msglog_big_name(p->bid, name);
        return store_io->open(l->big_dir, name, O_RDONLY);
    }
    msglog_name(p->seg, name);
    pthread_mutex_lock(&l->read_lock);
    struct msglog_fd *s = find_slot(l, p->seg);
    if (s != NULL && (s->fd < 0 || s->seg != p->seg)) {
        if (s->fd >= 0)
            close(s->fd);
        s->fd = store_io->open(l->dir, name, O_RDONLY);
        s->seg = p->seg;
        s->used = 0;
    }
    int fd = -1;
    if (s != NULL && s->fd >= 0) {
        s->users++;
        s->used = ++l->clock;
        *slot = s;
        fd = s->fd;
    }
    pthread_mutex_unlock(&l->read_lock);
    return s == NULL ? store_io->open(l->dir, name, O_RDONLY) : fd;
}

static void file_put(struct msglog *l, int fd, struct msglog_fd *slot)
{
    if (slot == NULL) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&l->read_lock);
    slot->users--;
    pthread_mutex_unlock(&l->read_lock);
}

/* ---- checking ---- */

static int damaged(const struct msglog_place *p, const char *what, struct fail *f)
{
    LOG(LOG_ERROR, "store.damaged", L_Z("what", what), L_INT("blob", (int64_t)p->bid), L_INT("seg", p->seg),
        L_INT("off", (int64_t)p->off));
    return fail_temp(f, "4.3.0", "stored message is damaged: %s", what);
}

static int check_head(const struct msglog_place *p, const unsigned char *h, struct fail *f)
{
    if (memcmp(h, "PLOG", 4) != 0 || h[4] != 1 || h[6] != MSGLOG_HEADER)
        return damaged(p, "no record where the index says", f);
    if (crc32c(crc32c(0, h, 60), h + MSGLOG_HEADER, p->meta) != msglog_get32(h + 60))
        return damaged(p, "header checksum", f);
    if (msglog_get64(h + 24) != p->bid || msglog_get64(h + 16) != p->len || msglog_get32(h + 8) != p->meta)
        return damaged(p, "another record than the index says", f);
    return 0;
}

static _Atomic uint64_t *checked_slot(struct msglog *l, uint64_t bid)
{
    return &l->checked[bid % MSGLOG_CHECKED];
}

/* The whole body once, in pieces; remembered by blob id until another one takes the slot. */
static int check_body(struct msglog *l, const struct msglog_place *p, int fd, uint64_t body_at, uint32_t want,
                      struct fail *f)
{
    char *buf = base_alloc(READ_WHOLE);
    uint32_t crc = 0;
    int rc = 0;
    for (uint64_t at = 0; at < p->len && rc == 0; at += READ_WHOLE) {
        size_t n = (size_t)MIN_OF((uint64_t)READ_WHOLE, p->len - at);
        if (store_io_read_all(fd, buf, n, body_at + at) != 0)
            rc = damaged(p, strerror(errno), f);
        crc = crc32c(crc, buf, n);
    }
    free(buf);
    if (rc == 0 && crc != want)
        rc = damaged(p, "body checksum", f);
    if (rc == 0)
        *checked_slot(l, p->bid) = p->bid;
    return rc;
}

/* ---- reading ---- */

/* Record and body in one read: the usual small message. */
static int read_small(const struct msglog_place *p, int fd, uint64_t at, size_t n, struct span *out, struct arena *mem,
                      struct fail *f)
{
    size_t skip = MSGLOG_HEADER + p->meta, len = (size_t)p->len;
    char *buf = arena_alloc(mem, skip + len);
    if (p->cached && store_io_read_cached(fd, buf, skip + len, p->off) != 0)
        return fail_temp(f, "4.3.0", "not in memory");
    if (!p->cached && store_io_read_all(fd, buf, skip + len, p->off) != 0)
        return damaged(p, strerror(errno), f);
    const unsigned char *h = (const unsigned char *)buf;
    if (check_head(p, h, f) != 0)
        return -1;
    if (crc32c(0, buf + skip, len) != msglog_get32(h + 12))
        return damaged(p, "body checksum", f);
    *out = span_of(buf + skip + at, n);
    return 0;
}

static int read_large(struct msglog *l, const struct msglog_place *p, int log_fd, uint64_t at, size_t n,
                      struct span *out, struct arena *mem, struct fail *f)
{
    struct msglog_fd *slot = NULL;
    uint64_t body_at = p->big ? 0 : p->off + MSGLOG_HEADER + p->meta;
    char *buf = arena_alloc(mem, MAX_OF(n, MSGLOG_HEADER + p->meta));
    int fd = p->big ? file_get(l, p, true, &slot) : log_fd;
    if (fd < 0)
        return damaged(p, strerror(errno), f);
    int rc = 0;
    if (*checked_slot(l, p->bid) != p->bid) {
        rc = store_io_read_all(log_fd, buf, MSGLOG_HEADER + p->meta, p->off) != 0 ? damaged(p, strerror(errno), f)
                                                                         : check_head(p, (unsigned char *)buf, f);
        if (rc == 0)
            rc = check_body(l, p, fd, body_at, msglog_get32((unsigned char *)buf + 12), f);
    }
    if (rc == 0 && store_io_read_all(fd, buf, n, body_at + at) != 0)
        rc = damaged(p, strerror(errno), f);
    *out = span_of(buf, n);
    if (p->big)
        file_put(l, fd, slot);
    return rc;
}

int msglog_read(struct msglog *l, const struct msglog_place *p, uint64_t at, size_t n, struct span *out,
                struct arena *mem, struct fail *f)
{
    struct msglog_fd *slot;
    *out = span_of("", 0);
    if (at >= p->len || n == 0)
        return 0;
    n = (size_t)MIN_OF((uint64_t)n, p->len - at);
    if (p->cached && (p->big || p->len > READ_WHOLE))
        return fail_temp(f, "4.3.0", "too large to be read at once");
    int fd = file_get(l, p, false, &slot);
    if (fd < 0)
        return damaged(p, strerror(errno), f);
    int rc = !p->big && p->len <= READ_WHOLE ? read_small(p, fd, at, n, out, mem, f)
                                             : read_large(l, p, fd, at, n, out, mem, f);
    file_put(l, fd, slot);
    return rc;
}
