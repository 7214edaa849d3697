/* drive_explain: an order in which the operations of a round, done one by one by the model, give the answers of the store. */
#include "drive.h"

bool drive_same(const struct model_answer *a, const struct model_answer *b)
{
    return memcmp(a, b, offsetof(struct model_answer, list)) == 0 &&
           memcmp(a->list, b->list, a->n_list * sizeof a->list[0]) == 0;
}

bool drive_touches(const struct model_request *q, uint32_t account)
{
    bool yes = (int)q->id == MODEL_AGE || (q->whole ? account == MODEL_ACCOUNTS : q->account == account);
    for (uint32_t i = 0; i < q->n_targets; i++)
        yes |= q->targets[i].account == account;
    return yes;
}

/* May x come next? unchanging: only if it then changes nothing. */
static bool explains(struct drive *d, const struct drive_slot *x, bool unchanging)
{
    static struct model_answer a;
    bool changes = false;
    for (uint32_t i = 0; i <= MODEL_ACCOUNTS; i++)
        if (drive_touches(&x->q, i))
            model_copy(&d->trial.accounts[i], &d->world.accounts[i]);
    d->trial.done = d->world.done;
    model_apply(&d->trial, &x->q, &x->got, &a);
    for (uint32_t i = 0; i < MODEL_ACCOUNTS; i++)
        changes |= drive_touches(&x->q, i) && d->trial.accounts[i].modseq != d->world.accounts[i].modseq;
    if (!drive_same(&a, &x->got) || (unchanging && changes))
        return false;
    for (uint32_t i = 0; i <= MODEL_ACCOUNTS; i++)
        if (drive_touches(&x->q, i))
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

/* Which slot is looked at k-th: of two that both fit, another first each way. */
static size_t slot_of(const struct drive *d, size_t way, size_t k) { return way < d->n ? (k + way) % d->n : d->n - 1 - k; }

/* Which comes next; d->n: none can. Those that change nothing come as early as they can: a refusal may be explained by a
 * state that the next one ends. The others come by their modseq. */
static size_t next_explained(struct drive *d, const bool done[DRIVE_ROUND], size_t way)
{
    bool tried[DRIVE_ROUND];
    for (size_t k = 0; k < d->n; k++)
        if (!done[slot_of(d, way, k)] && explains(d, &d->slots[slot_of(d, way, k)], true))
            return slot_of(d, way, k);
    memcpy(tried, done, sizeof tried);
    for (size_t round = 0; round < d->n; round++) {
        size_t first = d->n;
        for (size_t k = 0; k < d->n; k++) {
            size_t i = slot_of(d, way, k);
            if (!tried[i] && (first == d->n || modseq_of(d, &d->slots[i]) < modseq_of(d, &d->slots[first])))
                first = i;
        }
        if (first < d->n && explains(d, &d->slots[first], false))
            return first;
        if (first < d->n)
            tried[first] = true;
    }
    return d->n;
}

static int one_way(struct drive *d, size_t way, size_t order[DRIVE_ROUND], size_t *found)
{
    bool done[DRIVE_ROUND] = {false};
    for (*found = 0; *found < d->n; ++*found) {
        size_t i = next_explained(d, done, way);
        if (i == d->n)
            break;
        done[i] = true;
        order[*found] = i;
    }
    for (size_t i = 0, at = *found; i < d->n; i++)
        if (!done[i])
            order[at++] = i;
    return *found == d->n ? 0 : -1;
}

static void copy_touched(const struct drive *d, struct model_account *to, const struct model_account *from)
{
    for (uint32_t k = 0; k <= MODEL_ACCOUNTS; k++)
        for (size_t i = 0; i < d->n; i++)
            if (drive_touches(&d->slots[i].q, k)) {
                model_copy(&to[k], &from[k]);
                break;
            }
}

/* Several ways: of two with the same modseq one changed what the other found to be so already; which, only the rest
 * tells. */
int drive_explain(struct drive *d, size_t order[DRIVE_ROUND], size_t *found)
{
    size_t n_done = d->world.n_done;
    copy_touched(d, d->before, d->world.accounts);
    for (size_t way = 0; way <= d->n; way++) {
        if (one_way(d, way, order, found) == 0)
            return 0;
        copy_touched(d, d->world.accounts, d->before);
        while (d->world.n_done > n_done)
            d->world.done[--d->world.n_done % MODEL_OPS].q.id = 0;
    }
    return -1;
}

/* Ids are given once and grow. */
int drive_new(struct drive *d)
{
    uint64_t eid = d->world.last_id[0], box = d->world.last_id[1];
    for (uint32_t k = 0; k < MODEL_ACCOUNTS; k++) {
        const struct model_account *a = &d->world.accounts[k];
        for (size_t i = 0; i < a->n_emails; i++) {
            if (a->emails[i].created > d->world.last_modseq[k] && a->emails[i].eid <= d->world.last_id[0])
                return drive_differs(d, "a new email has an old id");
            if (i > 0 && a->emails[i].eid <= a->emails[i - 1].eid)
                return drive_differs(d, "emails are not in order of their ids");
            eid = MAX_OF(eid, a->emails[i].eid);
        }
        for (size_t i = 0; i < a->n_boxes; i++) {
            if (a->boxes[i].created > d->world.last_modseq[k] && a->boxes[i].id <= d->world.last_id[1])
                return drive_differs(d, "a new mailbox has an old id");
            box = MAX_OF(box, a->boxes[i].id);
        }
        d->world.last_modseq[k] = a->modseq;
    }
    d->world.last_id[0] = eid;
    d->world.last_id[1] = box;
    return 0;
}
