/* store_io: the file operations of the write path, as a table, so that tests can make the nth of them fail. */
#ifndef POSTEL_STORE_IO_H
#define POSTEL_STORE_IO_H

#include "base/base.h"
#include <sys/uio.h>

/* Each behaves like the system call of its name. Names are beneath the directory `dir`; links are never followed. */
struct store_io {
    int (*open)(int dir, const char *name, int flags);  /* O_CLOEXEC | O_NOFOLLOW added; new files get mode 0600 */
    ssize_t (*pwritev)(int fd, const struct iovec *v, int n, off_t at);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*link)(int dir, const char *from, const char *to);
    int (*rename)(int dir, const char *from, const char *to);
    int (*unlink)(int dir, const char *name);
    int (*mkdir)(int dir, const char *name); /* mode 0700 */
    const char *vfs;    /* name of SQLite's VFS; NULL: its own */
};

extern const struct store_io *store_io; /* the system's; a test sets its own before store_open */
void store_io_no_sync(void);            /* for this process: syncs do nothing. Benchmarks of everything else only */

/* Writes all of v at `at`, whatever short writes come; v is changed. 0, or -1 with errno. */
int store_io_write_all(int fd, struct iovec *v, size_t n, uint64_t at);

/* Reads all n bytes at `at`. 0, or -1 with errno (ENODATA: the file ends before). */
int store_io_read_all(int fd, void *out, size_t n, uint64_t at);
/* The same of what the kernel has in memory; EAGAIN or EOPNOTSUPP: not all of it, or it cannot say. */
int store_io_read_cached(int fd, void *out, size_t n, uint64_t at);

/* A new, empty file whatever had the name: after a power cut a name may be a second one of a file in use (a rename of
 * which one half is on disk, a link), so it is never truncated. A descriptor for writing and reading, or -1 with errno. */
int store_io_create(int dir, const char *name);

#endif
