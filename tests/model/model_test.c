/* model_test: random operations of several sessions on the store and on the model, compared after each round.
 *
 *     model_test [OPERATIONS] [SEED]       10,000 operations, a new seed. A seed given: no threads, so that it repeats.
 *
 * A round is up to six operations at once. The store may put them in any order; the modseqs and uids it answers with say
 * in which: here an order is looked for in which the model answers the same. */
#include "drive.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/str.h"

#include <ftw.h>
#include <stdarg.h>

enum { NOTES = 60, NOTE_BYTES = 400 };
static char notes[NOTES][NOTE_BYTES];
static size_t n_notes;
static struct drive drive;

void drive_note(struct drive *d, const char *fmt, ...)
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

void drive_fail(struct drive *d, const char *fmt, ...)
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
        [MSG_ID_account_gone] = "account_gone"};
    const struct model_request *q = &x->q;
    const struct model_answer *g = &x->got;
    char ranges[120] = "";
    for (uint32_t i = 0, at = 0; i < q->n_ranges && at < sizeof ranges; i++)
        at += (uint32_t)snprintf(ranges + at, sizeof ranges - at, " %llu:%llu", (unsigned long long)q->ranges[i].first,
                                 (unsigned long long)q->ranges[i].last);
    drive_note(d, "  %llu %s account %llu op ..%02x%02x mailbox %llu to %llu%s move %u flags %u keywords %u mode %u since %llu"
               " what %u parent %llu name '%s' role %u -> %s modseq %llu mailbox %llu uid %llu eid %llu count %llu first %llu/%llu",
               (unsigned long long)d->rounds, kinds[q->id], (unsigned long long)d->world.accounts[q->account].number,
               q->op.b[6], q->op.b[7], (unsigned long long)q->mailbox, (unsigned long long)q->to, ranges, q->move, q->flags,
               q->keywords, q->mode, (unsigned long long)q->unchangedsince, q->what, (unsigned long long)q->parent, q->name,
               q->role, g->ok ? "ok" : g->code, (unsigned long long)g->modseq, (unsigned long long)g->mailbox,
               (unsigned long long)g->uid, (unsigned long long)g->eid, (unsigned long long)g->count,
               (unsigned long long)g->results[0].modseq, (unsigned long long)g->results[0].uid);
}

/* ---- an order that explains a round ---- */

static bool same(const struct model_answer *a, const struct model_answer *b)
{
    return memcmp(a, b, offsetof(struct model_answer, list)) == 0 &&
           memcmp(a->list, b->list, a->n_list * sizeof a->list[0]) == 0;
}

static bool touches(const struct model_request *q, uint32_t account)
{
    bool yes = q->account == account;
    for (uint32_t i = 0; i < q->n_targets; i++)
        yes |= q->targets[i].account == account;
    return yes;
}

/* May x come next? unchanging: only if it then changes nothing. */
static bool explains(struct drive *d, const struct drive_slot *x, bool unchanging)
{
    static struct model_answer a;
    bool changes = false;
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        if (touches(&x->q, i))
            model_copy(&d->trial.accounts[i], &d->world.accounts[i]);
    d->trial.done = d->world.done;
    model_apply(&d->trial, &x->q, &x->got, &a);
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        changes |= touches(&x->q, i) && d->trial.accounts[i].modseq != d->world.accounts[i].modseq;
    if (!same(&a, &x->got) || (unchanging && changes))
        return false;
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        if (touches(&x->q, i))
            model_copy(&d->world.accounts[i], &d->trial.accounts[i]);
    if (a.ok && a.repeated == 0)
        model_remember(&d->world, &x->q, &a);
    return true;
}

/* The last modseq that it says it gave; 0: none in the account that the round is about. */
static uint64_t modseq_of(const struct drive *d, const struct drive_slot *x)
{
    uint64_t number = d->world.accounts[d->slots[0].q.account].number;
    for (uint32_t i = 0; i < x->q.n_targets; i++)
        if (x->got.results[i].account == number)
            return x->got.results[i].modseq;
    return x->got.modseq;
}

/* Which comes next; d->n: none can. Those that change nothing come as early as they can: a refusal may be explained by a
 * state that the next one ends. The others come by their modseq. */
static size_t next_explained(struct drive *d, const bool done[DRIVE_ROUND])
{
    bool tried[DRIVE_ROUND];
    for (size_t i = 0; i < d->n; i++)
        if (!done[i] && explains(d, &d->slots[i], true))
            return i;
    memcpy(tried, done, sizeof tried);
    for (size_t round = 0; round < d->n; round++) {
        size_t first = d->n;
        for (size_t i = 0; i < d->n; i++)
            if (!tried[i] && (first == d->n || modseq_of(d, &d->slots[i]) < modseq_of(d, &d->slots[first])))
                first = i;
        if (first < d->n && explains(d, &d->slots[first], false))
            return first;
        if (first < d->n)
            tried[first] = true;
    }
    return d->n;
}

static void explain(struct drive *d)
{
    bool done[DRIVE_ROUND] = {false};
    for (size_t found = 0; found < d->n; found++) {
        size_t i = next_explained(d, done);
        if (i < d->n) {
            done[i] = true;
            continue;
        }
        drive_note(d, "  not explained:");
        for (i = 0; i < d->n; i++)
            if (!done[i])
                note_operation(d, &d->slots[i]);
        drive_fail(d, "no order explains the answers of the last %zu operations", d->n - found);
    }
}

/* Ids are given once and grow. */
static void check_new(struct drive *d)
{
    uint64_t eid = d->world.last_id[0], box = d->world.last_id[1];
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++) {
        const struct model_account *a = &d->world.accounts[k];
        for (size_t i = 0; i < a->n_emails; i++) {
            if (a->emails[i].created > d->world.last_modseq[k] && a->emails[i].eid <= d->world.last_id[0])
                drive_fail(d, "a new email has an old id");
            if (i > 0 && a->emails[i].eid <= a->emails[i - 1].eid)
                drive_fail(d, "emails are not in order of their ids");
            eid = MAX_OF(eid, a->emails[i].eid);
        }
        for (size_t i = 0; i < a->n_boxes; i++) {
            if (a->boxes[i].created > d->world.last_modseq[k] && a->boxes[i].id <= d->world.last_id[1])
                drive_fail(d, "a new mailbox has an old id");
            box = MAX_OF(box, a->boxes[i].id);
        }
        d->world.last_modseq[k] = a->modseq;
    }
    d->world.last_id[0] = eid;
    d->world.last_id[1] = box;
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
            touched[k] |= touches(&d->slots[i].q, k);
            if (d->slots[i].q.id == MSG_ID_account_gone && d->slots[i].q.account == k) {
                drive_client_forget(d, k);
                d->world.last_modseq[k] = 0;
            }
        }
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
        if (touched[k])
            drive_compare(d, k);
    check_new(d);
    if (drive_below(d, 200) == 0) {
        store_close(d->store);
        drive_open(d);
        for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++)
            drive_compare(d, k);
        check_new(d);
        drive_note(d, "  -- closed and opened again");
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
    d->random = d->seed;
    limit_value[LIMIT_MAILBOXES] = MODEL_BOXES;
    limit_value[LIMIT_MAILBOX_DEPTH] = MODEL_DEPTH;
    snprintf(d->dir, sizeof d->dir, "%s/model_test.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(d->dir) == NULL)
        base_die("no directory for the store");
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    d->world.done = base_alloc(MODEL_OPS * sizeof *d->world.done);
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        model_forget(&d->world.accounts[i], i + 1);
    drive_open(d);
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
