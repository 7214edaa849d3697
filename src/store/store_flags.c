/* store_flags: flags and keywords of messages, with UNCHANGEDSINCE (RFC 7162 3.1.3). */
#include "store/store_select.h"

enum {
    FLAGS_KNOWN = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT,
    STEP = 4000,          /* messages per commit */
    MODIFIED_MOST = 9000, /* ranges in a reply */
};

static uint32_t new_flags(uint32_t old, uint32_t mode, uint32_t flags)
{
    return mode == FLAGS_ADD ? old | flags : mode == FLAGS_REMOVE ? old & ~flags : flags;
}

/* RFC 7162 3.1.3: messages changed since are left alone and told, as ranges. With the reply full the rest is left alone
 * and told as one range. `at`: of the row as the caller named it. */
static bool is_modified(struct store_op *op, const struct msg_flags_set *in, const struct store_row *r)
{
    struct msg_flags_set_r *out = op->w->out;
    uint32_t *n = &op->w->trial.listed;
    bool full = *n == MODIFIED_MOST;
    uint64_t at = in->mailbox != 0 ? r->uid : r->eid;
    if (in->unchangedsince == 0 || (r->modseq <= in->unchangedsince && !full))
        return false;
    if (out->modified.v == NULL)
        out->modified.v = arena_alloc(op->w->mem, MODIFIED_MOST * sizeof *out->modified.v);
    if (full)
        out->modified.v[*n - 1].last = at;
    else if (*n > 0 && out->modified.v[*n - 1].last + 1 >= at)
        out->modified.v[*n - 1].last = at;
    else
        out->modified.v[(*n)++] = (struct msg_uid_range){at, at};
    return true;
}

static int set_one(struct store *s, struct store_account *a, const struct msg_flags_set *in, const struct store_row *r)
{
    uint32_t now = new_flags(r->flags, in->mode, in->flags);
    struct store_mailbox *m = r->box;
    uint64_t modseq = store_account_modseq(s, a, m);
    store_account_count(m, r->flags, r->size, -1);
    store_account_count(m, now, r->size, 1);
    if (span_eq(r->keywords, r->changed))
        return DB_RUN(s->db, DB_MEMBER_FLAGS, DB_I(m->id), DB_I(r->uid), DB_I(now), DB_I(modseq));
    if (r->changed.n == 0)
        return DB_RUN(s->db, DB_MEMBER_KEYWORDS, DB_I(m->id), DB_I(r->uid), DB_I(now), DB_I(modseq), DB_NULL);
    return DB_RUN(s->db, DB_MEMBER_KEYWORDS, DB_I(m->id), DB_I(r->uid), DB_I(now), DB_I(modseq), DB_B(r->changed));
}

/* What each would become; refuses before anything is changed. Leaves those that change in rows. */
static int prepare(struct store *s, struct store_op *op, struct span keywords, struct store_rows *rows)
{
    const struct msg_flags_set *in = op->w->in;
    bool touch = keywords.n > 0 || in->mode == FLAGS_REPLACE;
    size_t kept = 0;
    for (size_t i = 0; i < rows->n; i++) {
        struct store_row *r = &rows->v[i];
        r->changed = r->keywords;
        if (touch && store_keyword_apply(r->keywords, in->mode, keywords, &r->changed, &s->mem, &op->w->fail) != 0)
            return -1;
        if (store_keyword_same(r->keywords, r->changed))
            r->changed = r->keywords;
        bool changes = new_flags(r->flags, in->mode, in->flags) != r->flags || !span_eq(r->changed, r->keywords);
        if (!is_modified(op, in, r) && changes)
            rows->v[kept++] = *r;
    }
    rows->n = kept;
    return 0;
}

int store_flags_apply(struct store *s, struct store_op *op)
{
    const struct msg_flags_set *in = op->w->in;
    struct msg_flags_set_r *out = op->w->out;
    struct store_account *a;
    struct store_mailbox *m;
    struct store_rows rows = {0};
    struct span keywords;
    if (in->mode > FLAGS_REPLACE || (in->flags & ~(uint32_t)FLAGS_KNOWN) != 0)
        return fail_perm(&op->w->fail, "5.5.4", "flags_set: unknown mode or flags");
    if (store_keyword_pack(in->keywords, &keywords, &s->mem, &op->w->fail) != 0)
        return -1;
    if (op->w->trial.at == 0)
        out->modified.v = NULL;
    int rc = store_select(s, op, in->mailbox, in->uids.v, in->uids.n, op->w->trial.at, store_select_step(s, STEP), false, &a, &m, &rows);
    if (rc == 0)
        rc = prepare(s, op, keywords, &rows);
    for (size_t i = 0; i < rows.n && rc == 0; i++)
        rc = set_one(s, a, in, &rows.v[i]);
    if (rc == 0) {
        op->w->trial.at = rows.last;
        op->w->trial.count += rows.n;
        out->changed = op->w->trial.count;
        out->modified.n = op->w->trial.listed;
        out->modseq = m != NULL ? m->highmodseq : a->modseq;
        op->state = rows.more ? OP_LATER : op->state;
    }
    VEC_FREE(&rows);
    return rc;
}
