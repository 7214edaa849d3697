/* shim: see the header. A table of store_io and a VFS of SQLite, both in front of the real ones.
 *
 * A call that changes something happens and is recorded under one lock; a sync covers what was recorded before it began
 * and counts from the moment it ended. SQLite's shared memory is not a file that outlives anything: not recorded.
 */
#include "shim.h"
#include "base/span.h"
#include "store/store_io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

enum { FDS = 1024, HALF = 0, GO_ON = -1, ACKED_FIRST = 12 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct trace *trace;
static enum shim_break broken;
static ino_t root_ino;
static uint32_t fd_file[FDS];
static bool (*sweeping)(uint32_t *seg);
static bool second_name;            /* the last change of big/ was one */
static unsigned acked;              /* a break begins later than the store's first day: that is another test */
static uint64_t wal_covers;         /* EARLY: of the sync that is held back */
static uint32_t log_file;           /* ORDER: whose sync is held back; UINT32_MAX: none */
static const struct store_io *real_io;
static sqlite3_vfs *real_vfs;

const char *const shim_break_text[] = {
#define X(id, text) text,
    SHIM_BREAKS(X)
#undef X
};
const char *const shim_call_text[] = {
#define X(id, text) text,
    SHIM_CALLS(X)
#undef X
};

/* ---- faults ---- */

static struct {
    enum shim_call call;
    unsigned nth;
    int err;
    bool sticky, hit;
    unsigned calls[SHIM_CALL_COUNT];
} plan;

/* Locked. GO_ON, HALF, or the errno to give. */
static int fault(enum shim_call call)
{
    unsigned n = ++plan.calls[call];
    if (plan.nth == 0 || call != plan.call || (plan.sticky ? n < plan.nth : n != plan.nth))
        return GO_ON;
    plan.hit = true;
    return plan.err;
}

void shim_fault(enum shim_call call, unsigned nth, int err, bool sticky)
{
    pthread_mutex_lock(&lock);
    memset(&plan, 0, sizeof plan);
    plan.call = call;
    plan.nth = nth;
    plan.err = err;
    plan.sticky = sticky;
    pthread_mutex_unlock(&lock);
}

unsigned shim_calls(enum shim_call call)
{
    pthread_mutex_lock(&lock);
    unsigned n = plan.calls[call];
    pthread_mutex_unlock(&lock);
    return n;
}

bool shim_hit(void)
{
    pthread_mutex_lock(&lock);
    bool hit = plan.hit;
    pthread_mutex_unlock(&lock);
    return hit;
}

/* ---- recording ---- */

void shim_record(struct trace *t, const char *dir, enum shim_break how)
{
    struct stat st = {0};
    if (t != NULL && stat(dir, &st) != 0)
        base_die("powercut: no directory to record");
    pthread_mutex_lock(&lock);
    trace = t;
    broken = how;
    root_ino = st.st_ino;
    wal_covers = 0;
    log_file = UINT32_MAX;
    acked = 0;
    for (size_t i = 0; i < FDS; i++)
        fd_file[i] = UINT32_MAX;
    pthread_mutex_unlock(&lock);
}

void shim_note(enum trace_kind kind, uint64_t op)
{
    pthread_mutex_lock(&lock);
    if (trace != NULL)
        trace_add(trace, kind)->at = op;
    acked += kind == TRACE_ACK;
    pthread_mutex_unlock(&lock);
}

size_t shim_moment(void)
{
    pthread_mutex_lock(&lock);
    size_t n = trace != NULL ? trace->events.n : 0;
    pthread_mutex_unlock(&lock);
    return n;
}

void shim_sweeping(bool (*now)(uint32_t *seg)) { sweeping = now; }

static bool breaks(enum shim_break how) { return broken == how && acked >= ACKED_FIRST; }
static bool breaks_sweep(enum shim_break how, uint32_t *seg) { return breaks(how) && sweeping != NULL && sweeping(seg); }

/* SWEEP_EARLY: in the recording the segment goes before the index is written. Locked. */
static void remove_early(void)
{
    uint32_t seg = 0;
    char name[TRACE_NAME];
    if (!breaks_sweep(SHIM_BREAK_SWEEP_EARLY, &seg) || seg == 0)
        return;
    snprintf(name, sizeof name, "seg-%08u", (unsigned)seg);
    trace_unlink(trace, TRACE_ROOT, name);
}

static uint32_t dir_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_ino == root_ino ? TRACE_ROOT : TRACE_BIG;
}

static uint32_t file_of(int fd) { return fd >= 0 && fd < FDS ? fd_file[fd] : UINT32_MAX; }

static void add_sync(uint32_t file, uint64_t covers)
{
    struct trace_event *e = trace_add(trace, TRACE_SYNC);
    e->file = file;
    e->covers = covers;
}

/* Time for others to go on meanwhile: that is what makes groups. */
static bool quick;
void shim_quick(bool on) { quick = on; }
static void disk_time(void)
{
    if (!quick)
        usleep((useconds_t)(30 + (trace != NULL ? trace->events.n * 7919 % 170 : 0)));
}

/* Which files a name stands for; the log's are all that are no one else's. */
static bool is_log(uint32_t file)
{
    for (size_t i = 0; i < trace->now.n; i++)
        if (trace->now.v[i].file == file && span_starts(span_z(trace->now.v[i].name), SPAN("seg-")))
            return true;
    return false;
}

static bool is_big(uint32_t file)
{
    for (size_t i = 0; i < trace->now.n; i++)
        if (trace->now.v[i].file == file && trace->now.v[i].dir == TRACE_BIG)
            return true;
    return false;
}

/* ---- store_io ---- */

static int failed(int err)
{
    errno = err == HALF ? EIO : err;
    return -1;
}

static int shim_open(int dir, const char *name, int flags)
{
    pthread_mutex_lock(&lock);
    int err = (flags & O_CREAT) != 0 ? fault(SHIM_CALL_OPEN) : GO_ON;
    int fd = err == GO_ON ? real_io->open(dir, name, flags) : failed(err);
    if (fd >= 0 && fd < FDS && trace != NULL) {
        uint64_t before = trace->events.n;
        fd_file[fd] = trace_open(trace, dir_of(dir), name, (flags & O_CREAT) != 0);
        if ((flags & O_TRUNC) != 0 && trace->events.n == before)
            trace_add(trace, TRACE_SIZE)->file = fd_file[fd];
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static ssize_t shim_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_WRITE);
    struct iovec half = {v->iov_base, (v->iov_len + 1) / 2};
    ssize_t done = err == GO_ON ? real_io->pwritev(fd, v, n, at)
                   : err == HALF ? real_io->pwritev(fd, &half, 1, at) : failed(err);
    size_t left = done > 0 && trace != NULL && file_of(fd) != UINT32_MAX ? (size_t)done : 0, total = left;
    char *all = left > 0 ? base_alloc(left) : NULL;
    for (int i = 0; i < n && left > 0; i++) {
        size_t part = MIN_OF(v[i].iov_len, left);
        memcpy(all + (total - left), v[i].iov_base, part);
        left -= part;
    }
    if (total > 0)
        trace_write(trace, file_of(fd), (uint64_t)at, all, total);
    free(all);
    pthread_mutex_unlock(&lock);
    return done;
}

/* One sync of a file; what: which break leaves it out. */
static int sync_file(uint32_t file, int err)
{
    uint32_t seg;
    pthread_mutex_lock(&lock);
    uint64_t covers = trace != NULL ? trace->events.n : 0;
    if (trace != NULL && file != UINT32_MAX && is_log(file))
        remove_early();
    pthread_mutex_unlock(&lock);
    disk_time();
    pthread_mutex_lock(&lock);
    if (trace != NULL && file != UINT32_MAX) {
        if (err != GO_ON)
            trace_add(trace, TRACE_LOST)->file = file;
        else if (breaks(SHIM_BREAK_ORDER) && is_log(file)) /* held back */
            log_file = file;
        else if (!(breaks(SHIM_BREAK_LOG_SYNC) && is_log(file)) && !(is_log(file) && breaks_sweep(SHIM_BREAK_SWEEP_LOG, &seg)) && !(breaks(SHIM_BREAK_BIG_FILE) && is_big(file)))
            add_sync(file, covers);
    }
    pthread_mutex_unlock(&lock);
    return err == GO_ON ? 0 : failed(err);
}

static int call_fault(enum shim_call call)
{
    pthread_mutex_lock(&lock);
    int err = fault(call);
    pthread_mutex_unlock(&lock);
    return err;
}

static int shim_fdatasync(int fd) { return sync_file(file_of(fd), call_fault(SHIM_CALL_FDATASYNC)); }

static int shim_fsync(int fd)
{
    int err = call_fault(SHIM_CALL_FSYNC);
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        return sync_file(file_of(fd), err);
    if (err != GO_ON)
        return failed(err);
    pthread_mutex_lock(&lock);
    uint64_t covers = trace != NULL ? trace->events.n : 0;
    pthread_mutex_unlock(&lock);
    disk_time();
    uint32_t dir = dir_of(fd);
    pthread_mutex_lock(&lock);
    bool left_out = breaks(dir == TRACE_BIG ? SHIM_BREAK_BIG_DIR : SHIM_BREAK_SEGMENT_DIR) ||
                    (dir == TRACE_BIG && second_name && breaks(SHIM_BREAK_SECOND_NAME));
    if (trace != NULL && !left_out) {
        struct trace_event *e = trace_add(trace, TRACE_DIRSYNC);
        e->dir = dir;
        e->covers = covers;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

static int shim_link(int dir, const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_LINK), rc = err == GO_ON ? real_io->link(dir, from, to) : failed(err);
    if (rc == 0 && trace != NULL)
        trace_link(trace, dir_of(dir), from, to);
    second_name = rc == 0 && !span_starts(span_z(from), SPAN("spool-"));
    pthread_mutex_unlock(&lock);
    return rc;
}

static int shim_rename(int dir, const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_RENAME), rc = err == GO_ON ? real_io->rename(dir, from, to) : failed(err);
    if (rc == 0 && trace != NULL)
        trace_rename(trace, dir_of(dir), from, to);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int shim_unlink(int dir, const char *name)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_UNLINK), rc = err == GO_ON ? real_io->unlink(dir, name) : failed(err);
    if (rc == 0 && trace != NULL)
        trace_unlink(trace, dir_of(dir), name);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int shim_mkdir(int dir, const char *name)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_MKDIR), rc = err == GO_ON ? real_io->mkdir(dir, name) : failed(err);
    if (rc == 0 && trace != NULL)
        trace_add(trace, TRACE_MKDIR);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- SQLite ---- */

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
    uint32_t file;
    bool wal, index, dirsync;
};

static struct shim_file *shim_of(sqlite3_file *f) { return (struct shim_file *)(void *)f; }
static sqlite3_file *real_of(sqlite3_file *f) { return shim_of(f)->real; }

static int vfs_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    int err = call_fault(SHIM_CALL_DB_READ);
    return err != GO_ON ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int vfs_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_DB_WRITE), rc = SQLITE_OK;
    int done = err == GO_ON ? n : err == HALF ? n / 2 : 0;
    if (done > 0)
        rc = real_of(f)->pMethods->xWrite(real_of(f), p, done, at);
    if (rc == SQLITE_OK && done > 0 && trace != NULL && shim_of(f)->file != UINT32_MAX)
        trace_write(trace, shim_of(f)->file, (uint64_t)at, p, (size_t)done);
    pthread_mutex_unlock(&lock);
    return err == GO_ON ? rc : err == HALF || err == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

/* The size after a call that may have changed it: the unix VFS rounds up to chunks, and a hint makes the file longer. */
static void note_size(sqlite3_file *f, sqlite3_int64 before)
{
    sqlite3_int64 now = before;
    real_of(f)->pMethods->xFileSize(real_of(f), &now);
    if (now == before || trace == NULL || shim_of(f)->file == UINT32_MAX)
        return;
    struct trace_event *e = trace_add(trace, TRACE_SIZE);
    e->file = shim_of(f)->file;
    e->at = (uint64_t)now;
}

static int vfs_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    sqlite3_int64 before = 0;
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_DB_TRUNCATE), rc = SQLITE_IOERR_TRUNCATE;
    if (err == GO_ON) {
        real_of(f)->pMethods->xFileSize(real_of(f), &before);
        rc = real_of(f)->pMethods->xTruncate(real_of(f), n);
        note_size(f, before);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int vfs_control(sqlite3_file *f, int op, void *arg)
{
    sqlite3_int64 before = 0;
    if (op != SQLITE_FCNTL_SIZE_HINT)
        return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_DB_HINT), rc = err == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    if (err == GO_ON) {
        real_of(f)->pMethods->xFileSize(real_of(f), &before);
        rc = real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
        note_size(f, before);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Locked. The syncs of a WAL as the breaks have them; what it covers now counts, or is held back. */
static void wal_synced(const struct shim_file *x, uint64_t covers)
{
    if (breaks(SHIM_BREAK_WAL_SYNC))
        return;
    if (breaks(SHIM_BREAK_EARLY)) {
        add_sync(x->file, wal_covers);
        wal_covers = covers;
        return;
    }
    add_sync(x->file, covers);
}

/* ORDER: what was held back, while the committer still waits. */
static void log_synced(uint64_t covers)
{
    disk_time();
    pthread_mutex_lock(&lock);
    if (trace != NULL && log_file != UINT32_MAX)
        add_sync(log_file, covers);
    log_file = UINT32_MAX;
    pthread_mutex_unlock(&lock);
}

static int vfs_sync(sqlite3_file *f, int flags)
{
    struct shim_file *x = shim_of(f);
    int err = call_fault(SHIM_CALL_DB_SYNC);
    pthread_mutex_lock(&lock);
    uint64_t covers = trace != NULL ? trace->events.n : 0;
    pthread_mutex_unlock(&lock);
    disk_time();
    pthread_mutex_lock(&lock);
    if (trace != NULL && x->file != UINT32_MAX) {
        if (err != GO_ON)
            trace_add(trace, TRACE_LOST)->file = x->file;
        else if (x->wal)
            wal_synced(x, covers);
        else if (!x->index || !breaks(SHIM_BREAK_INDEX_SYNC))
            add_sync(x->file, covers);
        if (err == GO_ON && x->dirsync) { /* the unix VFS syncs the directory with the first sync of a new journal */
            struct trace_event *e = trace_add(trace, TRACE_DIRSYNC);
            e->dir = TRACE_ROOT;
            e->covers = covers;
            x->dirsync = false;
        }
    }
    bool held_back = breaks(SHIM_BREAK_ORDER) && x->wal;
    pthread_mutex_unlock(&lock);
    if (held_back)
        log_synced(covers);
    return err != GO_ON ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int vfs_size(sqlite3_file *f, sqlite3_int64 *out)
{
    int err = call_fault(SHIM_CALL_DB_SIZE);
    return err != GO_ON ? SQLITE_IOERR_FSTAT : real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int vfs_close(sqlite3_file *f)
{
    int rc = real_of(f)->pMethods != NULL ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
    f->pMethods = NULL;
    return rc;
}

#define PASS(name, params, args) \
    static int vfs_##name params { return real_of(f)->pMethods->x##name args; }
PASS(Lock, (sqlite3_file *f, int l), (real_of(f), l))
PASS(Unlock, (sqlite3_file *f, int l), (real_of(f), l))
PASS(CheckReservedLock, (sqlite3_file *f, int *out), (real_of(f), out))
PASS(SectorSize, (sqlite3_file *f), (real_of(f)))
PASS(DeviceCharacteristics, (sqlite3_file *f), (real_of(f)))
PASS(ShmMap, (sqlite3_file *f, int pg, int size, int extend, void volatile **out), (real_of(f), pg, size, extend, out))
PASS(ShmLock, (sqlite3_file *f, int at, int n, int flags), (real_of(f), at, n, flags))
PASS(ShmUnmap, (sqlite3_file *f, int del), (real_of(f), del))
static void vfs_ShmBarrier(sqlite3_file *f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = vfs_close, .xRead = vfs_read, .xWrite = vfs_write, .xTruncate = vfs_truncate,
    .xSync = vfs_sync, .xFileSize = vfs_size, .xLock = vfs_Lock, .xUnlock = vfs_Unlock,
    .xCheckReservedLock = vfs_CheckReservedLock, .xFileControl = vfs_control, .xSectorSize = vfs_SectorSize,
    .xDeviceCharacteristics = vfs_DeviceCharacteristics, .xShmMap = vfs_ShmMap, .xShmLock = vfs_ShmLock,
    .xShmBarrier = vfs_ShmBarrier, .xShmUnmap = vfs_ShmUnmap,
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct shim_file *x = shim_of(f);
    *x = (struct shim_file){.real = (sqlite3_file *)(void *)(x + 1), .file = UINT32_MAX};
    x->real->pMethods = NULL;
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_DB_OPEN);
    int rc = err != GO_ON ? SQLITE_CANTOPEN : real_vfs->xOpen(real_vfs, name, x->real, flags, out);
    if (rc == SQLITE_OK && name != NULL && trace != NULL) {
        x->wal = (flags & SQLITE_OPEN_WAL) != 0;
        x->index = (flags & SQLITE_OPEN_MAIN_DB) != 0;
        x->dirsync = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
        x->file = trace_open(trace, TRACE_ROOT, last_part(name), (flags & SQLITE_OPEN_CREATE) != 0);
    }
    pthread_mutex_unlock(&lock);
    f->pMethods = x->real->pMethods != NULL ? &methods : NULL;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    pthread_mutex_lock(&lock);
    int err = fault(SHIM_CALL_DB_DELETE);
    int rc = err != GO_ON ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
    if (rc == SQLITE_OK && trace != NULL) {
        trace_unlink(trace, TRACE_ROOT, last_part(name));
        if (sync != 0) {
            struct trace_event *e = trace_add(trace, TRACE_DIRSYNC);
            e->dir = TRACE_ROOT;
            e->covers = trace->events.n;
        }
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void shim_install(void)
{
    static sqlite3_vfs vfs;
    static struct store_io io;
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD); /* as the store has it: too late once initialized */
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "powercut";
    vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    sqlite3_vfs_register(&vfs, 0);
    real_io = store_io;
    io = *store_io;
    io.open = shim_open;
    io.pwritev = shim_pwritev;
    io.fdatasync = shim_fdatasync;
    io.fsync = shim_fsync;
    io.link = shim_link;
    io.rename = shim_rename;
    io.unlink = shim_unlink;
    io.mkdir = shim_mkdir;
    io.vfs = "powercut";
    store_io = &io;
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
}
