/* store_sweep: gives back what nothing refers to any more: segments under half live are rewritten and removed while the
 * store serves, files of dead big bodies removed, orphans of a crash found by age (doc/decisions/06-sweep.md).
 *
 * The committer does it, a small step at a time, between batches. A step copies live records to the open segment and
 * changes where the index says they are, through the same attempt that every batch makes: bodies are on disk before the
 * row names them, trouble with the files means what it means there. A file goes when no reader that looked before is
 * still at it (msglog_pin) and no backup is being made.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/num.h"
#include "store/crc32c.h"
#include "store/msglog_impl.h"
#include "store/store_impl.h"
#include "store/store_io.h"
#include "store/store_text.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
    RECORDS_MOST = 4096,        /* looked at in a step */
    FILES_MOST = 256,           /* of big/ looked at in a step */
    BUSY_MS = 1000,             /* between steps when the committer is never idle */
    ORPHANS_EVERY_MS = 3600 * 1000,
    PIN_MS = 10 * 60 * 1000,    /* a backup that asks for nothing so long is gone */
};

/* ---- dead files ---- */

void store_sweep_dead(struct store *s, uint64_t bid, uint32_t seg)
{
    *VEC_PUSH(&s->dead) = (struct store_dead){.bid = bid, .seg = seg, .ticket = msglog_ticket(s->log)};
}

void store_sweep_pin(struct store *s, bool on) { s->pinned_until_ms = on ? clock_mono_ms() + PIN_MS : 0; }
static bool pinned(const struct store *s) { return s->pinned_until_ms > clock_mono_ms(); }

void store_sweep_files(struct store *s)
{
    for (size_t i = 0; i < s->dead.n && !pinned(s);) {
        struct store_dead *d = &s->dead.v[i];
        if (!msglog_past(s->log, d->ticket)) {
            i++;
            continue;
        }
        if (d->seg != 0)
            msglog_segment_remove(s->log, d->seg);
        else
            msglog_big_remove(s->log, d->bid);
        *d = s->dead.v[--s->dead.n];
    }
}

/* ---- a step of rewriting ---- */

struct walk { int fd; struct store_sweep *w; size_t bytes, records; };

/* A segment whose records cannot all be read stays as it is: what is in it may be wanted. verify says what is wrong. */
static int leave(struct store *s, const char *why)
{
    LOG(LOG_ERROR, "store.sweep", L_Z("why", why), L_INT("seg", s->sweep.seg), L_INT("off", (int64_t)s->sweep.at));
    s->sweep.left = true;
    return 0;
}

/* 1: the index has this record's body here; 0: dead; -1: trouble of the index. */
static int is_live(struct store *s, uint64_t bid)
{
    int rc = DB_FIRST(s->db, DB_BLOB_PLACE, DB_I(bid));
    if (rc != 1)
        return rc;
    rc = (uint32_t)db_i64(s->db, DB_BLOB_PLACE, 0) == s->sweep.seg && (uint64_t)db_i64(s->db, DB_BLOB_PLACE, 1) == s->sweep.at;
    db_end(s->db, DB_BLOB_PLACE);
    return rc;
}

/* A note (store_note.h): one that cannot be read is of no use to anybody. */
static int note_is_live(struct store *s, struct walk *w, uint64_t meta)
{
    char *p = arena_alloc(&s->mem, (size_t)meta + 1);
    if (store_io_read_all(w->fd, p, (size_t)meta, s->sweep.at + MSGLOG_HEADER) != 0)
        return 0;
    return store_note_swept(s, span_of(p, (size_t)meta));
}

static int take_live(struct store *s, struct walk *w, const unsigned char *h, size_t total)
{
    uint32_t meta = msglog_get32(h + 8);
    unsigned char *p = arena_alloc(&s->mem, total);
    if (store_io_read_all(w->fd, p, total, s->sweep.at) != 0)
        return leave(s, "cannot be read");
    struct span body = span_of(p + MSGLOG_HEADER + meta, total - MSGLOG_HEADER - meta);
    if (crc32c(crc32c(0, p, 60), p + MSGLOG_HEADER, meta) != msglog_get32(p + 60) ||
        (body.n > 0 && crc32c(0, body.p, body.n) != msglog_get32(p + 12)))
        return leave(s, "a record in use is damaged");
    struct msglog_record r = {.bid = msglog_get64(p + 24), .received_ms = (int64_t)msglog_get64(p + 48), .flags = p[5],
        .body_crc = msglog_get32(p + 12), .body_len = msglog_get64(p + 16),
        .meta = span_of(p + MSGLOG_HEADER, meta), .body = body};
    memcpy(r.op, p + 32, 16);
    *VEC_PUSH(&s->records) = r;
    w->bytes += total;
    return 0;
}

/* One record. -1: trouble of the index. */
static int look(struct store *s, struct walk *w)
{
    unsigned char h[MSGLOG_HEADER];
    if (s->sweep.at + MSGLOG_HEADER > s->sweep.end || store_io_read_all(w->fd, h, sizeof h, s->sweep.at) != 0)
        return leave(s, "ends within a record");
    uint64_t body = (h[5] & MSGLOG_BIG) != 0 ? 0 : msglog_get64(h + 16), meta = msglog_get32(h + 8);
    if (memcmp(h, "PLOG", 4) != 0 || h[6] != MSGLOG_HEADER || meta > s->sweep.end || body > s->sweep.end ||
        s->sweep.at + MSGLOG_HEADER + meta + body > s->sweep.end)
        return leave(s, "no record where one should be");
    size_t total = (size_t)(MSGLOG_HEADER + meta + body);
    int live = msglog_get64(h + 24) != 0 ? is_live(s, msglog_get64(h + 24)) : note_is_live(s, w, meta);
    if (live < 0 || (live == 1 && take_live(s, w, h, total) != 0))
        return -1;
    if (!s->sweep.left) {
        s->sweep.at += total;
        w->records++;
    }
    return 0;
}

int store_sweep_plan(struct store *s, struct store_op *op)
{
    char name[MSGLOG_NAME];
    msglog_name(s->sweep.seg, name);
    struct walk w = {.fd = store_io->open(s->dir, name, O_RDONLY)};
    if (w.fd < 0)
        return leave(s, "cannot be opened");
    int rc = 0;
    while (rc == 0 && !s->sweep.left && s->sweep.at < s->sweep.end && w.records < RECORDS_MOST &&
           w.bytes < (size_t)LIMIT(SWEEP_STEP_BYTES))
        rc = look(s, &w);
    close(w.fd);
    return rc;
}

int store_sweep_apply(struct store *s, struct store_op *op)
{
    for (size_t i = 0; i < s->records.n; i++) {
        const struct msglog_record *r = &s->records.v[i];
        if (r->bid == 0)
            continue;
        int64_t bytes = MSGLOG_HEADER + (int64_t)r->meta.n + (int64_t)r->body.n;
        if (DB_RUN(s->db, DB_BLOB_MOVE, DB_I(r->bid), DB_I(r->seg), DB_I(r->off)) != 0)
            return -1;
        store_commit_live(s, s->sweep.seg, -bytes);
        store_commit_live(s, r->seg, bytes);
    }
    bool end = s->sweep.at >= s->sweep.end && !s->sweep.left;
    return end ? DB_RUN(s->db, DB_SEGMENT_DELETE, DB_I(s->sweep.seg)) : 0;
}

static void done(struct store_write *w) { (void)w; }

static void rewrite(struct store *s)
{
    uint64_t before = s->sweep.at;
    struct store_write w = {.id = (enum msg_id)STORE_SWEEP, .done = done};
    store_commit_run(s, &w);
    if (w.result != 0) { /* no space, for now: from there again */
        s->sweep.at = before;
        s->sweep.next_ms = clock_mono_ms() + 60 * 1000;
    } else if (s->sweep.left) {
        s->sweep.after = s->sweep.seg;
        s->sweep.seg = 0;
    } else if (s->sweep.at >= s->sweep.end) {
        LOG(LOG_INFO, "store.sweep", L_Z("what", "rewritten"), L_INT("seg", s->sweep.seg));
        store_sweep_dead(s, 0, s->sweep.seg);
        s->sweep.seg = 0;
    }
}

/* The next segment to rewrite. False: none. */
static bool choose(struct store *s)
{
    int rc = DB_FIRST(s->db, DB_SEGMENT_SPARSE, DB_I(s->sweep.after), DB_I(msglog_segment(s->log)), DB_I(LIMIT(SWEEP_PERCENT)));
    if (rc == 1) {
        s->sweep.seg = (uint32_t)db_i64(s->db, DB_SEGMENT_SPARSE, 0);
        s->sweep.end = (uint64_t)db_i64(s->db, DB_SEGMENT_SPARSE, 1);
        s->sweep.at = 0;
        s->sweep.left = false;
        db_end(s->db, DB_SEGMENT_SPARSE);
    }
    return rc == 1;
}

/* ---- orphans: a crash came between a file's making and the row that names it, or between the row's end and the file's ---- */

static bool old_enough(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_ctime + LIMIT(ORPHAN_S) <= clock_now_s();
}

/* 1: a row names it or it may yet come to be named, 0: an orphan, -1: trouble. */
static int segment_wanted(struct store *s, uint64_t seg)
{
    if (seg == 0 || seg >= msglog_segment(s->log))
        return 1;
    for (size_t i = 0; i < s->dead.n; i++)
        if (s->dead.v[i].seg == seg)
            return 1; /* goes in its own time */
    int rc = DB_FIRST(s->db, DB_SEGMENT_HAS, DB_I(seg));
    db_end(s->db, DB_SEGMENT_HAS);
    return rc;
}

static int big_wanted(struct store *s, uint64_t bid)
{
    if (bid == 0 || bid >= s->next_bid)
        return 1;
    int rc = DB_FIRST(s->db, DB_BLOB_PLACE, DB_I(bid));
    db_end(s->db, DB_BLOB_PLACE);
    return rc;
}

static void look_at_file(struct store *s, const char *name)
{
    uint64_t n;
    bool segment = !s->sweep.in_big;
    struct span text = span_z(name);
    int dir = segment ? s->dir : msglog_big_dir(s->log);
    if (segment ? !span_starts(text, SPAN("seg-")) || num_u64(span_from(text, 4), UINT32_MAX, &n) != 0
                : text.n != 16 || num_hex(text, UINT64_MAX, &n) != 0)
        return;
    if ((segment ? segment_wanted(s, n) : big_wanted(s, n)) != 0 || !old_enough(dir, name))
        return;
    LOG(LOG_WARN, "store.sweep", L_Z("what", "orphan removed"), L_Z("file", name));
    if (segment)
        msglog_segment_remove(s->log, (uint32_t)n);
    else
        msglog_big_remove(s->log, n);
}

static DIR *open_files(struct store *s)
{
    int fd = openat(s->sweep.in_big ? msglog_big_dir(s->log) : s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0)
        close(fd);
    return d;
}

static void orphans(struct store *s)
{
    if (s->sweep.files == NULL)
        s->sweep.files = open_files(s);
    struct dirent *e = NULL;
    for (size_t i = 0; s->sweep.files != NULL && i < FILES_MOST && (e = readdir(s->sweep.files)) != NULL; i++)
        look_at_file(s, e->d_name);
    if (e != NULL)
        return;
    store_sweep_end(s);
    if (s->sweep.in_big) { /* both seen */
        store_text_sweep(s);
        s->sweep.orphans_ms = clock_mono_ms() + ORPHANS_EVERY_MS;
    }
    s->sweep.in_big = !s->sweep.in_big;
}

/* ---- when ---- */

bool store_sweep_due(const struct store *s, bool busy)
{
    int64_t now = clock_mono_ms();
    if (s->broken || (busy && now < s->sweep.last_ms + BUSY_MS))
        return false;
    return (s->dead.n > 0 && !pinned(s)) || now >= s->sweep.orphans_ms ||
           ((s->sweep.seg != 0 || s->sweep.wanted) && now >= s->sweep.next_ms && !pinned(s));
}

void store_sweep_step(struct store *s)
{
    s->sweep.last_ms = clock_mono_ms();
    store_sweep_files(s);
    if (!pinned(s) && s->sweep.last_ms >= s->sweep.next_ms) {
        if (s->sweep.seg == 0 && s->sweep.wanted)
            s->sweep.wanted = choose(s);
        if (s->sweep.seg != 0)
            rewrite(s);
    }
    if (!pinned(s) && s->sweep.last_ms >= s->sweep.orphans_ms)
        orphans(s);
}

void store_sweep_end(struct store *s)
{
    if (s->sweep.files != NULL)
        closedir(s->sweep.files);
    s->sweep.files = NULL;
}
