/* store_select: which messages a write is about (see the header). */
#include "store/store_select.h"

#include <inttypes.h>

enum { EIDS_MOST = 10000 };

static int range_order(const void *a, const void *b)
{
    const struct msg_uid_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Sorted and without overlap, whatever the client sent; lives in the batch's arena. */
static int ranges_clean(struct store *s, const struct msg_uid_range *in, uint32_t n, struct msg_uid_range **out,
                        uint32_t *n_out, struct fail *f)
{
    struct msg_uid_range *v = arena_alloc(&s->mem, (n + 1) * sizeof *v);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (in[i].first > in[i].last)
            return fail_perm(f, "5.5.4", "range %" PRIu64 ":%" PRIu64 " runs backwards", in[i].first, in[i].last);
        v[i] =
            (struct msg_uid_range){MIN_OF(in[i].first, (uint64_t)INT64_MAX), MIN_OF(in[i].last, (uint64_t)INT64_MAX)};
    }
    qsort(v, n, sizeof *v, range_order);
    for (uint32_t i = 0; i < n; i++) {
        if (kept > 0 && v[i].first <= v[kept - 1].last)
            v[kept - 1].last = MAX_OF(v[kept - 1].last, v[i].last);
        else
            v[kept++] = v[i];
    }
    *out = v;
    *n_out = kept;
    return 0;
}

static struct store_row *add_row(struct store *s, enum db_id id, struct store_mailbox *m, struct store_rows *rows)
{
    struct span keywords = db_bytes(s->db, id, 6);
    struct store_row *r = VEC_PUSH(rows);
    *r = (struct store_row){.box = m,
                            .uid = (uint64_t)db_i64(s->db, id, 0),
                            .eid = (uint64_t)db_i64(s->db, id, 1),
                            .modseq = (uint64_t)db_i64(s->db, id, 2),
                            .flags = (uint32_t)db_i64(s->db, id, 3),
                            .internal_ms = db_i64(s->db, id, 4),
                            .size = (uint64_t)db_i64(s->db, id, 5),
                            .keywords = keywords.n > 0 ? arena_copy(&s->mem, keywords) : SPAN_NONE};
    return r;
}

int store_select_mailbox(struct store *s, struct store_mailbox *m, uint64_t first, uint64_t last, size_t limit,
                         bool only_deleted, struct store_rows *rows)
{
    enum db_id id = only_deleted ? DB_MEMBER_SCAN_DELETED : DB_MEMBER_SCAN;
    if (rows->n >= limit) {
        rows->more = true;
        return 0;
    }
    int rc = DB_FIRST(s->db, id, DB_I(m->id), DB_I(first), DB_I(last), DB_I(limit - rows->n + 1));
    for (; rc == 1; rc = db_next(s->db, id)) {
        if (rows->n == limit) {
            rows->more = true;
            db_end(s->db, id);
            return 0;
        }
        rows->last = add_row(s, id, m, rows)->uid;
    }
    return rc;
}

static int one_email(struct store *s, struct store_account *a, uint64_t eid, bool only_deleted, struct store_rows *rows)
{
    enum db_id id = DB_MEMBER_ALL_OF_EMAIL;
    int rc = DB_FIRST(s->db, id, DB_I(eid));
    for (; rc == 1; rc = db_next(s->db, id)) {
        uint64_t mailbox = (uint64_t)db_i64(s->db, id, 7);
        struct store_mailbox *m = mailbox == 0 ? NULL : store_account_mailbox(a, mailbox);
        bool deleted = ((uint32_t)db_i64(s->db, id, 3) & FLAG_DELETED) != 0;
        if (m != NULL && (deleted || !only_deleted)) /* else another account's */
            add_row(s, id, m, rows);
    }
    rows->last = eid;
    return rc;
}

static int by_eid(struct store *s, struct store_op *op, struct store_account *a, const struct msg_uid_range *v,
                  uint32_t n, uint64_t after, size_t limit, bool only_deleted, struct store_rows *rows)
{
    uint64_t asked = 0;
    for (uint32_t i = 0; i < n; i++) {
        asked += v[i].last - v[i].first < EIDS_MOST ? v[i].last - v[i].first + 1 : EIDS_MOST + 1;
        if (asked > EIDS_MOST)
            return fail_perm(&op->w->fail, "5.5.4", "too many emails at a time");
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t eid = MAX_OF(v[i].first, after + 1); eid <= v[i].last; eid++) {
            if (rows->n >= limit) {
                rows->more = true;
                return 0;
            }
            if (one_email(s, a, eid, only_deleted, rows) != 0)
                return -1;
        }
    return 0;
}

int store_select(struct store *s, struct store_op *op, uint64_t mailbox, const struct msg_uid_range *ranges, uint32_t n,
                 uint64_t after, size_t limit, bool only_deleted, struct store_account **a, struct store_mailbox **m,
                 struct store_rows *rows)
{
    struct msg_uid_range *v = NULL;
    *rows = (struct store_rows){.last = after};
    *m = NULL;
    *a = store_account_get(s, op->account, false);
    if (*a == NULL && db_trouble(s->db) != DB_FINE)
        return -1;
    if (*a != NULL && mailbox != 0)
        *m = store_account_mailbox(*a, mailbox);
    if (*a == NULL || (mailbox != 0 && *m == NULL))
        return fail_perm(&op->w->fail, "5.2.0", "no such mailbox");
    if (ranges_clean(s, ranges, n, &v, &n, &op->w->fail) != 0)
        return -1;
    if (mailbox == 0)
        return by_eid(s, op, *a, v, n, after, limit, only_deleted, rows);
    for (uint32_t i = 0; i < n && !rows->more; i++)
        if (v[i].last > after &&
            store_select_mailbox(s, *m, MAX_OF(v[i].first, after + 1), v[i].last, limit, only_deleted, rows) != 0)
            return -1;
    return 0;
}
