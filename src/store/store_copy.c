/* store_copy: COPY and MOVE (RFC 9051 6.4.7, 6.4.8): new members of the same emails (RFC 8474 5.1). */
#include "store/store_copy.h"

#include "base/clock.h"
#include "store/store_remove.h"

enum { COPY_MOST = 10000 }; /* messages per operation: a commit of some tens of milliseconds */

static int copy_one(struct store *s, struct store_account *a, struct store_mailbox *to, const struct store_row *r,
                    int64_t now)
{
    int64_t after = MAX_OF(now - r->internal_ms, 0);
    struct db_arg keywords = DB_NULL;
    if (r->keywords.n > 0)
        keywords = (struct db_arg)DB_B(r->keywords);
    store_account_count(to, r->flags, r->size, 1);
    return DB_RUN(s->db, DB_MEMBER_INSERT, DB_I(to->id), DB_I(to->uidnext++), DB_I(r->eid), DB_I(r->flags),
                  DB_I(r->size), DB_I(r->internal_ms), DB_I(after), DB_I(store_account_modseq(s, a, to)), keywords);
}

int store_copy_rows(struct store *s, struct store_account *a, struct store_mailbox *to, const struct store_row *v,
                    size_t n, bool move)
{
    int64_t now = clock_now_ms();
    for (size_t i = 0; i < n; i++)
        if (copy_one(s, a, to, &v[i], now) != 0)
            return -1;
    for (size_t i = 0; i < n && move; i++)
        if (store_remove_moved(s, a, &v[i]) != 0)
            return -1;
    return 0;
}

/* Emails by id: each comes once, unless `to` has it; the first member lends its flags. Splits rows into those to copy
 * and, behind them, those that only go when it is a move. Returns how many to copy. */
static size_t once_each(struct store_rows *rows, const struct store_mailbox *to, struct arena *mem)
{
    struct store_row *sorted = arena_alloc(mem, (rows->n + 1) * sizeof *sorted);
    size_t head = 0, tail = rows->n, kept = 0;
    for (size_t i = 0, j; i < rows->n; i = j) {
        bool there = false;
        for (j = i; j < rows->n && rows->v[j].eid == rows->v[i].eid; j++)
            there |= rows->v[j].box == to;
        for (size_t k = i; k < j; k++) {
            if (rows->v[k].box == to)
                continue;
            kept++;
            if (k == i && !there)
                sorted[head++] = rows->v[k];
            else
                sorted[--tail] = rows->v[k];
        }
    }
    memmove(sorted + head, sorted + tail, (rows->n - tail) * sizeof *sorted);
    if (kept > 0)
        memcpy(rows->v, sorted, kept * sizeof *sorted);
    rows->n = kept;
    return head;
}

static void list_uids(struct store_op *op, bool eids, const struct store_row *v, size_t n, struct msg_copy_r *out)
{
    struct msg_uid_range *r = arena_alloc(op->w->mem, (n + 1) * sizeof *r);
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t uid = eids ? v[i].eid : v[i].uid;
        if (at > 0 && r[at - 1].last + 1 == uid)
            r[at - 1].last = uid;
        else
            r[at++] = (struct msg_uid_range){uid, uid};
    }
    out->uids.v = r;
    out->uids.n = at;
}

static int check_room(const struct store_account *a, const struct store_row *v, size_t n, struct fail *f)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += v[i].size;
    return store_account_room(a, bytes, n, f);
}

static int copy(struct store *s, struct store_op *op, struct store_account *a, struct store_mailbox *to,
                struct store_rows *rows)
{
    const struct msg_copy *in = op->w->in;
    struct msg_copy_r *out = op->w->out;
    size_t n = in->from != 0 ? rows->n : once_each(rows, to, &s->mem);
    if (in->move == 0)
        rows->n = n;
    if (n == rows->n && in->move == 0 && check_room(a, rows->v, n, &op->w->fail) != 0)
        return -1;
    *out = (struct msg_copy_r){.uidvalidity = to->uidvalidity, .uid = to->uidnext, .count = n};
    list_uids(op, in->from == 0, rows->v, n, out);
    if (store_copy_rows(s, a, to, rows->v, n, in->move != 0) != 0)
        return -1;
    for (size_t i = n; i < rows->n; i++)
        if (store_remove_moved(s, a, &rows->v[i]) != 0)
            return -1;
    out->next = rows->more ? rows->last + 1 : 0;
    out->modseq = a->modseq;
    return 0;
}

int store_copy_apply(struct store *s, struct store_op *op)
{
    const struct msg_copy *in = op->w->in;
    struct store_account *a;
    struct store_mailbox *from, *to;
    struct store_rows rows = {0};
    if (in->move > 1)
        return fail_perm(&op->w->fail, "5.5.4", "copy: move is 0 or 1");
    if ((to = store_account_find(s, op, in->to, &a)) == NULL)
        return -1;
    int rc = store_select(s, op, in->from, in->uids.v, in->uids.n, 0, store_select_step(s, COPY_MOST), false, &a, &from, &rows);
    if (rc == 0)
        rc = copy(s, op, a, to, &rows);
    VEC_FREE(&rows);
    return rc;
}
