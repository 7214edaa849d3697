/* trace: see the header. Not locked: shim.c does that. */
#include "trace.h"
#include "base/span.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

struct trace_event *trace_add(struct trace *t, enum trace_kind kind)
{
    struct trace_event *e = VEC_PUSH(&t->events);
    *e = (struct trace_event){.kind = kind};
    return e;
}

static void set_name(char out[TRACE_NAME], const char *name)
{
    assert(strlen(name) < TRACE_NAME);
    snprintf(out, TRACE_NAME, "%s", name);
}

/* ---- names ---- */

static struct trace_name *find(struct trace_names *names, uint32_t dir, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->v[i].dir == dir && strcmp(names->v[i].name, name) == 0)
            return &names->v[i];
    return NULL;
}

static void put(struct trace_names *names, uint32_t dir, const char *name, uint32_t file)
{
    struct trace_name *x = find(names, dir, name);
    if (x == NULL)
        x = VEC_PUSH(names);
    x->dir = dir;
    x->file = file;
    set_name(x->name, name);
}

static void take(struct trace_names *names, uint32_t dir, const char *name, uint32_t file)
{
    struct trace_name *x = find(names, dir, name);
    if (x != NULL && x->file == file)
        *x = names->v[--names->n];
}

/* half: of a rename only the new name is there, the old one has not gone. */
void trace_names_apply(struct trace_names *names, const struct trace_event *e, bool half)
{
    if (e->kind == TRACE_CREATE)
        put(names, e->dir, e->name, e->file);
    if (e->kind == TRACE_RENAME)
        put(names, e->dir, e->to, e->file);
    if (e->kind == TRACE_UNLINK || (e->kind == TRACE_RENAME && !half))
        take(names, e->dir, e->name, e->file);
}

static void change(struct trace *t, enum trace_kind kind, uint32_t dir, const char *name, const char *to, uint32_t file)
{
    struct trace_event *e = trace_add(t, kind);
    e->dir = dir;
    e->file = file;
    set_name(e->name, name);
    set_name(e->to, to);
    struct trace_names now = {t->now.v, t->now.n, t->now.cap};
    trace_names_apply(&now, e, false);
    t->now.v = now.v, t->now.n = now.n, t->now.cap = now.cap;
}

uint32_t trace_open(struct trace *t, uint32_t dir, const char *name, bool make)
{
    struct trace_names now = {t->now.v, t->now.n, t->now.cap};
    const struct trace_name *x = find(&now, dir, name);
    if (x != NULL || !make)
        return x != NULL ? x->file : UINT32_MAX;
    *VEC_PUSH(&t->files) = (struct trace_file){0};
    uint32_t file = (uint32_t)t->files.n - 1;
    change(t, TRACE_CREATE, dir, name, "", file);
    return file;
}

void trace_link(struct trace *t, uint32_t dir, const char *from, const char *to)
{
    change(t, TRACE_CREATE, dir, to, "", trace_open(t, dir, from, true));
}

void trace_rename(struct trace *t, uint32_t dir, const char *from, const char *to)
{
    change(t, TRACE_RENAME, dir, from, to, trace_open(t, dir, from, true));
}

void trace_unlink(struct trace *t, uint32_t dir, const char *name)
{
    uint32_t file = trace_open(t, dir, name, false);
    if (file != UINT32_MAX)
        change(t, TRACE_UNLINK, dir, name, "", file);
}

void trace_write(struct trace *t, uint32_t file, uint64_t at, const void *data, size_t n)
{
    struct trace_event *e = trace_add(t, TRACE_WRITE);
    const char *p = data;
    e->file = file;
    e->at = at;
    e->n = n;
    if (n > 0 && (p[0] != 0 || memcmp(p, p + 1, n - 1) != 0)) { /* not all zeros */
        e->data = base_alloc(n);
        memcpy(e->data, p, n);
    }
}

/* ---- the beginning ---- */

static void start_file(struct trace *t, uint32_t dir, int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        base_die("powercut: cannot read the files at the beginning");
    if (S_ISREG(st.st_mode)) {
        struct trace_file f = {.start = base_alloc((size_t)st.st_size + 1), .start_n = (uint64_t)st.st_size};
        if (pread(fd, f.start, (size_t)st.st_size, 0) != st.st_size)
            base_die("powercut: short read at the beginning");
        *VEC_PUSH(&t->files) = f;
        struct trace_name *x = VEC_PUSH(&t->start);
        *x = (struct trace_name){.dir = dir, .file = (uint32_t)t->files.n - 1};
        set_name(x->name, name);
        *VEC_PUSH(&t->now) = *x;
    }
    close(fd);
}

static bool wanted(const char *name)
{
    struct span s = span_z(name);
    return name[0] != '.' && !span_eq(s, SPAN("lock")) && !span_ends_nocase(s, SPAN("-shm"));
}

static void start_dir(struct trace *t, uint32_t dir, const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (wanted(e->d_name))
            start_file(t, dir, dirfd(d), e->d_name);
    if (d != NULL)
        closedir(d);
}

void trace_start(struct trace *t, const char *dir)
{
    char big[256];
    snprintf(big, sizeof big, "%s/big", dir);
    *t = (struct trace){.big_at_start = access(big, F_OK) == 0};
    start_dir(t, TRACE_ROOT, dir);
    start_dir(t, TRACE_BIG, big);
}

void trace_free(struct trace *t)
{
    for (size_t i = 0; i < t->events.n; i++)
        free(t->events.v[i].data);
    for (size_t i = 0; i < t->files.n; i++)
        free(t->files.v[i].start);
    VEC_FREE(&t->events);
    VEC_FREE(&t->files);
    VEC_FREE(&t->start);
    VEC_FREE(&t->now);
}

/* ---- kept for a second look ---- */

static int save(FILE *f, const void *p, size_t n) { return n == 0 || fwrite(p, n, 1, f) == 1 ? 0 : -1; }
static int load(FILE *f, void *p, size_t n) { return n == 0 || fread(p, n, 1, f) == 1 ? 0 : -1; }

int trace_save(const struct trace *t, FILE *f)
{
    const uint64_t head[4] = {t->events.n, t->files.n, t->start.n, t->big_at_start};
    int rc = save(f, head, sizeof head) | save(f, t->start.v, t->start.n * sizeof *t->start.v);
    for (size_t i = 0; i < t->files.n; i++)
        rc |= save(f, &t->files.v[i].start_n, 8) | save(f, t->files.v[i].start, t->files.v[i].start_n);
    for (size_t i = 0; i < t->events.n; i++) {
        const struct trace_event *e = &t->events.v[i];
        rc |= save(f, e, sizeof *e) | save(f, e->data, e->data != NULL ? e->n : 0);
    }
    return rc;
}

int trace_load(struct trace *t, FILE *f)
{
    uint64_t head[4];
    *t = (struct trace){0};
    if (load(f, head, sizeof head) != 0)
        return -1;
    t->big_at_start = head[3] != 0;
    int rc = 0;
    for (uint64_t i = 0; i < head[2] && rc == 0; i++)
        rc = load(f, VEC_PUSH(&t->start), sizeof *t->start.v);
    for (uint64_t i = 0; i < head[1] && rc == 0; i++) {
        struct trace_file *x = VEC_PUSH(&t->files);
        rc = load(f, &x->start_n, 8);
        x->start = base_alloc((size_t)x->start_n + 1);
        rc |= load(f, x->start, (size_t)x->start_n);
    }
    for (uint64_t i = 0; i < head[0] && rc == 0; i++) {
        struct trace_event *e = VEC_PUSH(&t->events);
        rc = load(f, e, sizeof *e);
        if (e->data != NULL) {
            e->data = base_alloc((size_t)e->n);
            rc |= load(f, e->data, (size_t)e->n);
        }
    }
    return rc;
}
