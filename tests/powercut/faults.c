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

enum { EVERY_MOST = 1000, WRITES_ABOUT = 24, READS_ABOUT = 8, OTHERS_ABOUT = 2 };

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

/* Each names what those before it have made; where that was refused, it is refused as well, and the model knows. */
enum { WORK = 30, REOPEN_AT = 12 };

static struct { uint64_t inbox, box, gone, upload; } made;

static struct model_request arrival(uint32_t length, uint32_t targets)
{
    struct model_request q = {.id = MSG_ID_ingest, .length = length, .n_targets = targets};
    for (uint32_t t = 0; t < targets; t++)
        q.targets[t] = (struct model_target){.account = t};
    return q;
}

static struct model_request append(uint64_t mailbox, uint32_t length, uint64_t upload)
{
    return (struct model_request){.id = MSG_ID_append, .mailbox = mailbox, .length = length, .upload = upload, .keywords = 3};
}

static struct model_request about(enum msg_id id, uint64_t mailbox, uint64_t first, uint64_t last)
{
    return (struct model_request){.id = id, .mailbox = mailbox, .n_ranges = 1, .ranges = {{first, last}}, .flags = FLAG_SEEN};
}

static struct model_request transfer(uint64_t from, uint64_t to, uint32_t move, uint64_t first, uint64_t last)
{
    struct model_request q = about(MSG_ID_copy, from, first, last);
    q.to = to, q.move = move, q.flags = 0;
    return q;
}

static struct model_request mailbox(enum msg_id id, uint64_t box, const char *name)
{
    struct model_request q = {.id = id, .mailbox = box, .what = MAILBOX_SET_NAME, .flags = MAILBOX_REMOVE_MESSAGES, .subscribed = 1};
    snprintf(q.name, sizeof q.name, "%s", name);
    return q;
}

static struct model_request value(uint32_t length, int64_t hours, uint32_t remove)
{
    struct model_request q = {.id = MSG_ID_kv_set, .length = length, .hours = hours, .what = remove, .name = "key1"};
    return q;
}

static struct model_request expunge(uint64_t box, uint64_t first, uint64_t last)
{
    struct model_request q = about(MSG_ID_expunge, box, first, last);
    q.flags = 0;
    return q;
}

static struct model_request spooled(struct model_request q)
{
    q.spool = true;
    return q;
}

static struct model_request work(uint32_t i)
{
    switch (i) {
    case 0: return arrival(300, 1);
    case 1: return arrival(14000, 3);
    case 2: return arrival(20000, 1);
    case 3: return spooled(arrival(40000, 1));
    case 4: return mailbox(MSG_ID_mailbox_create, 0, "Work");
    case 5: return append(made.box, 5000, 0);
    case 6: return (struct model_request){.id = MSG_ID_blob_put, .length = 30000};
    case 7: return append(made.box, 0, made.upload);
    case 8: return about(MSG_ID_flags_set, made.inbox, 1, 3);
    case 9: return transfer(made.inbox, made.box, 0, 1, 2);
    case 10: return transfer(made.inbox, made.box, 1, 3, 4);
    case 11: return value(700, 0, 0);
    case 12: return mailbox(MSG_ID_mailbox_create, 0, "Gone"); /* after a reopening */
    case 13: return spooled(arrival(1100000, 2));
    case 14: return transfer(made.box, made.gone, 0, 1, 3);
    case 15: return mailbox(MSG_ID_mailbox_set, made.box, "Play");
    case 16: return spooled(append(made.gone, 50000, 0));
    case 17: return (struct model_request){.id = MSG_ID_quota_set, .limit_bytes = -1, .limit_messages = 5000};
    case 18: return mailbox(MSG_ID_mailbox_set, made.inbox, "Old"); /* INBOX: its messages move */
    case 19: return mailbox(MSG_ID_mailbox_remove, made.gone, "");
    case 20: return expunge(made.box, 2, 3);
    case 21: case 22: case 23: case 24: case 25: return arrival(15000, 1); /* into another segment */
    case 26: return expunge(made.inbox, 1, 40); /* which leaves one to be swept */
    case 27: return value(0, 0, 1);
    case 28: return made.inbox != 1000 ? (struct model_request){.id = MSG_ID_recount} : arrival(400, 1);
    default: return arrival(500, 1);
    }
}

static char room[64];

/* What was answered at a moment, to be compared with what a power cut then may have left. */
struct moment { bool taken; size_t at; struct model_world w; bool done[WORK]; };

struct run {
    struct trace trace;
    const struct row *row;
    unsigned nth;
    char dir[128], cut[128];
    struct op_id id[WORK];
    struct drive d;             /* d.world: of what was answered 0 */
    bool done[WORK];
    struct moment hit, end;     /* after the first operation that met the fault; when the store was given up */
    uint32_t doubt;             /* the operation that the store broke over; WORK: none */
    struct cut_why why;
};

/* Big, as worlds are. cuts: of what a power cut left, beside the run itself. */
static struct run runs, cuts;

static _Atomic bool broken;
static void on_broken(void *arg, const struct fail *f) { broken = true; }

static int wrong(struct run *x, const char *what, uint32_t i, const char *more)
{
    snprintf(x->why.text, sizeof x->why.text, "%s, operation %u: %.300s", what, i, more);
    return -1;
}

/* ---- a run ---- */

static int open_it(struct run *x, const char *dir)
{
    struct fail f = {0};
    broken = false;
    x->d.store = cut_open(dir, &f);
    if (x->d.store == NULL) /* refused, with a reason; once the fault is over it must work */
        return f.kind == FAIL_NONE ? wrong(x, "opening", 0, "no reason") : -1;
    store_on_broken(x->d.store, on_broken, NULL);
    return 0;
}

static void close_it(struct run *x)
{
    store_close(x->d.store);
    x->d.store = NULL;
}

/* What it made, for those that follow. */
static void learn(struct model_world *w)
{
    struct model_account *a = &w->accounts[0];
    const struct model_box *inbox = model_box(a, 0);
    made.box = made.gone = made.inbox = 1000; /* none */
    if (inbox != NULL)
        made.inbox = inbox->id;
    for (size_t i = 0; i < a->n_boxes; i++) {
        if (strcmp(a->boxes[i].name, "Work") == 0 || strcmp(a->boxes[i].name, "Play") == 0)
            made.box = a->boxes[i].id;
        if (strcmp(a->boxes[i].name, "Gone") == 0)
            made.gone = a->boxes[i].id;
    }
    made.upload = a->n_uploads > 0 ? a->uploads[0].blob : 0;
}

/* Does operation i, once more perhaps. 0: done; 1: refused for the fault's sake; -1: wrong. */
static int step(struct run *x, uint32_t i, bool again)
{
    static struct model_answer want;
    struct drive_slot *slot = &x->d.slots[0];
    bool was = broken;
    learn(&x->d.world);
    x->d.n = 1;
    slot->q = work(i);
    slot->q.op = x->id[i];
    slot->q.seed = i + 1;
    slot->q.internal_ms = 1700000000000 + i;
    drive_round(&x->d);
    x->d.round_began_ms = 0; /* what it made is looked at later */
    if (!was && broken)
        x->doubt = i;
    if (x->row->space && broken)
        return wrong(x, "a full disk broke the store", i, slot->got.code);
    if (slot->got.ok == 0 && slot->got.code[0] == '4')
        return 1;
    if (was)
        return wrong(x, "after the store broke", i, "answered");
    if (again) /* it may have been in the store; as an answer that counts for nothing */
        slot->got.repeated = 0;
    model_apply(&x->d.world, &slot->q, &slot->got, &want);
    if (want.uidvalidity == 0)
        want.uidvalidity = slot->got.uidvalidity;
    if (!drive_same(&want, &slot->got)) {
        snprintf(x->why.text, sizeof x->why.text, "operation %u: answered ok %d '%s' modseq %llu uid %llu count %llu, not %d '%s' %llu %llu %llu", i,
                 (int)slot->got.ok, slot->got.code, (unsigned long long)slot->got.modseq, (unsigned long long)slot->got.uid,
                 (unsigned long long)slot->got.count, (int)want.ok, want.code, (unsigned long long)want.modseq,
                 (unsigned long long)want.uid, (unsigned long long)want.count);
        return -1;
    }
    if (slot->got.ok != 0)
        model_remember(&x->d.world, &slot->q, &slot->got);
    x->done[i] = true;
    if (!broken)
        drive_threads(&x->d);
    return 0;
}

static int compare(struct run *x, const char *when) { return cut_compare(&x->d, when, &x->why); }

/* What was not done is repeated now that nothing fails. The one in doubt: done already, or not. */
static int finish(struct run *x, const char *when)
{
    if (x->doubt != WORK && !x->done[x->doubt]) {
        if (step(x, x->doubt, true) != 0)
            return x->why.text[0] != 0 ? -1 : wrong(x, "once more", x->doubt, x->d.slots[0].got.code);
    }
    if (compare(x, when) != 0)
        return -1;
    for (uint32_t i = 0; i < WORK; i++)
        if (!x->done[i] && step(x, i, false) != 0)
            return x->why.text[0] != 0 ? -1 : wrong(x, "once nothing fails", i, x->d.slots[0].got.code);
    return compare(x, "once nothing fails") == 0 ? cut_verify(x->d.store, &x->why) : -1;
}

static void take_moment(const struct run *x, struct moment *m)
{
    m->taken = true;
    m->at = shim_moment();
    cut_world_copy(&m->w, &x->d.world);
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
        if (i == REOPEN_AT && x->d.store != NULL)
            close_it(x); /* it may break over what it still has to write: the next process goes on all the same */
        if (x->d.store == NULL && open_it(x, x->dir) != 0)
            return x->why.text[0] != 0 ? -1 : 0; /* what was done so far must be there, the rest comes later */
        rc = MIN_OF(step(x, i, false), 0);
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
    struct run *c = &cuts;
    struct disk d;
    uint64_t seed = rand_u64();
    c->row = x->row, c->nth = x->nth, c->doubt = x->doubt, c->why.text[0] = 0;
    memcpy(c->id, x->id, sizeof c->id);
    memcpy(c->done, m->done, sizeof c->done);
    drive_start(&c->d, seed);
    c->d.quiet = true;
    cut_world_copy(&c->d.world, &m->w);
    disk_start(&d, &x->trace);
    disk_advance(&d, m->at, seed);
    disk_build(&d, seed, x->cut);
    disk_free(&d);
    int rc = open_it(c, x->cut);
    if (rc != 0)
        wrong(c, "after a power cut as well", 0, "the store does not open");
    if (rc == 0)
        rc = finish(c, "after a power cut as well");
    close_it(c);
    cut_remove(x->cut);
    x->why = c->why;
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
    trace_start(&x->trace, x->dir);
    shim_record(&x->trace, x->dir, SHIM_BREAK_NONE);
    shim_fault(x->row->call, x->nth, x->row->err, sticky);
    int rc = workload_run(x);
    was_hit = shim_hit();
    bool down = broken || x->d.store == NULL;
    take_moment(x, &x->end);
    if (down) /* the role ends and starts again */
        close_it(x);
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    shim_fault(x->row->call, 0, 0, false);
    if (rc == 0 && down)
        rc = check_cut(x, &x->end);
    if (rc == 0 && !down && x->hit.taken && is_sync(x->row->call))
        rc = check_cut(x, &x->hit);
    if (rc == 0 && down && open_it(x, x->dir) != 0)
        rc = wrong(x, "afterwards", 0, "the store does not open");
    return rc;
}

/* 0 passed, -1 not; *hit: the call came at all. */
static int one_and_after(const struct row *row, unsigned nth, bool *hit)
{
    struct run *x = &runs;
    x->row = row, x->nth = nth, x->hit.taken = false, x->why.text[0] = 0;
    snprintf(x->dir, sizeof x->dir, "%s/store", room);
    snprintf(x->cut, sizeof x->cut, "%s/cut", room);
    for (uint32_t i = 0; i < WORK; i++)
        x->id[i] = rand_op_id();
    drive_start(&x->d, nth);
    x->d.quiet = true;
    x->d.round_began_ms = 0;
    cut_world(&x->d.world);
    int rc = one(x);
    *hit = was_hit;
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    shim_fault(row->call, 0, 0, false);
    if (rc == 0)
        rc = finish(x, "afterwards");
    close_it(x);
    if (rc == 0 && open_it(x, x->dir) != 0)
        rc = wrong(x, "at the end", 0, "the store does not open");
    if (rc == 0)
        rc = compare(x, "at the end");
    close_it(x);
    cut_remove(x->dir);
    trace_free(&x->trace);
    if (rc != 0)
        printf("FAILED: %s %u, errno %d: %s\n", shim_call_text[row->call], nth, row->err, x->why.text);
    return rc;
}

static bool all;

static unsigned one_row(const struct row *row, unsigned *failed)
{
    unsigned nth = 1, bad = 0, done = 0;
    for (bool hit = true; nth < EVERY_MOST && bad < 5; done++) {
        bad += one_and_after(row, nth, &hit) != 0;
        if (!hit)
            break;
        /* where there are many: about one in so many, others each time */
        unsigned about = all ? 1 : row->call == SHIM_CALL_DB_WRITE ? WRITES_ABOUT : row->call == SHIM_CALL_DB_READ ? READS_ABOUT : OTHERS_ABOUT;
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
    drive_setup();
    shim_quick(true);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (only != SHIM_CALL_COUNT && rows[i].call != only)
            continue;
        unsigned n = one_row(&rows[i], &failed);
        faults += n;
        empty += n == 0;
    }
    cut_remove(room);
    printf("%u faults at calls of a small load; %u answered or kept wrongly; %u kinds never met\n", faults, failed, empty);
    return failed != 0 || empty != 0;
}
