/* store_backup: a copy of the index made in one snapshot, and the files that snapshot names, which do not change: full
 * segments and big bodies never, the open segment not before the end that the snapshot knows (see the header). */
#include "store/store_backup.h"
#include "base/log.h"
#include "store/msglog_impl.h"
#include "store/store_impl.h"
#include "store/store_io.h"

#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { READ_MOST = 65536 };

struct store_backup {
    struct store *s;
    VEC(struct store_backup_file) files;
    struct map by_name; /* 1 + index in files */
    int fd;             /* of the file read last, */
    size_t open;        /* which is this one */
};

static void add(struct store_backup *b, uint64_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(struct store_backup *b, uint64_t size, const char *fmt, ...)
{
    va_list args;
    struct store_backup_file *x = VEC_PUSH(&b->files);
    va_start(args, fmt);
    vsnprintf(x->name, sizeof x->name, fmt, args);
    va_end(args);
    x->size = size;
    map_put(&b->by_name, span_z(x->name), (void *)(uintptr_t)b->files.n);
}

/* In one snapshot of db. */
static int gather(struct store_backup *b, struct db *db)
{
    char name[MSGLOG_NAME];
    int rc = DB_FIRST(db, DB_BACKUP_SEGMENTS);
    for (; rc == 1; rc = db_next(db, DB_BACKUP_SEGMENTS)) {
        msglog_name((uint32_t)db_i64(db, DB_BACKUP_SEGMENTS, 0), name);
        add(b, (uint64_t)db_i64(db, DB_BACKUP_SEGMENTS, 1), "%s", name);
    }
    if (rc == 0)
        rc = DB_FIRST(db, DB_BACKUP_BIG);
    for (; rc == 1; rc = db_next(db, DB_BACKUP_BIG)) {
        msglog_big_name((uint64_t)db_i64(db, DB_BACKUP_BIG, 0), name);
        add(b, (uint64_t)db_i64(db, DB_BACKUP_BIG, 1), "big/%s", name);
    }
    return rc == 0 ? db_copy(db, "backup.db") : rc;
}

static int snapshot(struct store_backup *b, struct fail *f)
{
    struct stat st;
    struct db *db = store_reader(b->s);
    int rc = db_begin(db);
    if (rc == 0)
        rc = gather(b, db);
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(b->s, db);
    if (rc == 0 && fstatat(b->s->dir, "backup.db", &st, AT_SYMLINK_NOFOLLOW) != 0)
        rc = fail_errno(f, "copy of the index", errno);
    if (rc == 0)
        add(b, (uint64_t)st.st_size, "index.db");
    return rc;
}

struct store_backup *store_backup_begin(struct store *s, struct fail *f)
{
    struct store_backup *b = base_alloc(sizeof *b);
    b->s = s;
    b->fd = -1;
    map_init(&b->by_name);
    store_io->unlink(s->dir, "backup.db");
    int fd = store_io->open(s->dir, "backup.db", O_WRONLY | O_CREAT | O_EXCL); /* SEC-11: SQLite would give it 0644 */
    if (fd >= 0)
        close(fd);
    store_sweep_pin(s, true); /* before the snapshot: what it names is there and stays */
    if (snapshot(b, f) == 0)
        return b;
    store_backup_end(b);
    return NULL;
}

void store_backup_end(struct store_backup *b)
{
    if (b == NULL)
        return;
    store_sweep_pin(b->s, false);
    store_io->unlink(b->s->dir, "backup.db");
    if (b->fd >= 0)
        close(b->fd);
    map_done(&b->by_name);
    VEC_FREE(&b->files);
    free(b);
}

size_t store_backup_files(const struct store_backup *b, const struct store_backup_file **out)
{
    *out = b->files.v;
    return b->files.n;
}

static int open_file(struct store_backup *b, size_t i, struct fail *f)
{
    const char *name = b->files.v[i].name;
    if (b->fd >= 0 && b->open == i)
        return 0;
    if (b->fd >= 0)
        close(b->fd);
    b->fd = store_io->open(b->s->dir, strcmp(name, "index.db") == 0 ? "backup.db" : name, O_RDONLY);
    b->open = i;
    return b->fd >= 0 ? 0 : fail_errno(f, name, errno);
}

int store_backup_read(struct store_backup *b, struct span name, uint64_t offset, struct span *out, struct arena *mem,
                      struct fail *f)
{
    size_t i = (size_t)(uintptr_t)map_get(&b->by_name, name);
    *out = SPAN_NONE;
    if (i == 0)
        return fail_perm(f, "5.5.4", "no such file in this backup");
    store_sweep_pin(b->s, true);
    const struct store_backup_file *x = &b->files.v[--i];
    if (offset >= x->size)
        return 0;
    size_t n = (size_t)MIN_OF((uint64_t)READ_MOST, x->size - offset), done = 0;
    if (open_file(b, i, f) != 0)
        return -1;
    char *p = arena_alloc(mem, n);
    while (done < n) {
        ssize_t got = pread(b->fd, p + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_errno(f, x->name, got == 0 ? ENODATA : errno);
        done += (size_t)got;
    }
    *out = span_of(p, n);
    return 0;
}
