/* record: the load of a recording: rounds of operations at once, of all kinds, each round explained by the model. */
#include "base/limits.h"
#include "cut.h"
#include "store/store_impl.h"

#include <stdatomic.h>

static const struct drive_mix mix = {.most = {300, 3000, 14000, 14000, 14000, 50000}, .spooled = 8, .huge = 60};

enum { AGE_H = 31 * 24 - 1 };

static struct drive load; /* one at a time */
static struct recording *recording;

static bool sweeping(uint32_t *seg)
{
    const struct store *s = load.store;
    if (s == NULL || s->ops.n != 1 || (int)s->ops.v[0].w->id != STORE_SWEEP)
        return false;
    *seg = s->sweep.at >= s->sweep.end && !s->sweep.left ? s->sweep.seg : 0;
    return true;
}

static void written(struct drive_slot *x)
{
    shim_note(TRACE_ACK, recording->ops.n + (size_t)(x - load.slots));
    x->d->store->sweep.last_ms = 0; /* we are in the committer's thread: sweep at each turn, not once a second */
}

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "powercut: without a cut: %s: %s\n", what, load.why);
    abort();
}

/* What the store names itself is learned: the validity of a new INBOX. */
static void learn(void)
{
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
        must(drive_compare_boxes(&load, k), "mailboxes");
    must(drive_new(&load), "ids");
}

static void play(uint32_t round)
{
    size_t order[DRIVE_ROUND], found;
    struct recording *r = recording;
    for (size_t i = 0; i < load.n; i++)
        shim_note(TRACE_BEGIN, r->ops.n + i);
    drive_round(&load);
    if (drive_explain(&load, order, &found) != 0)
        must(-1, "no order explains a round");
    for (size_t i = 0; i < load.n; i++)
        *VEC_PUSH(&r->order) = (uint32_t)(r->ops.n + order[i]);
    for (size_t i = 0; i < load.n; i++)
        *VEC_PUSH(&r->ops) = (struct cut_op){load.slots[i].q, load.slots[i].got, round};
    drive_threads(&load);
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
        if (load.slots[0].q.id == MSG_ID_account_gone && load.slots[0].q.account == k)
            load.world.last_modseq[k] = 0;
    learn();
}

static void age(uint32_t round, int64_t hours)
{
    load.n = 1;
    load.slots[0].q = (struct model_request){.id = (enum msg_id)MODEL_AGE, .hours = hours};
    play(round);
}

void cut_record(struct recording *r, const char *dir, enum shim_break broken, uint32_t rounds, uint64_t seed)
{
    struct fail f = {0};
    recording = r;
    limit_value[LIMIT_SWEEP_PERCENT] = 90; /* there is little time */
    drive_start(&load, seed);
    load.mix = &mix;
    load.quiet = true;
    load.written = written;
    cut_world_copy(&load.world, &r->base);
    trace_start(&r->trace, dir);
    shim_sweeping(sweeping);
    shim_record(&r->trace, dir, broken);
    shim_quick(false);
    r->began_ms = clock_now_ms();
    load.store = cut_open(dir, &f);
    if (load.store == NULL)
        base_die(f.text);
    if (r->base.ageing)
        age(0, 0);
    for (uint32_t i = 1; i <= rounds; i++) {
        drive_random(&load);
        play(i);
    }
    age(rounds + 1, AGE_H);
    store_close(load.store);
    load.store = NULL;
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    shim_quick(true);
}
