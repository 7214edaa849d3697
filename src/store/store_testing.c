/* store_testing: see the header. The faults sit in the table of store_io and in a VFS that wraps SQLite's own. */
#include "store/store_testing.h"
#include "base/clock.h"
#include "store/store_io.h"

#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>

char store_testing_dir[64];
struct fail store_testing_broken;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

int store_testing_setup(void **state)
{
    /* in memory where that is: these tests are about what is written when, not about the disk's time for it */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(store_testing_dir, sizeof store_testing_dir, "%s/store_test.XXXXXX", base);
    store_testing_broken = (struct fail){0};
    store_testing_fault_none();
    return mkdtemp(store_testing_dir) == NULL;
}

int store_testing_teardown(void **state)
{
    store_testing_fault_none();
    return nftw(store_testing_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_broken(void *arg, const struct fail *f)
{
    assert_int_equal(store_testing_broken.kind, FAIL_NONE); /* once only */
    store_testing_broken = *f;
}

struct store *store_testing_open(void)
{
    struct store_options opt = {.segment_bytes = 1 << 20, .big_bytes = 64 * 1024};
    struct fail f = {0};
    struct store *s = store_open(store_testing_dir, &opt, &f);
    if (s == NULL)
        print_error("store_open: %s\n", f.text);
    assert_non_null(s);
    store_on_broken(s, on_broken, NULL);
    return s;
}

/* ---- writes ---- */

struct waiting {
    struct store_write w;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void written(struct store_write *w)
{
    struct waiting *x = CONTAINER_OF(w, struct waiting, w);
    pthread_mutex_lock(&x->lock);
    x->done = true;
    pthread_cond_signal(&x->wake);
    pthread_mutex_unlock(&x->lock);
}

int store_testing_write(struct store *s, enum msg_id id, uint64_t account, const void *in, void *out, struct arena *mem,
                        struct fail *f)
{
    return store_testing_write_extra(s, id, account, in, NULL, out, mem, f);
}

int store_testing_write_extra(struct store *s, enum msg_id id, uint64_t account, const void *in, const struct store_extra *extra,
                              void *out, struct arena *mem, struct fail *f)
{
    struct waiting x = {.w = {.id = id, .account = account, .in = in, .extra = extra, .out = out, .mem = mem, .done = written},
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .wake = PTHREAD_COND_INITIALIZER};
    store_submit(s, &x.w);
    pthread_mutex_lock(&x.lock);
    while (!x.done)
        pthread_cond_wait(&x.wake, &x.lock);
    pthread_mutex_unlock(&x.lock);
    if (f != NULL)
        *f = x.w.fail;
    return x.w.result;
}

int store_testing_ingest(struct store *s, const struct op_id *op, uint64_t first, uint32_t n, struct span body,
                         struct msg_ingest_r *out, struct arena *mem, struct fail *f)
{
    struct op_id made = rand_op_id();
    struct msg_ingest in = {.op = span_of(op != NULL ? op->b : made.b, 16),
                            .sender = SPAN("a@example.org"),
                            .size = body.n,
                            .body = body,
                            .file = -1,
                            .received_ms = clock_now_ms(),
                            .date_s = INT64_MIN,
                            .headers = SPAN("H"),
                            .envelope = SPAN("(ENV)"),
                            .structure = SPAN("S"),
                            .preview = SPAN("P")};
    in.targets.n = n;
    in.targets.v = arena_zalloc(mem, n * sizeof *in.targets.v);
    for (uint32_t i = 0; i < n; i++) {
        in.targets.v[i].account = first + i;
        in.targets.v[i].address = arena_printf(mem, "user%u@example.test", (unsigned)(first + i));
    }
    return store_testing_write(s, MSG_ID_ingest, 0, &in, out, mem, f);
}

int store_testing_flags(struct store *s, uint64_t account, uint64_t mailbox, uint64_t first, uint64_t last,
                        uint32_t mode, uint32_t flags, uint64_t unchangedsince, struct msg_flags_set_r *out,
                        struct arena *mem, struct fail *f)
{
    struct op_id op = rand_op_id();
    struct msg_uid_range r = {first, last};
    struct msg_flags_set in = {.op = span_of(op.b, 16),
                               .mailbox = mailbox,
                               .mode = mode,
                               .flags = flags,
                               .unchangedsince = unchangedsince,
                               .uids = {&r, 1}};
    return store_testing_write(s, MSG_ID_flags_set, account, &in, out, mem, f);
}

int store_testing_expunge(struct store *s, uint64_t account, uint64_t mailbox, uint64_t first, uint64_t last,
                          struct msg_expunge_r *out, struct arena *mem, struct fail *f)
{
    struct op_id op = rand_op_id();
    struct msg_uid_range r = {first, last};
    struct msg_expunge in = {.op = span_of(op.b, 16), .mailbox = mailbox, .uids = {&r, 1}};
    return store_testing_write(s, MSG_ID_expunge, account, &in, out, mem, f);
}

/* ---- reads ---- */

struct msg_mailbox_row store_testing_inbox(struct store *s, uint64_t account, struct arena *mem)
{
    struct msg_mailbox_list_r r;
    struct fail f = {0};
    assert_int_equal(store_mailbox_list(s, account, SPAN_NONE, &r, mem, &f), 0);
    assert_true(r.mailboxes.n > 0);
    assert_int_equal(r.mailboxes.v[0].role, MAILBOX_INBOX); /* it has the least number */
    return r.mailboxes.v[0];
}

struct span store_testing_read(struct store *s, uint64_t account, uint64_t eid, struct arena *mem)
{
    struct str all;
    str_init(&all, mem);
    for (;;) {
        struct msg_email_read in = {.eid = eid, .offset = all.n, .length = 65536};
        struct msg_email_read_r out;
        struct fail f = {0};
        if (store_email_read(s, account, &in, &out, mem, &f) != 0)
            return SPAN_NONE;
        str_add(&all, out.data);
        if (all.n >= out.size)
            return str_span(&all);
        assert_true(out.data.n > 0);
    }
}

size_t store_testing_check(struct store *s, uint64_t account)
{
    struct arena mem;
    arena_init(&mem);
    struct msg_mailbox_row box = store_testing_inbox(s, account, &mem);
    struct msg_member_scan in = {.mailbox = box.mailbox, .first = 1, .last = UINT64_MAX};
    struct msg_member_scan_r out;
    struct fail f = {0};
    uint64_t total = 0, unseen = 0, deleted = 0, size = 0, last_uid = 0, high = 0;
    do {
        assert_int_equal(store_member_scan(s, account, &in, &out, &mem, &f), 0);
        for (uint32_t i = 0; i < out.rows.n; i++) {
            const struct msg_member_row *r = &out.rows.v[i];
            struct arena one;
            arena_init(&one);
            assert_true(r->uid > last_uid);
            last_uid = r->uid;
            high = MAX_OF(high, r->modseq);
            total++;
            unseen += (r->flags & FLAG_SEEN) == 0;
            deleted += (r->flags & FLAG_DELETED) != 0;
            size += r->size;
            struct span text = store_testing_read(s, account, r->eid, &one);
            assert_non_null(text.p);
            assert_int_equal(text.n, r->size);
            arena_done(&one);
        }
        in.first = out.next;
    } while (out.next != 0);
    assert_int_equal(total, box.total);
    assert_int_equal(unseen, box.unseen);
    assert_int_equal(deleted, box.deleted);
    assert_int_equal(size, box.size);
    assert_true(last_uid < box.uidnext);
    assert_true(high <= box.modseq);
    arena_done(&mem);
    return total;
}

int64_t store_testing_sql(const char *sql)
{
    char path[200];
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    snprintf(path, sizeof path, "%s/index.db", store_testing_dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return v;
}

/* ---- faults ---- */

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned calls[FAULT_KINDS], fault_at[FAULT_KINDS];
static int fault_err[FAULT_KINDS];
static bool fault_sticky[FAULT_KINDS];
static const struct store_io *real_io;

/* -1: go on; else the errno to give (0: a short write). */
static int fault(enum fault kind)
{
    pthread_mutex_lock(&fault_lock);
    unsigned n = ++calls[kind];
    bool hit = fault_at[kind] != 0 && (n == fault_at[kind] || (fault_sticky[kind] && n > fault_at[kind]));
    int err = hit ? fault_err[kind] : -1;
    pthread_mutex_unlock(&fault_lock);
    return err;
}

/* The same without counting: fails only where all later ones do. */
static int fault_uncounted(enum fault kind)
{
    pthread_mutex_lock(&fault_lock);
    int err = fault_sticky[kind] && fault_at[kind] != 0 && calls[kind] >= fault_at[kind] ? fault_err[kind] : -1;
    pthread_mutex_unlock(&fault_lock);
    return err;
}

unsigned store_testing_calls(enum fault kind)
{
    pthread_mutex_lock(&fault_lock);
    unsigned n = calls[kind];
    pthread_mutex_unlock(&fault_lock);
    return n;
}

/* Zeros that the thread ahead of the log writes come when they come: counted, they would make "the nth call" a lottery. */
static bool all_zero(const struct iovec *v, int n)
{
    static const char none[64];
    return n == 1 && v->iov_len > sizeof none && memcmp(v->iov_base, none, sizeof none) == 0;
}

static ssize_t fault_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    int err = all_zero(v, n) ? fault_uncounted(FAULT_LOG_WRITE) : fault(FAULT_LOG_WRITE);
    if (err > 0) {
        errno = err;
        return -1;
    }
    if (err == 0) {
        struct iovec half = {v->iov_base, (v->iov_len + 1) / 2};
        return real_io->pwritev(fd, &half, 1, at);
    }
    return real_io->pwritev(fd, v, n, at);
}

#define FAULT_CALL(name, kind, params, args)                                                                           \
    static int name params                                                                                             \
    {                                                                                                                  \
        int err = fault(kind);                                                                                         \
        if (err > 0) {                                                                                                 \
            errno = err;                                                                                               \
            return -1;                                                                                                 \
        }                                                                                                              \
        return real_io->args;                                                                                          \
    }
FAULT_CALL(fault_fdatasync, FAULT_LOG_SYNC, (int fd), fdatasync(fd))
FAULT_CALL(fault_fsync, FAULT_DIR_SYNC, (int fd), fsync(fd))
FAULT_CALL(fault_link, FAULT_LINK, (int dir, const char *from, const char *to), link(dir, from, to))

/* The VFS: sqlite3_io_methods of each file, wrapped. The real file lies behind ours in one allocation. */
struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
};
static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)(void *)f)->real;
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int err = fault(FAULT_DB_WRITE);
    if (err >= 0)
        return err == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    return fault(FAULT_DB_SYNC) >= 0 ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}

#define SHIM(name, params, args)                                                                                       \
    static int shim_##name params                                                                                      \
    {                                                                                                                  \
        return real_of(f)->pMethods->x##name args;                                                                     \
    }
SHIM(Read, (sqlite3_file * f, void *p, int n, sqlite3_int64 at), (real_of(f), p, n, at))
SHIM(Truncate, (sqlite3_file * f, sqlite3_int64 n), (real_of(f), n))
SHIM(FileSize, (sqlite3_file * f, sqlite3_int64 *n), (real_of(f), n))
SHIM(Lock, (sqlite3_file * f, int l), (real_of(f), l))
SHIM(Unlock, (sqlite3_file * f, int l), (real_of(f), l))
SHIM(CheckReservedLock, (sqlite3_file * f, int *out), (real_of(f), out))
SHIM(FileControl, (sqlite3_file * f, int op, void *arg), (real_of(f), op, arg))
SHIM(SectorSize, (sqlite3_file * f), (real_of(f)))
SHIM(DeviceCharacteristics, (sqlite3_file * f), (real_of(f)))
SHIM(ShmMap, (sqlite3_file * f, int pg, int size, int extend, void volatile **out), (real_of(f), pg, size, extend, out))
SHIM(ShmLock, (sqlite3_file * f, int at, int n, int flags), (real_of(f), at, n, flags))
SHIM(ShmUnmap, (sqlite3_file * f, int del), (real_of(f), del))
static int shim_close(sqlite3_file *f)
{
    int rc = real_of(f)->pMethods != NULL ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
    f->pMethods = NULL;
    return rc;
}
static void shim_ShmBarrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_Read,
    .xWrite = shim_write,
    .xTruncate = shim_Truncate,
    .xSync = shim_sync,
    .xFileSize = shim_FileSize,
    .xLock = shim_Lock,
    .xUnlock = shim_Unlock,
    .xCheckReservedLock = shim_CheckReservedLock,
    .xFileControl = shim_FileControl,
    .xSectorSize = shim_SectorSize,
    .xDeviceCharacteristics = shim_DeviceCharacteristics,
    .xShmMap = shim_ShmMap,
    .xShmLock = shim_ShmLock,
    .xShmBarrier = shim_ShmBarrier,
    .xShmUnmap = shim_ShmUnmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct shim_file *x = (struct shim_file *)(void *)f;
    x->real = (sqlite3_file *)(void *)(x + 1);
    int rc = real_vfs->xOpen(real_vfs, name, x->real, flags, out);
    f->pMethods = x->real->pMethods != NULL ? &shim_methods : NULL;
    return rc;
}

static void install(void)
{
    static sqlite3_vfs shim;
    static struct store_io io;
    if (real_io != NULL)
        return;
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(NULL);
    shim = *real_vfs;
    shim.zName = "faults";
    shim.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim.xOpen = shim_open;
    sqlite3_vfs_register(&shim, 0);
    real_io = store_io;
    io = *store_io;
    io.pwritev = fault_pwritev;
    io.fdatasync = fault_fdatasync;
    io.fsync = fault_fsync;
    io.link = fault_link;
    io.vfs = "faults";
    store_io = &io;
}

void store_testing_fault(enum fault kind, unsigned nth, int err, bool sticky)
{
    install();
    pthread_mutex_lock(&fault_lock);
    memset(calls, 0, sizeof calls);
    fault_at[kind] = nth;
    fault_err[kind] = err;
    fault_sticky[kind] = sticky;
    pthread_mutex_unlock(&fault_lock);
}

void store_testing_fault_none(void)
{
    pthread_mutex_lock(&fault_lock);
    memset(calls, 0, sizeof calls);
    memset(fault_at, 0, sizeof fault_at);
    pthread_mutex_unlock(&fault_lock);
}
