/* store_rebuild_log: what the log holds: where each message lies, which were removed, how mailboxes are called. */
#include "store/msglog_impl.h"
#include "store/store_rebuild_impl.h"
#include "store/store_verify_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/num.h"

enum { TELL_EVERY = 4000 };

/* ---- files ---- */

static int by_number(const void *a, const void *b)
{
    const struct rebuild_segment *x = a, *y = b;
    return (x->seg > y->seg) - (x->seg < y->seg);
}

static int list_segments(struct store_rebuild *r, struct fail *f)
{
    struct stat st;
    uint64_t seg;
    int fd = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return fail_errno(f, "the store's directory", errno);
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct span name = span_z(e->d_name);
        if (!span_starts(name, SPAN("seg-")) || num_u64(span_from(name, 4), UINT32_MAX - 1, &seg) != 0 || seg == 0 ||
            fstatat(r->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        *VEC_PUSH(&r->segments) = (struct rebuild_segment){.seg = (uint32_t)seg, .size = (uint64_t)st.st_size};
        r->report.log_bytes += (uint64_t)st.st_size;
    }
    closedir(d);
    if (r->segments.n > 1)
        qsort(r->segments.v, r->segments.n, sizeof *r->segments.v, by_number);
    r->report.segments = r->segments.n;
    return 0;
}

int store_rebuild_open(struct store_rebuild *r, uint32_t seg)
{
    char name[MSGLOG_NAME];
    if (r->seg_fd >= 0 && r->seg == seg)
        return r->seg_fd;
    if (r->seg_fd >= 0)
        close(r->seg_fd);
    msglog_name(seg, name);
    r->seg = seg;
    r->seg_fd = openat(r->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return r->seg_fd;
}

/* ---- records ---- */

static void raise(uint64_t *next, uint64_t used)
{
    if (used >= *next && used < (uint64_t)INT64_MAX / 2) /* what is above is no number of ours */
        *next = used + 1;
}

static void take_tree(struct store_rebuild *r, struct store_meta *m, struct span meta)
{
    struct store_meta_box b;
    struct rebuild_tree *t = map_get_u64(&r->trees, m->account);
    if (t == NULL) {
        t = arena_zalloc(&r->mem, sizeof *t);
        map_put_u64(&r->trees, m->account, t);
    }
    *t = (struct rebuild_tree){m->account, arena_copy(&r->mem, meta)};
    while (store_meta_box(m, &b))
        raise(&r->next_mailbox, b.mailbox);
}

static void take_record(struct store_rebuild *r, const unsigned char *h, struct store_meta *m, uint32_t seg, uint64_t off,
                        bool doubtful)
{
    static const unsigned char none[16];
    struct store_meta_target t;
    uint64_t bid = msglog_get64(h + 24);
    *VEC_PUSH(&r->records) = (struct rebuild_record){.bid = bid, .off = off, .order = r->records.n, .seg = seg,
        .op = memcmp(h + 32, none, 16) != 0 ? span_hash(span_of(h + 32, 16)) | 1 : 0, .doubtful = doubtful};
    raise(&r->next_bid, bid);
    while (m->kind != META_UPLOAD && store_meta_target(m, &t)) {
        raise(&r->next_eid, t.eid);
        raise(&r->next_mailbox, t.mailbox);
    }
}

/* A record that is whole up to its body. Notes behind a damaged place are not believed. */
static void take(struct store_rebuild *r, const unsigned char *h, struct span meta, uint32_t seg, uint64_t off, bool doubtful)
{
    struct store_meta m;
    uint64_t eid;
    if (store_meta_read(meta, &m) != 0)
        return;
    if (msglog_get64(h + 24) != 0) {
        if (m.kind <= META_UPLOAD)
            take_record(r, h, &m, seg, off, doubtful);
    } else if (m.kind == META_TREE && !doubtful) {
        take_tree(r, &m, meta);
    } else if (m.kind == META_GONE && !doubtful) {
        while (store_meta_eid(&m, &eid)) {
            *VEC_PUSH(&r->gone) = eid;
            raise(&r->next_eid, eid);
        }
    }
}

/* ---- segments ---- */

static bool all_zero(int fd, uint64_t from, uint64_t to)
{
    enum { CHUNK = 65536 };
    char *buf = base_alloc(CHUNK);
    bool zero = true;
    while (from < to && zero) {
        ssize_t n = pread(fd, buf, (size_t)MIN_OF((uint64_t)CHUNK, to - from), (off_t)from);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n && zero; i++)
            zero = buf[i] == 0;
        from += (uint64_t)n;
    }
    free(buf);
    return zero;
}

/* From s->end on there is no record; goes on behind the damage. False: nothing follows. */
static bool skip_damage(struct store_rebuild *r, struct rebuild_segment *s, int fd, uint64_t *off)
{
    uint64_t next = store_verify_resync(fd, *off, s->size);
    if (next == s->size) {
        if (!all_zero(fd, *off, s->size))
            r->report.tail_bytes += s->size - *off;
        return false;
    }
    r->report.bad_places++;
    r->report.bad_bytes += next - *off;
    *off = next;
    return true;
}

static int read_meta(int fd, uint64_t off, struct str *meta, size_t n)
{
    str_clear(meta);
    str_reserve(meta, n);
    meta->n = n;
    return n == 0 || pread(fd, meta->p, n, (off_t)off) == (ssize_t)n ? 0 : -1;
}

static int walk_segment(struct store_rebuild *r, struct rebuild_segment *s, uint64_t before, struct fail *f)
{
    unsigned char h[MSGLOG_HEADER];
    struct str meta;
    uint64_t off = 0;
    bool doubtful = false;
    int fd = store_rebuild_open(r, s->seg);
    if (fd < 0)
        return fail_errno(f, "open a segment", errno);
    str_init(&meta, &r->one);
    while (off < s->size) {
        if (store_verify_header(fd, off, s->size, h) != NULL || read_meta(fd, off + MSGLOG_HEADER, &meta, msglog_get32(h + 8)) != 0) {
            if (!skip_damage(r, s, fd, &off))
                break;
            doubtful = true;
            continue;
        }
        take(r, h, str_span(&meta), s->seg, off, doubtful);
        off += MSGLOG_HEADER + meta.n + ((h[5] & MSGLOG_BIG) != 0 ? 0 : msglog_get64(h + 16));
        s->end = off;
        if (r->records.n % TELL_EVERY == 0)
            store_rebuild_tell(r, "looking through the log", before + off, r->report.log_bytes);
    }
    arena_reset(&r->one);
    return 0;
}

/* ---- which of them count ---- */

static int by_blob(const void *a, const void *b)
{
    const struct rebuild_record *x = a, *y = b;
    if (x->bid != y->bid)
        return x->bid < y->bid ? -1 : 1;
    if (x->doubtful != y->doubtful) /* the believed one is the one to use */
        return x->doubtful ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_op(const void *a, const void *b)
{
    const struct rebuild_record *x = a, *y = b;
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Behind a segment's end may lie records of a batch that was planned again: the same operations with other blobs. What
 * lies first is what happened. */
static void drop_repeated(struct store_rebuild *r)
{
    size_t kept = 0;
    qsort(r->records.v, r->records.n, sizeof *r->records.v, by_op);
    for (size_t i = 0, first = 0; i < r->records.n; i++) {
        struct rebuild_record x = r->records.v[i];
        if (i == 0 || x.op != r->records.v[first].op) {
            r->records.v[kept] = x;
            first = kept++;
        } else if (x.op == 0 || x.bid == r->records.v[first].bid) {
            r->records.v[kept++] = x; /* a copy that sweep made */
        } else {
            r->report.repeated++;
        }
    }
    r->records.n = kept;
}

size_t store_rebuild_find(const struct store_rebuild *r, uint64_t bid)
{
    size_t low = 0, high = r->records.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r->records.v[mid].bid < bid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void store_rebuild_group(const struct store_rebuild *r, size_t from, size_t *to)
{
    for (*to = from; *to < r->records.n && r->records.v[*to].bid == r->records.v[from].bid;)
        ++*to;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool store_rebuild_is_gone(const struct store_rebuild *r, uint64_t eid)
{
    return r->gone.n > 0 && bsearch(&eid, r->gone.v, r->gone.n, sizeof eid, by_value) != NULL;
}

int store_rebuild_log(struct store_rebuild *r, struct fail *f)
{
    uint64_t before = 0;
    if (list_segments(r, f) != 0)
        return -1;
    for (size_t i = 0; i < r->segments.n; i++) {
        if (walk_segment(r, &r->segments.v[i], before, f) != 0)
            return -1;
        before += r->segments.v[i].size;
    }
    if (r->records.n > 1) {
        drop_repeated(r);
        qsort(r->records.v, r->records.n, sizeof *r->records.v, by_blob);
    }
    if (r->gone.n > 1)
        qsort(r->gone.v, r->gone.n, sizeof *r->gone.v, by_value);
    for (size_t i = 0, to; i < r->records.n; i = to) {
        store_rebuild_group(r, i, &to);
        r->report.records++;
    }
    r->report.trees = map_count(&r->trees);
    return 0;
}
