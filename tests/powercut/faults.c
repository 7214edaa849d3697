/* faults: the nth call of a kind that reaches the files fails, for every n that a small load has.
 *
 *     faults [CALL]       one kind of call only, by its number in shim.h; POSTEL_CHECK_ALL=yes: each of the many writes
 *
 * What must hold, whichever call fails with EIO, for want of space, or half-way:
 *  - what was answered 0 is there afterwards: in the same store, in the files as they are, and in what a power cut at
 *    that moment may have left of them (after a failed sync: of which the rest may be lost for good)
 *  - what was refused has not happened, unless the store said that it is broken: then it is there whole, or not at all
 *  - a full disk breaks nothing: once there is space again, the same store does what it had refused
 *  - verify finds nothing
 */
#include "base/log.h"
#include "base/num.h"
#include "cut.h"

#include <errno.h>
#include <sys/stat.h>

enum { REOPEN_AT = 7, EVERY_MOST = 1000, WRITES_ABOUT = 12, READS_ABOUT = 3 };

static const struct row {
    enum shim_call call;
    int err;                    /* 0: half of it */
    bool space;                 /* the store must go on by itself */
} rows[] = {
    {SHIM_CALL_OPEN, EIO, false}, {SHIM_CALL_OPEN, ENOSPC, true},
    {SHIM_CALL_WRITE, EIO, false}, {SHIM_CALL_WRITE, ENOSPC, true}, {SHIM_CALL_WRITE, 0, true},
    {SHIM_CALL_FDATASYNC, EIO, false}, {SHIM_CALL_FDATASYNC, ENOSPC, false}, {SHIM_CALL_FSYNC, EIO, false},
    {SHIM_CALL_LINK, EIO, false}, {SHIM_CALL_LINK, ENOSPC, true},
    {SHIM_CALL_RENAME, EIO, false}, {SHIM_CALL_RENAME, ENOSPC, true}, {SHIM_CALL_UNLINK, EIO, false},
    {SHIM_CALL_MKDIR, EIO, false}, {SHIM_CALL_MKDIR, ENOSPC, true},
    {SHIM_CALL_DB_OPEN, EIO, false}, {SHIM_CALL_DB_READ, EIO, false},
    {SHIM_CALL_DB_WRITE, EIO, false}, {SHIM_CALL_DB_WRITE, ENOSPC, true}, {SHIM_CALL_DB_WRITE, 0, true},
    {SHIM_CALL_DB_SYNC, EIO, false}, {SHIM_CALL_DB_TRUNCATE, EIO, false}, {SHIM_CALL_DB_SIZE, EIO, false},
    {SHIM_CALL_DB_HINT, EIO, false}, {SHIM_CALL_DB_HINT, ENOSPC, true}, {SHIM_CALL_DB_DELETE, EIO, false},
};

/* ---- the workload ---- */

static const struct { enum ops_kind kind; uint32_t n, len; uint64_t first, last; } workload[] = {
    {OPS_INGEST, 1, 300, 0, 0},     {OPS_INGEST, 3, 14000, 0, 0}, {OPS_INGEST, 1, 20000, 0, 0}, {OPS_SPOOLED, 1, 40000, 0, 0},
    {OPS_FLAGS, 1, 0, 1, 3},        {OPS_INGEST, 1, 14000, 0, 0}, {OPS_EXPUNGE, 1, 0, 2, 2},
    {OPS_SPOOLED, 2, 20000, 0, 0}, /* after a reopening */
    {OPS_INGEST, 1, 16000, 0, 0},   {OPS_INGEST, 1, 16000, 0, 0}, {OPS_INGEST, 1, 16000, 0, 0}, {OPS_INGEST, 1, 16000, 0, 0},
    {OPS_INGEST, 1, 16000, 0, 0},   {OPS_INGEST, 1, 16000, 0, 0}, {OPS_FLAGS, 1, 0, 1, 9},
};
enum { WORK = COUNT_OF(workload) };

static char room[64];

/* What was answered at a moment, to be compared with what a power cut then may have left. */
struct moment { bool taken; size_t at; struct model m; bool done[WORK]; };

struct run {
    struct recording r;
    const struct row *row;
    unsigned nth;
    char dir[128], cut[128];
    struct store *s;
    struct model m;             /* of what was answered 0 */
    bool done[WORK];
    struct moment hit;          /* after the first operation that met the fault */
    uint32_t doubt;             /* the operation that the store broke over; WORK: none */
    struct model_why why;
};

static _Atomic bool broken;
static void on_broken(void *arg, const struct fail *f) { broken = true; }

static int wrong(struct run *x, const char *what, uint32_t i, const char *more)
{
    snprintf(x->why.text, sizeof x->why.text, "%s, operation %u: %.200s", what, i, more);
    return -1;
}

static void make_ops(struct ops *o)
{
    for (uint32_t i = 0; i < WORK; i++) {
        struct op *op = &o->v[i];
        *op = (struct op){.kind = workload[i].kind, .id = rand_op_id(), .n = workload[i].n, .len = workload[i].len, .text = i + 1,
            .mailbox = 1, .first = workload[i].first, .last = workload[i].last, .flags = FLAG_SEEN};
        for (uint32_t t = 0; t < op->n; t++)
            op->account[t] = 1 + t;
        if (op->kind > OPS_SPOOLED)
            op->n = 0;
    }
    o->n = WORK;
}

/* ---- a run ---- */

static int open_it(struct run *x, const char *dir)
{
    struct fail f = {0};
    broken = false;
    x->s = ops_open(dir, &f);
    if (x->s == NULL) /* refused, with a reason; once the fault is over it must work */
        return f.kind == FAIL_NONE ? wrong(x, "opening", 0, "no reason") : -1;
    store_on_broken(x->s, on_broken, NULL);
    return 0;
}

static void close_it(struct run *x)
{
    store_close(x->s);
    x->s = NULL;
}

static int apply(struct run *x, uint32_t i, const struct op *op)
{
    struct model_why w;
    x->done[i] = true;
    x->r.ops->v[i] = *op;
    return model_apply(&x->m, i, op, &w) == 0 ? 0 : wrong(x, "answer", i, w.text);
}

static int step(struct run *x, uint32_t i)
{
    struct op op = x->r.ops->v[i];
    bool was = broken;
    op.result = 1;
    op.repeated = false;
    ops_do(x->r.ops, i, &op, x->s, false);
    if (op.result == 0)
        return was ? wrong(x, "after the store broke", i, "answered 0") : apply(x, i, &op);
    if (op.code[0] != '4' && !(op.kind > OPS_SPOOLED && x->m.a[0].mailbox == 0)) /* no mailbox yet: its message was refused */
        return wrong(x, "refused for good", i, op.code);
    if (!was && broken)
        x->doubt = i;
    if (x->row->space && broken)
        return wrong(x, "a full disk broke the store", i, op.code);
    return 0;
}

static int compare(struct run *x, const char *when)
{
    struct model_why w = {.depth = 0};
    if (model_compare(&x->m, x->r.ops, x->s, &w) == 0)
        return 0;
    snprintf(x->why.text, sizeof x->why.text, "%s: %.240s", when, w.text);
    return -1;
}

/* What was not done is repeated now that nothing fails. The one in doubt: done already, or not. */
static int finish(struct run *x, const char *when)
{
    if (compare(x, when) != 0) {
        if (x->doubt == WORK)
            return -1;
        struct op op = x->r.ops->v[x->doubt];
        ops_do(x->r.ops, x->doubt, &op, x->s, false);
        if (op.result != 0 || (op.kind <= OPS_SPOOLED && !op.repeated))
            return -1;
        if (apply(x, x->doubt, &op) != 0 || compare(x, when) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < WORK; i++) {
        struct op op = x->r.ops->v[i];
        if (x->done[i])
            continue;
        op.result = 1;
        ops_do(x->r.ops, i, &op, x->s, false);
        if (op.result != 0)
            return wrong(x, "once nothing fails", i, op.code);
        if (apply(x, i, &op) != 0)
            return -1;
    }
    return compare(x, "once nothing fails") == 0 ? cut_verify(x->s, &x->why) : -1;
}

static void take_moment(const struct run *x, struct moment *m)
{
    *m = (struct moment){.taken = true, .at = shim_moment()};
    model_copy(&m->m, &x->m);
    memcpy(m->done, x->done, sizeof m->done);
}

/* It is made by a thread that a quick load can outrun. */
static void await_ahead(struct run *x)
{
    char path[160];
    snprintf(path, sizeof path, "%s/ahead", x->dir);
    for (int i = 0; i < 100 && access(path, F_OK) != 0 && !shim_hit(); i++)
        usleep(1000);
}

static int workload_run(struct run *x)
{
    int rc = 0;
    for (uint32_t i = 0; i < WORK && rc == 0; i++) {
        if (i == REOPEN_AT && broken)
            return 0;
        if (i == REOPEN_AT && x->s != NULL)
            close_it(x);
        if (i == REOPEN_AT && broken) /* over what it still had to write: nothing may follow that */
            return 0;
        if (x->s == NULL && open_it(x, x->dir) != 0)
            return x->why.text[0] != 0 ? -1 : 0; /* what was done so far must be there, the rest comes later */
        rc = step(x, i);
        if (!x->hit.taken && shim_hit())
            take_moment(x, &x->hit);
        if (x->row->call == SHIM_CALL_RENAME && i == 1)
            await_ahead(x);
    }
    return rc;
}

/* What a power cut may have left at the moment. On copies of all: the run goes on afterwards. */
static int check_cut(struct run *x, const struct moment *m)
{
    struct run c = {.r = {.ops = ops_new()}, .row = x->row, .nth = x->nth, .doubt = x->doubt};
    struct disk d;
    uint64_t seed = rand_u64();
    model_copy(&c.m, &m->m);
    memcpy(c.done, m->done, sizeof c.done);
    memcpy(c.r.ops->v, x->r.ops->v, WORK * sizeof *c.r.ops->v);
    c.r.ops->n = WORK;
    disk_start(&d, &x->r.trace);
    disk_advance(&d, m->at, seed);
    disk_build(&d, seed, x->cut);
    disk_free(&d);
    int rc = open_it(&c, x->cut);
    if (rc != 0)
        wrong(&c, "after a power cut as well", 0, "the store does not open");
    if (rc == 0)
        rc = finish(&c, "after a power cut as well");
    close_it(&c);
    cut_remove(x->cut);
    model_free(&c.m);
    ops_free(c.r.ops);
    x->why = c.why;
    return rc;
}

static bool was_hit;

static bool is_sync(enum shim_call c) { return c == SHIM_CALL_FDATASYNC || c == SHIM_CALL_FSYNC || c == SHIM_CALL_DB_SYNC; }

static int one(struct run *x)
{
    bool sticky = x->row->err == ENOSPC && x->row->space && x->nth % 2 == 0;
    x->doubt = WORK;
    memset(x->done, 0, sizeof x->done);
    if (mkdir(x->dir, 0700) != 0)
        base_die("faults: mkdir");
    trace_start(&x->r.trace, x->dir);
    shim_record(&x->r.trace, x->dir, SHIM_BREAK_NONE);
    shim_fault(x->row->call, x->nth, x->row->err, sticky);
    int rc = workload_run(x);
    was_hit = shim_hit();
    bool down = broken || x->s == NULL;
    struct moment end;
    take_moment(x, &end);
    if (down) /* the role ends and starts again */
        close_it(x);
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    shim_fault(x->row->call, 0, 0, false);
    if (rc == 0 && down)
        rc = check_cut(x, &end);
    if (rc == 0 && !down && x->hit.taken && is_sync(x->row->call))
        rc = check_cut(x, &x->hit);
    model_free(&end.m);
    model_free(&x->hit.m);
    if (rc == 0 && down && open_it(x, x->dir) != 0)
        rc = wrong(x, "afterwards", 0, "the store does not open");
    return rc;
}

/* 0 passed, -1 not; *hit: the call came at all. */
static int one_and_after(struct ops *ops, const struct row *row, unsigned nth, bool *hit)
{
    struct run x = {.r = {.ops = ops}, .row = row, .nth = nth};
    snprintf(x.dir, sizeof x.dir, "%s/store", room);
    snprintf(x.cut, sizeof x.cut, "%s/cut", room);
    make_ops(ops);
    int rc = one(&x);
    *hit = was_hit;
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    shim_fault(row->call, 0, 0, false);
    if (rc == 0)
        rc = finish(&x, "afterwards");
    close_it(&x);
    if (rc == 0 && open_it(&x, x.dir) != 0)
        rc = wrong(&x, "at the end", 0, "the store does not open");
    if (rc == 0)
        rc = compare(&x, "at the end");
    close_it(&x);
    cut_remove(x.dir);
    trace_free(&x.r.trace);
    model_free(&x.m);
    if (rc != 0)
        printf("FAILED: %s %u, errno %d: %s\n", shim_call_text[row->call], nth, row->err, x.why.text);
    return rc;
}

static bool all;

static unsigned one_row(struct ops *ops, const struct row *row, unsigned *failed)
{
    unsigned nth = 1, bad = 0, done = 0;
    for (bool hit = true; nth < EVERY_MOST && bad < 5; done++) {
        bad += one_and_after(ops, row, nth, &hit) != 0;
        if (!hit)
            break;
        /* where there are many: about one in so many, others each time */
        unsigned about = all ? 1 : row->call == SHIM_CALL_DB_WRITE ? WRITES_ABOUT : row->call == SHIM_CALL_DB_READ ? READS_ABOUT : 1;
        nth += 1 + (unsigned)rand_below(2 * about - 1);
    }
    printf("%-12s errno %2d: %u faults\n", shim_call_text[row->call], row->err, done);
    *failed += bad;
    return done;
}

int main(int argc, char **argv)
{
    unsigned faults = 0, failed = 0, empty = 0;
    uint64_t only = SHIM_CALL_COUNT;
    const char *how = getenv("POSTEL_CHECK_ALL");
    all = how != NULL && span_eq(span_z(how), SPAN("yes"));
    log_setup("faults", LOG_ERROR + 1);
    if (argc > 1 && num_u64(span_z(argv[1]), SHIM_CALL_COUNT, &only) != 0)
        base_die("faults: [CALL]");
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(room, sizeof room, "%s/faults.XXXXXX", base);
    if (mkdtemp(room) == NULL)
        base_die("faults: no room");
    shim_install();
    shim_quick(true);
    struct ops *ops = ops_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (only != SHIM_CALL_COUNT && rows[i].call != only)
            continue;
        unsigned n = one_row(ops, &rows[i], &failed);
        faults += n;
        empty += n == 0;
    }
    ops_free(ops);
    cut_remove(room);
    printf("%u faults at calls of a small load; %u answered or kept wrongly; %u kinds never met\n", faults, failed, empty);
    return failed != 0 || empty != 0;
}
