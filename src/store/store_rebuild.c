/* store_rebuild: opening, the order of things, and the change of files at the end (see the header).
 *
 * The new index is made as rebuild.db beside the old one, without syncs, since until it is whole it is nobody's; then it is
 * synced and takes the old one's name, which is kept under another. A process that dies meanwhile leaves either the old
 * one in its place or none, and a store without one does not open but asks for this again (store.c, check_belongs). */
#include "store/store_rebuild.h"

#include "base/clock.h"
#include "base/num.h"
#include "store/msglog_impl.h"
#include "store/store_rebuild_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char new_name[] = "rebuild.db";

/* ---- opening ---- */

struct store_rebuild *store_rebuild_new(const char *dir, struct fail *f)
{
    struct store_rebuild *r = base_alloc(sizeof *r);
    r->lock_fd = r->seg_fd = -1;
    r->next_eid = r->next_bid = r->next_mailbox = 1;
    arena_init(&r->mem);
    arena_init(&r->one);
    map_init(&r->trees);
    map_init(&r->boxes);
    map_init(&r->removed);
    r->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir < 0) {
        fail_errno(f, dir, errno);
        goto out;
    }
    r->lock_fd = openat(r->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->lock_fd >= 0 && flock(r->lock_fd, LOCK_EX | LOCK_NB) == 0 && fchdir(r->dir) == 0)
        return r;
    fail_temp(f, "", errno == EWOULDBLOCK ? "another process has the store in %.80s" : "cannot lock the store in %.80s", dir);
out:
    store_rebuild_free(r);
    return NULL;
}

void store_rebuild_free(struct store_rebuild *r)
{
    if (r == NULL)
        return;
    db_close(r->db, false);
    if (r->seg_fd >= 0)
        close(r->seg_fd);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    if (r->dir >= 0)
        close(r->dir);
    map_done(&r->trees);
    map_done(&r->boxes);
    map_done(&r->removed);
    VEC_FREE(&r->segments), VEC_FREE(&r->records), VEC_FREE(&r->gone);
    arena_done(&r->mem);
    arena_done(&r->one);
    free(r);
}

void store_rebuild_on_progress(struct store_rebuild *r, store_rebuild_progress_fn *fn, void *arg)
{
    r->progress = fn;
    r->progress_arg = arg;
}

void store_rebuild_tell(struct store_rebuild *r, const char *what, uint64_t done, uint64_t total)
{
    if (r->progress != NULL)
        r->progress(r->progress_arg, what, done, total);
}

const struct store_rebuild_report *store_rebuild_report(const struct store_rebuild *r) { return &r->report; }

/* Whether the old index can be read, for whoever is about to replace it. */
static void look_at_index(struct store_rebuild *r)
{
    struct fail f;
    char *why = r->report.index;
    snprintf(why, sizeof r->report.index, "it is not there");
    if (faccessat(r->dir, "index.db", F_OK, 0) != 0)
        return;
    struct db *db = db_open("index.db", 0, &f);
    if (db == NULL || db_begin(db) != 0 || DB_FIRST(db, DB_SEGMENT_LAST) < 0)
        snprintf(why, sizeof r->report.index, "%.100s", db == NULL ? f.text : "it cannot be read");
    else if (DB_FIRST(db, DB_SEGMENT_LAST) == 0)
        snprintf(why, sizeof r->report.index, "it is empty");
    else if (DB_FIRST(db, DB_VERIFY_INDEX) == 1 && span_eq(db_bytes(db, DB_VERIFY_INDEX, 0), SPAN("ok")))
        why[0] = '\0';
    else
        snprintf(why, sizeof r->report.index, "its file is damaged");
    if (db != NULL)
        db_rollback(db);
    db_close(db, false);
}

int store_rebuild_look(struct store_rebuild *r, struct fail *f)
{
    look_at_index(r);
    if (store_rebuild_log(r, f) != 0)
        return -1;
    return r->records.n > 0 || r->trees.n > 0 ? 0 : fail_perm(f, "", "there is no message in the log");
}

/* ---- making ---- */

static void drop_new(struct store_rebuild *r)
{
    static const char *const names[] = {"rebuild.db", "rebuild.db-wal", "rebuild.db-shm"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlinkat(r->dir, names[i], 0);
}

static int copy_base(int from, int to)
{
    enum { PIECE = 65536 };
    char *buf = base_alloc(PIECE);
    ssize_t n, put = 0;
    while ((n = read(from, buf, PIECE)) > 0) {
        for (ssize_t done = 0; done < n && (put = write(to, buf + done, (size_t)(n - done))) > 0; done += put)
            continue;
        if (put <= 0)
            break;
    }
    free(buf);
    return n == 0 ? 0 : -1;
}

/* SEC-11: made here, for SQLite would give it 0644. */
static int make_file(struct store_rebuild *r, int base, struct fail *f)
{
    drop_new(r);
    int fd = openat(r->dir, new_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(f, new_name, errno);
    int rc = base >= 0 && copy_base(base, fd) != 0 ? fail_errno(f, "copy of the backup's index", errno) : 0;
    close(fd);
    return rc;
}

static int count(struct store_rebuild *r)
{
    enum db_id id = DB_REBUILD_COUNT;
    if (DB_FIRST(r->db, id) != 1)
        return -1;
    r->report.accounts = (uint64_t)db_i64(r->db, id, 0);
    r->report.mailboxes = (uint64_t)db_i64(r->db, id, 1);
    r->report.messages = (uint64_t)db_i64(r->db, id, 2);
    r->report.unread = (uint64_t)db_i64(r->db, id, 3);
    r->report.damaged = (uint64_t)db_i64(r->db, id, 4);
    db_end(r->db, id);
    return 0;
}

static int fill(struct store_rebuild *r, bool base, struct fail *f)
{
    if (db_begin(r->db) != 0 || (base && store_rebuild_base(r) != 0) || store_rebuild_trees(r) != 0)
        return db_fail(r->db, f);
    if (store_rebuild_messages(r, f) != 0)
        return -1;
    store_rebuild_tell(r, "counting", 0, 1);
    if (store_rebuild_lost(r) != 0 || store_rebuild_numbers(r) != 0 || count(r) != 0 || db_commit(r->db) != 0)
        return db_fail(r->db, f);
    db_close(r->db, true);
    r->db = NULL;
    return 0;
}

/* ---- the change ---- */

static int sync_file(struct store_rebuild *r, const char *name, bool make, struct fail *f)
{
    int fd = openat(r->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    int rc = fd >= 0 && fsync(fd) == 0 ? 0 : fail_errno(f, name, errno);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void stamp(char *out, size_t cap, const char *before)
{
    time_t now = (time_t)clock_now_s();
    struct tm tm;
    char text[32];
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(out, cap, "%s%s", before, text);
}

static int aside(struct store_rebuild *r, struct fail *f)
{
    static const char *const ends[] = {"-wal", "-shm", ""};  /* the file itself last: what belongs to it is not lost then */
    char from[40], to[96];
    stamp(r->report.aside, sizeof r->report.aside, "index.damaged-");
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        snprintf(from, sizeof from, "index.db%s", ends[i]);
        snprintf(to, sizeof to, "%s%s", r->report.aside, ends[i]);
        if (renameat(r->dir, from, r->dir, to) == 0)
            continue;
        if (errno != ENOENT)
            return fail_errno(f, from, errno);
        if (ends[i][0] == '\0')
            r->report.aside[0] = '\0';
    }
    return 0;
}

static int change(struct store_rebuild *r, struct fail *f)
{
    char open_segment[MSGLOG_NAME];
    struct stat st;
    msglog_name(r->segments.v[r->segments.n - 1].seg + 1, open_segment);
    if (fstatat(r->dir, "rebuild.db-wal", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
        return fail_temp(f, "", "the new index could not be closed");
    unlinkat(r->dir, "rebuild.db-wal", 0);
    unlinkat(r->dir, "rebuild.db-shm", 0);
    if (sync_file(r, new_name, false, f) != 0 || sync_file(r, open_segment, true, f) != 0 || aside(r, f) != 0)
        return -1;
    if (renameat(r->dir, new_name, r->dir, "index.db") != 0)
        return fail_errno(f, new_name, errno);
    return fsync(r->dir) == 0 ? 0 : fail_errno(f, "fsync of the store's directory", errno);
}

/* ---- files of big bodies that no record names: the server would take them for orphans and remove them ---- */

static bool is_stray(struct store_rebuild *r, const char *name)
{
    uint64_t bid;
    if (strlen(name) != 16 || num_hex(span_z(name), UINT64_MAX, &bid) != 0)
        return false;
    size_t at = store_rebuild_find(r, bid);
    return at == r->records.n || r->records.v[at].bid != bid;
}

static void keep_strays(struct store_rebuild *r)
{
    char to[128];
    int fd = openat(r->dir, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    stamp(r->report.strays, sizeof r->report.strays, "lost-");
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!is_stray(r, e->d_name))
            continue;
        if (r->report.stray_files == 0)
            mkdirat(r->dir, r->report.strays, 0700);
        snprintf(to, sizeof to, "%s/%.16s", r->report.strays, e->d_name);
        r->report.stray_files += renameat(fd, e->d_name, r->dir, to) == 0;
    }
    closedir(d);
}

int store_rebuild_run(struct store_rebuild *r, int base, store_rebuild_summary_fn *fn, void *arg, struct fail *f)
{
    int rc = -1;
    r->summary = fn;
    r->summary_arg = arg;
    if (make_file(r, base, f) != 0)
        goto out;
    r->db = db_open(new_name, DB_WRITER | DB_UNSAFE, f);
    if (r->db == NULL || fill(r, base >= 0, f) != 0)
        goto out;
    keep_strays(r);
    rc = change(r, f);
out:
    if (rc != 0) {
        db_close(r->db, false);
        r->db = NULL;
        drop_new(r);
    }
    return rc;
}
