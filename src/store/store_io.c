/* store_io: the file operations of the write path (see the header). */
#include "store/store_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static int io_open(int dir, const char *name, int flags)
{
    return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600); /* SEC-11 */
}

static int io_link(int dir, const char *from, const char *to) { return linkat(dir, from, dir, to, 0); }
static int io_rename(int dir, const char *from, const char *to) { return renameat(dir, from, dir, to); }
static int io_unlink(int dir, const char *name) { return unlinkat(dir, name, 0); }
static int io_mkdir(int dir, const char *name) { return mkdirat(dir, name, 0700); }

static const struct store_io io_system = {
    .open = io_open,
    .pwritev = pwritev,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .link = io_link,
    .rename = io_rename,
    .unlink = io_unlink,
    .mkdir = io_mkdir,
};

const struct store_io *store_io = &io_system;

static int no_sync(int fd) { return 0; }

void store_io_no_sync(void)
{
    static struct store_io quick;
    quick = *store_io;
    quick.fdatasync = quick.fsync = no_sync;
    store_io = &quick;
}

int store_io_write_all(int fd, struct iovec *v, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t done = store_io->pwritev(fd, v, (int)MIN_OF(n, (size_t)IOV_MAX), (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        if (done == 0) { /* a full disk may show as a short write first; no progress at all is an error */
            errno = EIO;
            return -1;
        }
        at += (uint64_t)done;
        while (n > 0 && (size_t)done >= v->iov_len) {
            done -= (ssize_t)v->iov_len;
            v++;
            n--;
        }
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
    return 0;
}

int store_io_read_all(int fd, void *out, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)out + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? ENODATA : errno;
            return -1;
        }
        done += (size_t)got;
    }
    return 0;
}

int store_io_read_cached(int fd, void *out, size_t n, uint64_t at)
{
    ssize_t got = preadv2(fd, &(struct iovec){out, n}, 1, (off_t)at, RWF_NOWAIT);
    if (got >= 0 && (size_t)got < n)
        errno = EAGAIN;
    return got == (ssize_t)n ? 0 : -1;
}

int store_io_create(int dir, const char *name)
{
    if (store_io->unlink(dir, name) != 0 && errno != ENOENT)
        return -1;
    return store_io->open(dir, name, O_RDWR | O_CREAT | O_EXCL);
}
