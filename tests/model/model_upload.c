/* model_upload: uploads and values, and what goes by age: these, tombstones, the memory of operations. */
#include "model.h"

/* ---- uploads (RFC 8620 6.1) ---- */

const struct model_upload *model_upload_find(const struct model_account *a, uint64_t blob)
{
    for (size_t i = 0; i < a->n_uploads; i++)
        if (a->uploads[i].blob == blob && a->hours - a->uploads[i].at_h < MODEL_UPLOAD_H)
            return &a->uploads[i];
    return NULL;
}

int model_upload(struct model_account *a, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out)
{
    if (a->n_uploads >= MODEL_UPLOADS)
        return model_refuse(out, "5.2.36");
    a->uploads[a->n_uploads++] = (struct model_upload){told->extra[0], q->seed, a->hours, q->length};
    out->extra[0] = told->extra[0];
    out->extra[1] = told->extra[1]; /* when it ends; compared with the clock */
    return 0;
}

/* ---- values ---- */

bool model_value_lives(const struct model_account *a, const struct model_value *v)
{
    return v->until_h == 0 || v->until_h > a->hours;
}

static struct model_value *find_value(struct model_account *a, const char *key)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (strcmp(a->values[i].key, key) == 0)
            return &a->values[i];
    return NULL;
}

int model_set_value(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    struct model_value *v = find_value(a, q->name);
    if (q->what != 0) { /* to be removed */
        if (v != NULL)
            *v = a->values[--a->n_values];
        return 0;
    }
    if (v == NULL && a->number != 0 && a->n_values >= MODEL_VALUES) /* the whole store has no limit */
        return model_refuse(out, "5.2.36");
    v = v != NULL ? v : &a->values[a->n_values++];
    *v = (struct model_value){.seed = q->seed, .length = q->length, .until_h = q->hours != 0 ? a->hours + q->hours : 0};
    snprintf(v->key, sizeof v->key, "%.15s", q->name);
    return 0;
}

/* ---- age ---- */

static size_t old_tombstones(const struct model_account *a)
{
    size_t n = 0;
    while (n < a->n_gone && a->hours - a->gone[n].at_h > MODEL_TOMBSTONE_H)
        n++;
    return n;
}

int model_floor(struct model_account *a, uint64_t floor, bool all)
{
    size_t old = old_tombstones(a), n = 0;
    while (n < old && a->gone[n].modseq <= floor)
        n++;
    if (floor != (n > 0 ? a->gone[n - 1].modseq : a->floor) || (all && n != old))
        return -1;
    a->floor = floor;
    memmove(a->gone, a->gone + n, (a->n_gone - n) * sizeof a->gone[0]);
    a->n_gone -= n;
    return 0;
}

static void drop(struct model_account *a)
{
    size_t kept = 0, old = old_tombstones(a);
    for (size_t i = 0; i < a->n_values; i++)
        if (model_value_lives(a, &a->values[i]))
            a->values[kept++] = a->values[i];
    a->n_values = kept;
    kept = 0;
    for (size_t i = 0; i < a->n_uploads; i++)
        if (a->hours - a->uploads[i].at_h < MODEL_UPLOAD_H)
            a->uploads[kept++] = a->uploads[i];
    a->n_uploads = kept;
    if (old > 0)
        model_floor(a, a->gone[old - 1].modseq, true);
}

void model_pass(struct model_world *w, int64_t hours)
{
    for (size_t i = 0; i <= MODEL_ACCOUNTS; i++)
        w->accounts[i].hours += hours;
}

void model_drop(struct model_world *w)
{
    for (size_t i = 0; i <= MODEL_ACCOUNTS; i++)
        drop(&w->accounts[i]);
    for (size_t i = 0; i < MODEL_OPS; i++)
        if (w->accounts[0].hours - w->done[i].at_h > MODEL_OP_H)
            w->done[i].q.id = 0;
}

uint64_t model_blobs(const struct model_world *w, bool old_too)
{
    uint64_t n = 0;
    for (size_t k = 0; k < MODEL_ACCOUNTS; k++) {
        const struct model_account *a = &w->accounts[k];
        for (size_t i = 0; i < a->n_uploads; i++)
            n += old_too || model_upload_find(a, a->uploads[i].blob) != NULL;
        for (size_t i = 0; i < a->n_emails; i++) {
            bool before = false; /* counted with another account's */
            for (size_t b = 0; b < k; b++)
                for (size_t j = 0; j < w->accounts[b].n_emails; j++)
                    before |= w->accounts[b].emails[j].blob == a->emails[i].blob;
            n += !before;
        }
    }
    return n;
}
