/* cut: see the header.
 *
 * The committer acknowledges in the order in which it applies. So a recovered store must hold exactly what a first part
 * of that order made: at least all that was acknowledged before the cut, at most what had been submitted.
 */
#include "cut.h"
#include "store/store_verify.h"

#include <ftw.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) { return remove(path); }
void cut_remove(const char *dir) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static int wrong(struct model_why *why, const char *what, uint32_t i, const char *more)
{
    snprintf(why->text, sizeof why->text, "%s: operation %u: %.200s", what, i, more);
    return -1;
}

/* ---- recording ---- */

void cut_record(struct recording *r, const char *dir, enum shim_break broken, uint32_t count, unsigned threads, uint64_t seed)
{
    struct fail f = {0};
    uint32_t first = r->ops->n;
    trace_start(&r->trace, dir);
    for (size_t i = 0; i < OPS_ACCOUNTS; i++) {
        r->ops->account[i].mailbox = r->base.a[i].mailbox;
        r->ops->account[i].uid = r->base.a[i].uidnext > 0 ? r->base.a[i].uidnext - 1 : 0;
    }
    shim_record(&r->trace, dir, broken);
    struct store *s = ops_open(dir, &f);
    if (s == NULL)
        base_die(f.text);
    ops_load(r->ops, s, count, threads, seed);
    store_close(s);
    shim_record(NULL, NULL, SHIM_BREAK_NONE);
    for (uint32_t i = first; i < r->ops->n; i++)
        if (r->ops->v[i].result != 0)
            base_die("powercut: an operation was refused without a fault");
}

void cut_done(struct recording *r)
{
    trace_free(&r->trace);
    model_free(&r->base);
}

/* ---- checking ---- */

struct check {
    struct recording *r;
    const struct cut *c;
    const char *dir;
    struct store *s;
    struct model m;
    bool begun[OPS_MOST], in[OPS_MOST]; /* submitted before the cut; in the store after it */
    VEC(uint32_t) acked;                /* before the cut, in order */
    struct model_why *why;
};

static int open_it(struct check *k, const char *when)
{
    struct fail f = {0};
    k->s = ops_open(k->dir, &f);
    if (k->s == NULL)
        snprintf(k->why->text, sizeof k->why->text, "%s: the store does not open: %s", when, f.text);
    return k->s != NULL ? 0 : -1;
}

static void close_it(struct check *k)
{
    store_close(k->s);
    k->s = NULL;
}

static int compare(struct check *k, const char *when)
{
    struct model_why w = {.depth = 0};
    if (model_compare(&k->m, k->r->ops, k->s, &w) == 0)
        return 0;
    snprintf(k->why->text, sizeof k->why->text, "%s: %.240s", when, w.text);
    k->why->depth = w.depth;
    return -1;
}

static int add(struct check *k, uint32_t i, const struct op *op)
{
    struct model_why w;
    k->in[i] = true;
    return model_apply(&k->m, i, op, &w) == 0 ? 0 : wrong(k->why, "answer", i, w.text);
}

static int what_was_acknowledged(struct check *k)
{
    const struct trace *t = &k->r->trace;
    for (size_t i = 0; i < k->c->at; i++) {
        const struct trace_event *e = &t->events.v[i];
        if (e->kind == TRACE_BEGIN)
            k->begun[e->at] = true;
        if (e->kind != TRACE_ACK)
            continue;
        *VEC_PUSH(&k->acked) = (uint32_t)e->at;
        if (add(k, (uint32_t)e->at, &k->r->ops->v[e->at]) != 0)
            return -1;
    }
    return 0;
}

/* Finds how far the store got: exactly what was acknowledged, or some of what followed. What comes closest is told. */
static int find_state(struct check *k)
{
    const struct trace *t = &k->r->trace;
    int rc = compare(k, "after recovery");
    struct model_why closest = *k->why;
    for (size_t i = k->c->at; i < t->events.n && rc != 0; i++) {
        const struct trace_event *e = &t->events.v[i];
        if (e->kind != TRACE_ACK)
            continue;
        if (!k->begun[e->at] || add(k, (uint32_t)e->at, &k->r->ops->v[e->at]) != 0)
            break;
        rc = compare(k, "after recovery");
        if (rc != 0 && k->why->depth > closest.depth)
            closest = *k->why;
    }
    if (rc != 0)
        *k->why = closest;
    return rc;
}

static bool same_answer(const struct op *a, const struct op *b)
{
    bool same = b->result == 0 && a->modseq == b->modseq && a->changed == b->changed && a->modified == b->modified;
    for (uint32_t i = 0; i < a->n && same; i++)
        same = a->uid[i] == b->uid[i] && a->eid[i] == b->eid[i] && a->target_modseq[i] == b->target_modseq[i] &&
               a->out_mailbox[i] == b->out_mailbox[i];
    return same && (a->kind > OPS_SPOOLED || b->repeated);
}

static int repeat(struct check *k, uint32_t i)
{
    struct op again = k->r->ops->v[i];
    again.result = 1;
    ops_do(k->r->ops, i, &again, k->s, false);
    if (k->in[i])
        return same_answer(&k->r->ops->v[i], &again) ? 0 : wrong(k->why, "repeated", i, "another answer than before the cut");
    if (again.result != 0)
        return wrong(k->why, "repeated", i, again.code);
    if (again.repeated)
        return wrong(k->why, "repeated", i, "counts as done, but was not there");
    return add(k, i, &again);
}

/* A front repeats what it got no answer to, and now and then what it did. */
static int repeat_some(struct check *k)
{
    struct disk_rand r = {k->c->seed};
    for (size_t i = 0; i < k->acked.n; i++)
        if ((i + 6 >= k->acked.n || disk_chance(&r, 5)) && repeat(k, k->acked.v[i]) != 0)
            return -1;
    for (uint32_t i = 0; i < k->r->ops->n; i++) {
        bool was_acked = false;
        for (size_t n = 0; n < k->acked.n && !was_acked; n++)
            was_acked = k->acked.v[n] == i;
        if (k->begun[i] && !was_acked && repeat(k, i) != 0)
            return -1;
    }
    return 0;
}

static int reopen(struct check *k, const char *when)
{
    close_it(k);
    return open_it(k, when) == 0 ? compare(k, when) : -1;
}

/* Nothing wrong at all, but bytes of the log that nobody uses. */
int cut_verify(struct store *s, struct model_why *why)
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

int cut_check(struct recording *r, const struct cut *c, const char *dir, struct model *now, struct model_why *why)
{
    struct check *k = base_alloc(sizeof *k);
    k->r = r, k->c = c, k->dir = dir, k->why = why;
    model_copy(&k->m, &r->base);
    int rc = what_was_acknowledged(k);
    if (rc == 0)
        rc = open_it(k, "recovery");
    if (rc == 0)
        rc = find_state(k);
    if (rc == 0 && now != NULL)
        model_copy(now, &k->m);
    if (rc == 0)
        rc = reopen(k, "after a second recovery");
    if (rc == 0)
        rc = cut_verify(k->s, why);
    if (rc == 0)
        rc = repeat_some(k);
    if (rc == 0)
        rc = compare(k, "after repeating");
    if (rc == 0)
        rc = reopen(k, "after a third recovery");
    if (rc == 0)
        rc = cut_verify(k->s, why);
    close_it(k);
    model_free(&k->m);
    VEC_FREE(&k->acked);
    free(k);
    return rc;
}

/* ---- kept for a second look ---- */

static int save(const void *p, size_t size, size_t n, FILE *f) { return n == 0 || fwrite(p, size, n, f) == n ? 0 : -1; }

static int save_model(const struct model *m, FILE *f)
{
    int rc = fwrite(m, sizeof *m, 1, f) == 1 ? 0 : -1;
    for (size_t i = 0; i < OPS_ACCOUNTS && rc == 0; i++)
        rc = save(m->a[i].rows.v, sizeof *m->a[i].rows.v, m->a[i].rows.n, f) | save(m->a[i].gone.v, sizeof *m->a[i].gone.v, m->a[i].gone.n, f);
    return rc;
}

static int load_model(struct model *m, FILE *f)
{
    struct model head;
    if (fread(&head, sizeof head, 1, f) != 1)
        return -1;
    *m = head;
    for (size_t i = 0; i < OPS_ACCOUNTS; i++) {
        struct model_account *a = &m->a[i];
        a->rows.v = NULL, a->rows.n = a->rows.cap = 0;
        a->gone.v = NULL, a->gone.n = a->gone.cap = 0;
        for (size_t n = 0; n < head.a[i].rows.n; n++)
            if (fread(VEC_PUSH(&a->rows), sizeof *a->rows.v, 1, f) != 1)
                return -1;
        for (size_t n = 0; n < head.a[i].gone.n; n++)
            if (fread(VEC_PUSH(&a->gone), sizeof *a->gone.v, 1, f) != 1)
                return -1;
    }
    return 0;
}

int cut_save(const struct recording *r, const struct cut *c, const char *path)
{
    FILE *f = fopen(path, "we");
    uint32_t n = r->ops->n;
    if (f == NULL)
        return -1;
    int rc = fwrite(c, sizeof *c, 1, f) == 1 && fwrite(&n, sizeof n, 1, f) == 1 && fwrite(r->ops->v, sizeof *r->ops->v, n, f) == n ? 0 : -1;
    rc |= save_model(&r->base, f) | trace_save(&r->trace, f);
    return fclose(f) != 0 ? -1 : rc;
}

int cut_load(struct recording *r, struct cut *c, const char *path)
{
    FILE *f = fopen(path, "re");
    uint32_t n = 0;
    *r = (struct recording){.ops = ops_new()};
    if (f == NULL)
        return -1;
    int rc = fread(c, sizeof *c, 1, f) == 1 && fread(&n, sizeof n, 1, f) == 1 && n <= OPS_MOST &&
             fread(r->ops->v, sizeof *r->ops->v, n, f) == n ? 0 : -1;
    r->ops->n = n;
    rc = rc == 0 && load_model(&r->base, f) == 0 && trace_load(&r->trace, f) == 0 ? 0 : -1;
    fclose(f);
    return rc;
}
