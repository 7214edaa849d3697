/* powercut: records a store under load, cuts the power at random moments, recovers and compares.
 *
 *     powercut [--cuts N] [--seed N] [--break N]     200 cuts (5,000 with POSTEL_CHECK_ALL=yes), then each way to break it
 *     powercut --repeat FILE                         a cut that failed, once more
 *
 * Doc: doc/decisions, power-cut simulator. Ends with one line that says how many cuts there were and 0, or 1.
 */
#include "base/log.h"
#include "base/num.h"
#include "cut.h"

#include <sys/stat.h>

enum {
    CUTS = 200, CUTS_ALL = 5000,
    CUTS_EACH = 25,             /* of one recording */
    ROUNDS_EACH = 45,
    GENERATIONS = 4,            /* a store that was cut goes on under load and is cut again */
    CATCH_WITHIN = 400,         /* cuts, for a store broken on purpose */
};

static char room[64];           /* all files are beneath it */

static const char *in_room(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", room, name);
    return out;
}

static int by_moment(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void tell(const struct recording *r, const struct cut *c, uint64_t seed, const struct cut_why *why)
{
    char path[128];
    snprintf(path, sizeof path, "/tmp/powercut-%llx-%zu.rec", (unsigned long long)seed, c->at);
    printf("FAILED: seed %llu, cut before event %zu of %zu, fates %llu: %s\n", (unsigned long long)seed, c->at,
           r->trace.events.n, (unsigned long long)c->seed, why->text);
    if (cut_save(r, c, path) == 0)
        printf("repeat it with: powercut --repeat %s\n", path);
}

/* Any moment; or one right behind a sync, or a change of names: what matters most is what is on disk there, and what not
 * yet. */
static size_t moment(const struct trace *t, struct disk_rand *r)
{
    static const unsigned behind[] = {0, 0, 1 << TRACE_SYNC | 1 << TRACE_DIRSYNC, 1 << TRACE_SYNC | 1 << TRACE_DIRSYNC,
                                      1 << TRACE_CREATE | 1 << TRACE_RENAME | 1 << TRACE_UNLINK};
    size_t at = disk_below(r, t->events.n + 1);
    unsigned kinds = behind[disk_below(r, COUNT_OF(behind))];
    if (kinds == 0)
        return at;
    while (at < t->events.n && (1u << t->events.v[at].kind & kinds) == 0)
        at++;
    return MIN_OF(at + 1, t->events.n);
}

/* Cuts of one recording, in their order. Returns how many passed before the first that did not; *next: files and
 * contents after the last one, for another generation. */
static unsigned cut_all(struct recording *r, uint64_t seed, unsigned n, bool quiet, const char *next, struct model_world *now,
                        struct cut_why *why)
{
    struct cut cuts[CUTS_EACH];
    struct disk_rand rnd = {seed};
    struct disk d;
    char dir[128];
    unsigned passed = 0;
    for (unsigned i = 0; i < n; i++)
        cuts[i] = (struct cut){moment(&r->trace, &rnd), disk_random(&rnd)};
    unsigned keep = (unsigned)disk_below(&rnd, n);
    qsort(cuts, n, sizeof *cuts, by_moment);
    disk_start(&d, &r->trace);
    for (; passed < n; passed++) {
        const struct cut *c = &cuts[passed];
        disk_advance(&d, c->at, c->seed);
        disk_build(&d, c->seed, in_room(dir, "cut"));
        int rc = cut_check(r, c, dir, quiet, next != NULL && passed == keep ? now : NULL, why);
        cut_remove(dir);
        if (rc != 0 && !quiet)
            tell(r, c, seed, why);
        if (rc != 0)
            break;
        if (next != NULL && passed == keep)
            disk_build(&d, c->seed, next);
    }
    disk_free(&d);
    return passed;
}

/* That the load did what it is for: a simulator in which nothing happens finds nothing. */
static struct { unsigned segments, swept, big, checkpoints, acked; } tally;

static uint32_t index_of(const struct trace *t)
{
    for (size_t i = 0; i < t->now.n; i++)
        if (span_eq(span_z(t->now.v[i].name), SPAN("index.db")))
            return t->now.v[i].file;
    return UINT32_MAX;
}

static void tally_up(const struct trace *t)
{
    uint32_t index = index_of(t);
    for (size_t i = 0; i < t->events.n; i++) {
        const struct trace_event *e = &t->events.v[i];
        bool segment = span_starts(span_z(e->kind == TRACE_RENAME ? e->to : e->name), SPAN("seg-"));
        tally.segments += segment && e->kind == TRACE_RENAME;
        tally.swept += segment && e->kind == TRACE_UNLINK;
        tally.big += e->kind == TRACE_CREATE && e->dir == TRACE_BIG;
        tally.acked += e->kind == TRACE_ACK;
        tally.checkpoints += e->kind == TRACE_SYNC && e->file == index;
    }
}

/* A store from its first day, loaded and cut some times. Returns the cuts that passed; fewer than n: one failed. */
static unsigned life(enum shim_break broken, uint64_t seed, unsigned n, bool quiet, struct cut_why *why)
{
    static struct recording r; /* big, as worlds are */
    static struct model_world now;
    char dir[128], next[128];
    unsigned passed = 0;
    in_room(dir, "store");
    in_room(next, "next");
    cut_world(&r.base);
    if (mkdir(dir, 0700) != 0)
        base_die("powercut: mkdir");
    for (unsigned g = 0; g < GENERATIONS && passed < n; g++) {
        unsigned some = MIN_OF(n - passed, (unsigned)CUTS_EACH);
        uint64_t s = seed * 1000 + g;
        cut_record(&r, dir, broken, ROUNDS_EACH, s);
        tally_up(&r.trace);
        cut_remove(dir);
        unsigned good = cut_all(&r, s, some, quiet, dir, &now, why);
        cut_done(&r);
        passed += good;
        if (good < some)
            break;
        cut_world_copy(&r.base, &now);
    }
    cut_remove(dir);
    cut_world_free(&r.base);
    return passed;
}

static int break_it(enum shim_break broken, uint64_t seed)
{
    struct cut_why why = {0};
    unsigned n = 0;
    for (unsigned i = 0; n < CATCH_WITHIN; i++) {
        unsigned good = life(broken, seed + i, CUTS_EACH * GENERATIONS, true, &why);
        n += good;
        if (good == CUTS_EACH * GENERATIONS)
            continue;
        printf("caught at cut %u: %s (%s)\n", n + 1, shim_break_text[broken], why.text);
        return 0;
    }
    printf("FAILED: not caught within %u cuts: %s\n", n, shim_break_text[broken]);
    return -1;
}

static int repeat(const char *path)
{
    static struct recording r;
    struct cut c;
    struct disk d;
    struct cut_why why = {0};
    char dir[128];
    if (cut_load(&r, &c, path) != 0) {
        fprintf(stderr, "powercut: cannot read %s\n", path);
        return 1;
    }
    if (r.began_ms > clock_now_ms()) /* the clock of that run was ahead, by hours */
        drive_pass(1 + (r.began_ms - clock_now_ms()) / 3600000);
    for (size_t i = 0; i < r.ops.n; i++)
        if ((int)r.ops.v[i].q.id == MODEL_AGE)
            drive_pass(r.ops.v[i].q.hours);
    disk_start(&d, &r.trace);
    disk_advance(&d, c.at, c.seed);
    disk_build(&d, c.seed, in_room(dir, "cut"));
    if (getenv("POSTEL_POWERCUT_LOG") != NULL)
        log_setup("powercut", LOG_DEBUG);
    char again[128];
    disk_build(&d, c.seed, in_room(again, "before"));
    int rc = cut_check(&r, &c, dir, false, NULL, &why);
    printf("cut before event %zu of %zu: %s\n", c.at, r.trace.events.n, rc == 0 ? "all is there" : why.text);
    printf("its files: %s, as recovery left them: %s\n", again, dir);
    disk_free(&d);
    cut_done(&r);
    cut_world_free(&r.base);
    return rc != 0;
}

static uint64_t number(const char *s)
{
    uint64_t v = 0;
    if (s == NULL || num_u64(span_z(s), UINT64_MAX, &v) != 0)
        base_die("powercut: a number is missing");
    return v;
}

static int run(uint64_t cuts, uint64_t seed, uint64_t only)
{
    struct cut_why why = {0};
    unsigned done = 0, caught = 0, failed = 0, breaks = 0;
    for (uint64_t i = 0; done < cuts && failed == 0; i++) {
        unsigned n = (unsigned)MIN_OF(cuts - done, (uint64_t)CUTS_EACH * GENERATIONS), good = life(SHIM_BREAK_NONE, seed + i, n, false, &why);
        done += good;
        failed += good < n;
    }
    for (unsigned b = 1; b < SHIM_BREAK_COUNT; b++) {
        if (only != 0 && only != b)
            continue;
        breaks++;
        caught += break_it((enum shim_break)b, seed + 1000) == 0;
    }
    printf("%u operations, %u segments, %u of them swept, %u big files, %u syncs of the index\n", tally.acked, tally.segments,
           tally.swept, tally.big, tally.checkpoints);
    printf("%u power cuts, %u lost something; %u of %u broken stores caught\n", done + failed, failed, caught, breaks);
    if (tally.segments == 0 || tally.swept == 0 || tally.big == 0 || tally.checkpoints == 0)
        printf("FAILED: the load left something out\n");
    return failed != 0 || tally.segments == 0 || tally.swept == 0 || tally.big == 0 || tally.checkpoints == 0 || caught != breaks;
}

int main(int argc, char **argv)
{
    const char *all = getenv("POSTEL_CHECK_ALL"), *again = NULL;
    uint64_t cuts = all != NULL && span_eq(span_z(all), SPAN("yes")) ? CUTS_ALL : CUTS, seed = rand_u64() % 1000000, only = 0;
    log_setup("powercut", LOG_ERROR + 1);
    for (int i = 1; i < argc; i++) {
        struct span a = span_z(argv[i]);
        const char *value = argv[i + 1];
        if (span_eq(a, SPAN("--cuts")))
            cuts = number(value), i++;
        else if (span_eq(a, SPAN("--seed")))
            seed = number(value), i++;
        else if (span_eq(a, SPAN("--break")))
            only = number(value), i++;
        else if (span_eq(a, SPAN("--repeat")))
            again = value, i++;
        else
            base_die("powercut: [--cuts N] [--seed N] [--break N] [--repeat FILE]");
    }
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(room, sizeof room, "%s/powercut.XXXXXX", base);
    if (mkdtemp(room) == NULL)
        base_die("powercut: no room");
    shim_install();
    drive_setup();
    int rc = again != NULL ? repeat(again) : run(cuts, seed, only);
    if (again == NULL)
        cut_remove(room);
    return rc;
}
