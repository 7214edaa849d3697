/* disk: see the header.
 *
 * Sectors of 512 bytes are written whole or not at all. Of each write since the last sync the seed decides: kept, lost,
 * its first sectors, or any of its sectors; a length may be kept without its bytes, which then are zeros or rubbish. In
 * the orderly kind (as ext4 does it) a page is as it was at some moment, and names change in their order; in the
 * harsh kind each write and each change of a name has its own fate, and a rename may have left the old name.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { SECTOR = 512, PAGE = 4096 };

/* ---- chance ---- */

uint64_t disk_random(struct disk_rand *r) /* splitmix64 */
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t disk_below(struct disk_rand *r, uint64_t n) { return disk_random(r) % n; }
bool disk_chance(struct disk_rand *r, unsigned percent) { return disk_below(r, 100) < percent; }

/* The same answer for the same things, whatever was asked before. */
static uint64_t mix(uint64_t seed, uint64_t a, uint64_t b)
{
    struct disk_rand r = {seed ^ (a * 0xd6e8feb86659fd93u)};
    r.s ^= disk_random(&r) + b * 0xa0761d6478bd642fu;
    return disk_random(&r);
}

/* ---- a file's bytes ---- */

static void set_size(struct disk_file *f, size_t n, int fill)
{
    if (n > f->cap) {
        f->cap = MAX_OF(n, f->cap * 2);
        f->p = base_realloc(f->p, f->cap);
    }
    if (n > f->n)
        memset(f->p + f->n, fill, n - f->n);
    f->n = n;
}

static void put(struct disk_file *f, const struct trace_event *e, size_t from, size_t to) /* offsets in the write */
{
    size_t end = (size_t)e->at + to;
    if (end > f->n)
        set_size(f, end, 0);
    if (e->data != NULL)
        memcpy(f->p + e->at + from, e->data + from, to - from);
    else
        memset(f->p + e->at + from, 0, to - from);
}

static void apply(struct disk_file *f, const struct trace_event *e)
{
    if (e->kind == TRACE_SIZE)
        set_size(f, (size_t)e->at, 0);
    else if (e->n > 0)
        put(f, e, 0, (size_t)e->n);
}

/* ---- fates ---- */

struct fate {
    uint64_t seed;
    bool orderly;
    unsigned kept, torn;        /* percent */
    size_t at, journal;
};

static struct fate fate_of(const struct disk *d, uint64_t seed)
{
    static const unsigned kept[] = {0, 10, 50, 50, 90, 100};
    struct disk_rand r = {seed};
    struct fate x = {.seed = disk_random(&r), .at = d->at};
    x.orderly = disk_chance(&r, 30);
    x.kept = kept[disk_below(&r, COUNT_OF(kept))];
    x.torn = disk_chance(&r, 60) ? (unsigned)disk_below(&r, 80) : 0;
    x.journal = d->journal + disk_below(&r, d->at - d->journal + 1);
    return x;
}

/* The part of the write in the sector that begins at s of the file. */
static void put_sector(struct disk_file *f, const struct trace_event *e, uint64_t s)
{
    uint64_t from = MAX_OF(s, e->at), to = MIN_OF(s + SECTOR, e->at + e->n);
    put(f, e, (size_t)(from - e->at), (size_t)(to - e->at));
}

static void orderly_write(struct disk_file *f, const struct trace_event *e, size_t i, const struct fate *x, size_t first)
{
    for (uint64_t s = e->at / SECTOR * SECTOR; s < e->at + e->n; s += SECTOR) {
        uint64_t page = s / PAGE, h = mix(x->seed, e->file, page);
        /* a page was last written back at a moment since the first write that is not synced; torn: a sector at its own */
        if (h % 100 < x->torn)
            h = mix(x->seed + 1, e->file, s);
        size_t moment = h / 100 % 100 < x->kept ? x->at : first + (h >> 20) % (x->at - first + 1);
        if (x->kept == 0)
            moment = first;
        if (i < moment)
            put_sector(f, e, s);
    }
}

static void harsh_write(struct disk_file *f, const struct trace_event *e, size_t i, const struct fate *x)
{
    struct disk_rand r = {mix(x->seed, i, 1)};
    bool kept = disk_chance(&r, x->kept), torn = disk_chance(&r, x->torn);
    if (kept && !torn) {
        put(f, e, 0, (size_t)e->n);
        return;
    }
    if ((!torn || x->kept == 0) && disk_chance(&r, 20) && e->at + e->n > f->n) /* its length alone */
        set_size(f, (size_t)(e->at + e->n), disk_chance(&r, 50) ? 0 : (int)disk_below(&r, 256));
    if (!torn || x->kept == 0)
        return;
    uint64_t first = e->at / SECTOR, sectors = (e->at + e->n - 1) / SECTOR - first + 1;
    uint64_t prefix = disk_chance(&r, 50) ? disk_below(&r, sectors + 1) : UINT64_MAX;
    for (uint64_t s = 0; s < sectors; s++)
        if (prefix != UINT64_MAX ? s < prefix : disk_chance(&r, 50))
            put_sector(f, e, (first + s) * SECTOR);
}

static void decide(struct disk_file *f, const struct trace *t, size_t i, const struct fate *x, size_t first)
{
    const struct trace_event *e = &t->events.v[i];
    if (e->kind == TRACE_SIZE) {
        if (x->orderly ? i < x->journal : mix(x->seed, i, 2) % 100 < x->kept)
            set_size(f, (size_t)e->at, 0);
    } else if (e->n > 0 && x->orderly) {
        orderly_write(f, e, i, x, first);
    } else if (e->n > 0) {
        harsh_write(f, e, i, x);
    }
}

/* ---- time goes on ---- */

void disk_start(struct disk *d, const struct trace *t)
{
    *d = (struct disk){.trace = t, .big = t->big_at_start, .big_durable = t->big_at_start};
    for (size_t i = 0; i < t->files.n; i++) {
        struct disk_file *f = VEC_PUSH(&d->files);
        *f = (struct disk_file){0};
        set_size(f, (size_t)t->files.v[i].start_n, 0);
        if (f->n > 0)
            memcpy(f->p, t->files.v[i].start, f->n);
    }
    for (size_t i = 0; i < t->start.n; i++)
        *VEC_PUSH(&d->names) = t->start.v[i];
}

void disk_free(struct disk *d)
{
    for (size_t i = 0; i < d->files.n; i++) {
        free(d->files.v[i].p);
        VEC_FREE(&d->files.v[i].pending);
    }
    VEC_FREE(&d->files);
    VEC_FREE(&d->names);
    VEC_FREE(&d->changes);
}

static void synced(struct disk *d, struct disk_file *f, uint64_t covers)
{
    size_t kept = 0;
    bool longer = false;
    for (size_t i = 0; i < f->pending.n; i++) {
        const struct trace_event *e = &d->trace->events.v[f->pending.v[i]];
        if (f->pending.v[i] >= covers) {
            f->pending.v[kept++] = f->pending.v[i];
            continue;
        }
        longer |= e->kind == TRACE_SIZE || e->at + e->n > f->n;
        apply(f, e);
    }
    f->pending.n = kept;
    if (longer) /* ext4: a new length is in the journal, and with it all that was there before */
        d->journal = MAX_OF(d->journal, (size_t)covers);
}

/* A sync failed: the kernel holds the pages for clean, no later sync writes them again. */
static void lost(struct disk *d, struct disk_file *f, uint64_t seed)
{
    struct fate x = fate_of(d, seed);
    size_t first = f->pending.n > 0 ? f->pending.v[0] : 0;
    for (size_t i = 0; i < f->pending.n; i++)
        decide(f, d->trace, f->pending.v[i], &x, first);
    f->pending.n = 0;
}

static void dir_synced(struct disk *d, uint32_t dir, uint64_t covers)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->changes.n; i++) {
        const struct trace_event *e = &d->trace->events.v[d->changes.v[i]];
        if (e->dir != dir || d->changes.v[i] >= covers)
            d->changes.v[kept++] = d->changes.v[i];
        else if (e->kind == TRACE_MKDIR)
            d->big_durable = true;
        else
            trace_names_apply(&d->names, e, false);
    }
    d->changes.n = kept;
    d->journal = MAX_OF(d->journal, (size_t)covers);
}

void disk_advance(struct disk *d, size_t to, uint64_t seed)
{
    for (; d->at < to; d->at++) {
        const struct trace_event *e = &d->trace->events.v[d->at];
        switch (e->kind) {
        case TRACE_WRITE:
        case TRACE_SIZE:
            *VEC_PUSH(&d->files.v[e->file].pending) = d->at;
            break;
        case TRACE_SYNC:
            synced(d, &d->files.v[e->file], e->covers);
            break;
        case TRACE_LOST:
            lost(d, &d->files.v[e->file], seed);
            break;
        case TRACE_DIRSYNC:
            dir_synced(d, e->dir, e->covers);
            break;
        case TRACE_CREATE:
        case TRACE_RENAME:
        case TRACE_UNLINK:
        case TRACE_MKDIR:
            *VEC_PUSH(&d->changes) = d->at;
            break;
        case TRACE_BEGIN:
        case TRACE_ACK:
            break;
        }
    }
}

/* ---- the files after the cut ---- */

static void write_file(const struct disk *d, uint32_t file, const struct fate *x, int dir, const char *name)
{
    const struct disk_file *durable = &d->files.v[file];
    struct disk_file f = {0};
    set_size(&f, durable->n, 0);
    if (f.n > 0)
        memcpy(f.p, durable->p, f.n);
    for (size_t i = 0; i < durable->pending.n; i++)
        decide(&f, d->trace, durable->pending.v[i], x, durable->pending.v[0]);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t end = f.n; /* zeros at the end need no memory */
    while (end > 0 && f.p[end - 1] == 0)
        end--;
    if (fd < 0 || (end > 0 && pwrite(fd, f.p, end, 0) != (ssize_t)end) || ftruncate(fd, (off_t)f.n) != 0)
        base_die("powercut: cannot write the files of a cut");
    close(fd);
    free(f.p);
}

static bool kept(const struct fate *x, size_t i)
{
    return x->orderly ? i < x->journal : mix(x->seed, i, 3) % 100 < x->kept;
}

void disk_build(const struct disk *d, uint64_t seed, const char *path)
{
    struct fate x = fate_of(d, seed);
    struct trace_names names = {0};
    bool big = d->big_durable;
    for (size_t i = 0; i < d->names.n; i++)
        *VEC_PUSH(&names) = d->names.v[i];
    for (size_t i = 0; i < d->changes.n; i++) {
        size_t at = d->changes.v[i];
        const struct trace_event *e = &d->trace->events.v[at];
        if (!kept(&x, at))
            continue;
        big |= e->kind == TRACE_MKDIR;
        trace_names_apply(&names, e, !x.orderly && mix(x.seed, at, 4) % 8 == 0);
    }
    int dirs[TRACE_DIRS] = {-1, -1};
    if (mkdir(path, 0700) != 0 || (dirs[0] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        base_die("powercut: cannot make a directory for a cut");
    if (big && (mkdirat(dirs[0], "big", 0700) != 0 ||
                (dirs[1] = openat(dirs[0], "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
        base_die("powercut: cannot make big/ for a cut");
    for (size_t i = 0; i < names.n; i++) {
        const struct trace_name *n = &names.v[i];
        size_t same = 0; /* an earlier name of the same file: a link */
        while (same < i && names.v[same].file != n->file)
            same++;
        if (dirs[n->dir] < 0)
            continue;
        if (same == i || dirs[names.v[same].dir] < 0)
            write_file(d, n->file, &x, dirs[n->dir], n->name);
        else if (linkat(dirs[names.v[same].dir], names.v[same].name, dirs[n->dir], n->name, 0) != 0)
            base_die("powercut: cannot link a file of a cut");
    }
    VEC_FREE(&names);
    for (size_t i = 0; i < TRACE_DIRS; i++)
        if (dirs[i] >= 0)
            close(dirs[i]);
}
