/* cut: see the header.
 *
 * The committer acknowledges in the order in which it applies. So a recovered store must hold what the rounds before the
 * cut made, and of the last round what a first part of that order made: at least all that was acknowledged before the
 * cut, at most what had been submitted. What the operations make together is told by the reference model (tests/model).
 */
#include "cut.h"
#include "store/store_verify.h"

#include <ftw.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) { return remove(path); }
void cut_remove(const char *dir) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static int wrong(struct cut_why *why, const char *what, uint32_t i, const char *more)
{
    snprintf(why->text, sizeof why->text, "%s: operation %u: %.300s", what, i, more);
    return -1;
}

struct store *cut_open(const char *dir, struct fail *f)
{
    struct store_options opt = {.segment_bytes = CUT_SEGMENT, .big_bytes = CUT_BIG, .readers = 1, .wal_pages = CUT_WAL_PAGES};
    return store_open(dir, &opt, f);
}

void cut_done(struct recording *r)
{
    trace_free(&r->trace);
    VEC_FREE(&r->ops);
    VEC_FREE(&r->order);
}

/* ---- worlds ---- */

void cut_world(struct model_world *w)
{
    free(w->done);
    *w = (struct model_world){.done = base_alloc(MODEL_OPS * sizeof *w->done)};
    for (size_t i = 0; i < MODEL_ACCOUNTS; i++)
        model_forget(&w->accounts[i], i + 1);
}

static void copy_answer(struct model_answer *to, const struct model_answer *from)
{
    memcpy(to, from, offsetof(struct model_answer, list));
    memcpy(to->list, from->list, from->n_list * sizeof from->list[0]);
}

void cut_world_copy(struct model_world *to, const struct model_world *from)
{
    if (to->done == NULL)
        to->done = base_alloc(MODEL_OPS * sizeof *to->done);
    for (size_t i = 0; i <= MODEL_ACCOUNTS; i++)
        model_copy(&to->accounts[i], &from->accounts[i]);
    for (size_t i = 0; i < MODEL_OPS; i++) {
        to->done[i].op = from->done[i].op;
        to->done[i].q = from->done[i].q;
        to->done[i].at_h = from->done[i].at_h;
        copy_answer(&to->done[i].a, &from->done[i].a);
    }
    to->n_done = from->n_done;
    memcpy(to->last_id, from->last_id, sizeof to->last_id);
    memcpy(to->last_modseq, from->last_modseq, sizeof to->last_modseq);
    to->ageing = from->ageing;
}

void cut_world_free(struct model_world *w)
{
    free(w->done);
    w->done = NULL;
}

/* ---- comparing ---- */

int cut_compare(struct drive *d, const char *when, struct cut_why *why)
{
    int rc = 0;
    why->depth = 0;
    for (uint32_t k = 0; k < MODEL_ACCOUNTS && rc == 0; k++) /* cheap, and tells most states apart */
        rc = drive_compare_boxes(d, k);
    for (uint32_t k = 0; k < MODEL_ACCOUNTS && rc == 0; k++) {
        why->depth = k + 1;
        rc = drive_compare_all(d, k);
    }
    if (rc == 0) {
        why->depth = MODEL_ACCOUNTS + 1;
        rc = drive_compare_store(d) != 0 ? -1 : drive_new(d);
    }
    if (rc != 0)
        snprintf(why->text, sizeof why->text, "%s: %s", when, d->why);
    return rc;
}

/* Nothing wrong at all, but bytes of the log that nobody uses. */
int cut_verify(struct store *s, struct cut_why *why)
{
    struct store_verify *v = store_verify_of(s);
    const struct verify_finding *found;
    struct fail f = {0};
    int rc;
    while ((rc = store_verify_serving(s, v, &f)) == 1)
        ;
    size_t n = store_verify_findings(v, 0, &found);
    if (rc != 0)
        snprintf(why->text, sizeof why->text, "verify: %s", f.text);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (found[i].kind == VERIFY_NOTE || found[i].kind == VERIFY_LOG)
            continue;
        snprintf(why->text, sizeof why->text, "verify: %.*s", (int)MIN_OF(found[i].text.n, (size_t)200), found[i].text.p);
        rc = -1;
    }
    store_verify_free(v);
    return rc;
}

/* ---- what the store may hold ---- */

enum { BEGUN = 1, ACKED = 2, IN = 4 }; /* of an operation: submitted, acknowledged before the cut; in the store after it */

struct check {
    struct recording *r;
    const struct cut *c;
    const char *dir;
    struct drive *d;
    struct model_world *whole;      /* what the rounds before the last one made */
    unsigned char *state;           /* by operation */
    uint32_t last;                  /* the round that the cut came into, and the first place of it in the order */
    size_t last_at;
    bool old_goes;                  /* hours have begun to pass */
    struct cut_why *why;
};

static bool is_age(const struct cut_op *op) { return (int)op->q.id == MODEL_AGE; }

/* The operation has happened to w. Its answer was explained when it was recorded. */
static int happen(struct check *k, struct model_world *w, uint32_t i)
{
    static struct model_answer out;
    const struct cut_op *op = &k->r->ops.v[i];
    if (op->got.ok == 0)
        return 0;
    model_apply(w, &op->q, &op->got, &out);
    if (out.ok == 0)
        return wrong(k->why, "the model", i, out.code);
    if (op->q.id == MSG_ID_account_gone)
        w->last_modseq[op->q.account] = 0;
    if (op->got.repeated == 0)
        model_remember(w, &op->q, &op->got);
    return 0;
}

static void what_was_submitted(struct check *k)
{
    const struct trace *t = &k->r->trace;
    for (size_t i = 0; i < k->c->at; i++) {
        const struct trace_event *e = &t->events.v[i];
        if (e->kind != TRACE_BEGIN && e->kind != TRACE_ACK)
            continue;
        k->state[e->at] |= e->kind == TRACE_BEGIN ? BEGUN : ACKED | IN;
        k->last = k->r->ops.v[e->at].round;
        k->old_goes |= is_age(&k->r->ops.v[e->at]) && k->r->ops.v[e->at].q.hours > 0;
    }
}

/* All rounds but the last, which nobody has begun to answer before they had ended. */
static int whole_rounds(struct check *k)
{
    size_t at = 0;
    uint32_t round = 0;
    for (; at < k->r->order.n; at++) {
        const struct cut_op *op = &k->r->ops.v[k->r->order.v[at]];
        if (op->round >= k->last)
            break;
        if (op->round != round) /* as the load did between rounds */
            for (size_t a = 0; a < MODEL_ACCOUNTS; a++)
                model_threads(&k->whole->accounts[a]);
        round = op->round;
        if (happen(k, k->whole, k->r->order.v[at]) != 0)
            return -1;
    }
    for (size_t a = 0; a < MODEL_ACCOUNTS && at > 0; a++)
        model_threads(&k->whole->accounts[a]);
    k->last_at = at;
    return 0;
}

/* d->world: the whole rounds, and what of the last one is IN. The clock shows what it shows now. */
static int make_world(struct check *k)
{
    struct model_world *w = &k->d->world;
    cut_world_copy(w, k->whole);
    for (size_t at = k->last_at; at < k->r->order.n; at++) {
        uint32_t i = k->r->order.v[at];
        if (k->r->ops.v[i].round == k->last && (k->state[i] & IN) != 0 && happen(k, w, i) != 0)
            return -1;
    }
    for (size_t i = 0; i < k->r->ops.n; i++)
        if (is_age(&k->r->ops.v[i]) && (k->state[i] & IN) == 0 && k->r->ops.v[i].q.hours > 0) {
            model_pass(w, k->r->ops.v[i].q.hours);
            w->ageing = true;
        }
    return 0;
}

static int compare_with(struct check *k)
{
    return make_world(k) != 0 ? -1 : cut_compare(k->d, "after recovery", k->why);
}

/* Finds how far the store got: exactly what was acknowledged, or some of what followed. What comes closest is told. */
static int find_state(struct check *k)
{
    const struct trace *t = &k->r->trace;
    int rc = compare_with(k);
    struct cut_why closest = *k->why;
    for (size_t i = k->c->at; i < t->events.n && rc != 0; i++) {
        const struct trace_event *e = &t->events.v[i];
        if (e->kind != TRACE_ACK)
            continue;
        if ((k->state[e->at] & BEGUN) == 0)
            break;
        if (is_age(&k->r->ops.v[e->at]) && k->r->ops.v[e->at].q.hours > 0)
            break;
        k->state[e->at] |= IN;
        rc = compare_with(k);
        if (rc != 0 && k->why->depth > closest.depth)
            closest = *k->why;
    }
    if (rc != 0)
        *k->why = closest;
    return rc;
}

/* ---- going on ---- */

static int open_it(struct check *k, const char *when)
{
    struct fail f = {0};
    k->d->store = cut_open(k->dir, &f);
    if (k->d->store == NULL)
        snprintf(k->why->text, sizeof k->why->text, "%s: the store does not open: %s", when, f.text);
    return k->d->store != NULL ? 0 : -1;
}

static int reopen(struct check *k, const char *when)
{
    store_close(k->d->store);
    return open_it(k, when) == 0 ? cut_compare(k->d, when, k->why) : -1;
}

/* The operation once more: what was done is answered as it was, what was not is done now. */
static int repeat(struct check *k, uint32_t i)
{
    static struct model_answer want;
    struct drive *d = k->d;
    d->n = 1;
    d->slots[0].q = k->r->ops.v[i].q;
    drive_round(d);
    d->round_began_ms = k->r->began_ms; /* what it made is looked at later */
    const struct model_answer *got = &d->slots[0].got;
    model_apply(&d->world, &d->slots[0].q, got, &want);
    if (want.uidvalidity == 0) /* of an INBOX that came with a message: not told before */
        want.uidvalidity = got->uidvalidity;
    if (!drive_same(&want, got)) {
        char text[200];
        snprintf(text, sizeof text, "kind %d, %s %s repeated %d modseq %llu, not %s %s %d %llu", (int)d->slots[0].q.id,
                 got->ok ? "done" : "refused", got->code, (int)got->repeated, (unsigned long long)got->modseq,
                 want.ok ? "done" : "refused", want.code, (int)want.repeated, (unsigned long long)want.modseq);
        return wrong(k->why, "repeated", i, text);
    }
    if (d->slots[0].q.id == MSG_ID_account_gone)
        d->world.last_modseq[d->slots[0].q.account] = 0;
    if (got->ok != 0 && got->repeated == 0)
        model_remember(&d->world, &d->slots[0].q, got);
    drive_threads(d);
    return 0;
}

static bool has_id(const struct model_request *q)
{
    return (int)q->id != MODEL_AGE && q->id != MSG_ID_recount && q->id != MSG_ID_quota_set && q->id != MSG_ID_account_gone &&
           q->id != MSG_ID_kv_set;
}

/* What the load got no answer to, in the order explained: what was done, or what was refused. */
static int repeat_unanswered(struct check *k, bool done)
{
    for (size_t at = k->last_at; at < k->r->order.n; at++) {
        uint32_t i = k->r->order.v[at];
        const struct cut_op *op = &k->r->ops.v[i];
        if ((k->state[i] & (BEGUN | ACKED)) != BEGUN || (op->got.ok != 0) != done)
            continue;
        if (((k->state[i] & IN) != 0 ? has_id(&op->q) : !is_age(op)) && repeat(k, i) != 0)
            return -1;
    }
    return 0;
}

/* A front repeats what it got no answer to, and then now and then what it did. First what was done: such a thing that
 * changed nothing may be remembered by the store or not, and gives the same answer as long as nothing has changed since.
 * What was refused is remembered by nobody, and may be done this time. */
static int repeat_some(struct check *k)
{
    struct disk_rand r = {k->c->seed};
    if (repeat_unanswered(k, true) != 0 || repeat_unanswered(k, false) != 0)
        return -1;
    for (uint32_t i = 0; i < k->r->ops.n; i++) {
        const struct cut_op *op = &k->r->ops.v[i];
        if ((k->state[i] & ACKED) != 0 && has_id(&op->q) && disk_chance(&r, op->round == k->last ? 100 : 5) && repeat(k, i) != 0)
            return -1;
    }
    return 0;
}

static int old_goes(struct check *k)
{
    drive_age(k->d, 0);
    model_drop(&k->d->world);
    return cut_compare(k->d, "once what is old has gone", k->why);
}

/* The role starts again; fronts repeat; time passes; it starts once more. */
static int go_on(struct check *k)
{
    int rc = reopen(k, "after a second recovery");
    if (rc == 0 && !k->old_goes)
        rc = repeat_some(k);
    if (rc == 0)
        rc = cut_compare(k->d, "after repeating", k->why);
    if (rc == 0)
        rc = old_goes(k);
    if (rc == 0)
        rc = reopen(k, "after a third recovery");
    return rc == 0 ? cut_verify(k->d->store, k->why) : -1;
}

int cut_check(struct recording *r, const struct cut *c, const char *dir, bool first_only, struct model_world *now,
              struct cut_why *why)
{
    static struct drive d; /* big, as worlds are */
    static struct model_world whole;
    struct check k = {.r = r, .c = c, .dir = dir, .why = why, .d = &d, .whole = &whole};
    k.state = base_alloc(r->ops.n + 1);
    drive_start(&d, c->seed);
    d.quiet = true;
    d.round_began_ms = r->began_ms;
    cut_world_copy(&whole, &r->base);
    what_was_submitted(&k);
    int rc = whole_rounds(&k);
    if (rc == 0)
        rc = open_it(&k, "recovery");
    if (rc == 0)
        rc = find_state(&k);
    if (rc == 0 && now != NULL)
        cut_world_copy(now, &d.world);
    if (rc == 0)
        rc = cut_verify(d.store, why);
    if (rc == 0 && !first_only)
        rc = go_on(&k);
    store_close(d.store);
    d.store = NULL;
    free(k.state);
    return rc;
}

/* ---- kept for a second look ---- */

static int save(const void *p, size_t size, size_t n, FILE *f) { return n == 0 || fwrite(p, size, n, f) == n ? 0 : -1; }

int cut_save(const struct recording *r, const struct cut *c, const char *path)
{
    FILE *f = fopen(path, "we");
    if (f == NULL)
        return -1;
    int rc = save(c, sizeof *c, 1, f) | save(&r->base, sizeof r->base, 1, f) | save(r->base.done, sizeof *r->base.done, MODEL_OPS, f) |
             save(&r->ops.n, sizeof r->ops.n, 1, f) | save(r->ops.v, sizeof *r->ops.v, r->ops.n, f) |
             save(r->order.v, sizeof *r->order.v, r->ops.n, f) | save(&r->began_ms, sizeof r->began_ms, 1, f) |
             trace_save(&r->trace, f);
    return fclose(f) != 0 ? -1 : rc;
}

static int load(void *p, size_t size, size_t n, FILE *f) { return fread(p, size, n, f) == n ? 0 : -1; }

int cut_load(struct recording *r, struct cut *c, const char *path)
{
    FILE *f = fopen(path, "re");
    size_t n = 0;
    *r = (struct recording){0};
    if (f == NULL)
        return -1;
    int rc = load(c, sizeof *c, 1, f) | load(&r->base, sizeof r->base, 1, f);
    r->base.done = base_alloc(MODEL_OPS * sizeof *r->base.done);
    rc |= load(r->base.done, sizeof *r->base.done, MODEL_OPS, f) | load(&n, sizeof n, 1, f);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = load(VEC_PUSH(&r->ops), sizeof *r->ops.v, 1, f);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = load(VEC_PUSH(&r->order), sizeof *r->order.v, 1, f);
    rc = rc == 0 && load(&r->began_ms, sizeof r->began_ms, 1, f) == 0 && trace_load(&r->trace, f) == 0 ? 0 : -1;
    fclose(f);
    return rc;
}
