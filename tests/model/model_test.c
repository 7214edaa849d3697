/* model_test: random operations of several sessions on the store and on the model, compared after each round.
 *
 *     model_test [OPERATIONS] [SEED]       10,000 operations, a new seed. A seed given: no threads, so that it repeats.
 *
 * A round is up to six operations at once. The store may put them in any order; the modseqs and uids it answers with say
 * in which: here an order is looked for in which the model answers the same. */
#include "drive.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/str.h"

#include <ftw.h>
#include <stdarg.h>

enum { NOTES = 60, NOTE_BYTES = 500 };
static char notes[NOTES][NOTE_BYTES];
static size_t n_notes;
static struct drive drive;
static const struct drive_mix mix = {.most = {300, 300, 300, 70000}, .spooled = 12, .huge = 500, .steps = true, .ages = 400};

/* A line for fail(). */
static void note(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(notes[n_notes++ % NOTES], NOTE_BYTES, fmt, ap);
    va_end(ap);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

/* Prints the seed, what was done last and why; ends the program. */
_Noreturn static void fail(struct drive *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
_Noreturn static void fail(struct drive *d, const char *fmt, ...)
{
    va_list ap;
    for (size_t i = n_notes > NOTES ? n_notes - NOTES : 0; i < n_notes; i++)
        fprintf(stderr, "%s\n", notes[i % NOTES]);
    fprintf(stderr, "FAILED in round %llu, after %llu operations; seed %llu%s:\n  ", (unsigned long long)d->rounds,
            (unsigned long long)d->operations, (unsigned long long)d->seed, d->in_turn ? " without threads" : "");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nagain: model_test %llu %llu\n", (unsigned long long)(d->operations + 100),
            (unsigned long long)d->seed);
    nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    exit(1);
}

static void note_operation(struct drive *d, const struct drive_slot *x)
{
    static const char *const kinds[MSG_ID_COUNT] = {
        [MSG_ID_ingest] = "ingest", [MSG_ID_append] = "append", [MSG_ID_flags_set] = "flags", [MSG_ID_expunge] = "expunge",
        [MSG_ID_copy] = "copy", [MSG_ID_mailbox_create] = "create", [MSG_ID_mailbox_set] = "set",
        [MSG_ID_mailbox_remove] = "remove", [MSG_ID_recount] = "recount", [MSG_ID_quota_set] = "quota",
        [MSG_ID_account_gone] = "account_gone", [MSG_ID_blob_put] = "blob_put", [MSG_ID_kv_set] = "kv_set"};
    const struct model_request *q = &x->q;
    const struct model_answer *g = &x->got;
    char ranges[120] = "";
    for (uint32_t i = 0, at = 0; i < q->n_ranges && at < sizeof ranges; i++)
        at += (uint32_t)snprintf(ranges + at, sizeof ranges - at, " %llu:%llu", (unsigned long long)q->ranges[i].first,
                                 (unsigned long long)q->ranges[i].last);
    note("  %llu %s account %llu op ..%02x%02x mailbox %llu to %llu%s move %u flags %u keywords %u mode %u since %llu"
               " what %u upload %llu step %u hours %lld parent %llu name '%s' role %u -> %s modseq %llu mailbox %llu uid %llu eid %llu count %llu first %llu/%llu",
               (unsigned long long)d->rounds, (int)q->id == MODEL_AGE ? "age" : kinds[q->id], (unsigned long long)d->world.accounts[q->account].number,
               q->op.b[6], q->op.b[7], (unsigned long long)q->mailbox, (unsigned long long)q->to, ranges, q->move, q->flags,
               q->keywords, q->mode, (unsigned long long)q->unchangedsince, q->what, (unsigned long long)q->upload, q->step, (long long)q->hours, (unsigned long long)q->parent, q->name,
               q->role, g->ok ? "ok" : g->code, (unsigned long long)g->modseq, (unsigned long long)g->mailbox,
               (unsigned long long)g->uid, (unsigned long long)g->eid, (unsigned long long)g->count,
               (unsigned long long)g->results[0].modseq, (unsigned long long)g->results[0].uid);
}

static void open_store(struct drive *d)
{
    struct store_options opt = {.segment_bytes = 1 << 20, .big_bytes = 64 * 1024};
    struct fail f = {0};
    d->store = store_open(d->dir, &opt, &f);
    if (d->store == NULL)
        fail(d, "store_open: %s", f.text);
}

/* ---- a round ---- */

static void must(struct drive *d, int rc)
{
    if (rc != 0)
        fail(d, "%s", d->why);
}

static void explain(struct drive *d)
{
    size_t order[DRIVE_ROUND], found;
    if (drive_explain(d, order, &found) == 0)
        return;
    note("  not explained:");
    for (size_t i = found; i < d->n; i++)
        note_operation(d, &d->slots[order[i]]);
    fail(d, "no order explains the answers of the last %zu operations", d->n - found);
}

static void play_round(struct drive *d)
{
    bool touched[MODEL_ACCOUNTS] = {false};
    drive_random(d);
    drive_round(d);
    d->rounds++;
    d->operations += d->n;
    for (size_t i = 0; i < d->n; i++)
        note_operation(d, &d->slots[i]);
    explain(d);
    for (size_t i = 0; i < d->n; i++)
        for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++) {
            touched[k] |= drive_touches(&d->slots[i].q, k);
            if (d->slots[i].q.id == MSG_ID_account_gone && d->slots[i].q.account == k) {
                drive_client_forget(d, k);
                d->world.last_modseq[k] = 0;
            }
        }
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
        if (touched[k])
            must(d, drive_compare(d, k));
    must(d, drive_new(d));
    if (drive_below(d, 200) == 0) {
        store_close(d->store);
        open_store(d);
        for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
            must(d, drive_compare(d, k));
        must(d, drive_compare_store(d));
        must(d, drive_new(d));
        note("  -- closed and opened again");
    }
}

int main(int argc, char **argv)
{
    struct drive *d = &drive;
    uint64_t operations = 10000;
    d->seed = rand_below(1000000000);
    if ((argc > 1 && num_u64(span_z(argv[1]), UINT32_MAX, &operations) != 0) ||
        (argc > 2 && num_u64(span_z(argv[2]), UINT64_MAX, &d->seed) != 0))
        base_die("usage: model_test [OPERATIONS] [SEED]");
    log_setup("model_test", LOG_WARN);
    d->in_turn = argc > 2;
    drive_start(d, d->seed);
    d->mix = &mix;
    drive_setup();
    snprintf(d->dir, sizeof d->dir, "%s/model_test.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(d->dir) == NULL)
        base_die("no directory for the store");
    d->world.done = base_alloc(MODEL_OPS * sizeof *d->world.done);
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        model_forget(&d->world.accounts[i], i + 1);
    open_store(d);
    while (d->operations < operations)
        play_round(d);
    store_close(d->store);
    printf("%llu operations in %llu rounds, seed %llu: the store and its model agree\n",
           (unsigned long long)d->operations, (unsigned long long)d->rounds, (unsigned long long)d->seed);
    for (size_t i = 0; i < DRIVE_ROUND; i++)
        arena_done(&d->slots[i].mem);
    arena_done(&d->mem);
    free(d->world.done);
    return nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
