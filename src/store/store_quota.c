/* store_quota: how much an account may hold and holds (RFC 9208): bytes and messages over all its mailboxes. A message
 * in two mailboxes counts twice, as its clients see it. */
#include "base/limits.h"
#include "base/log.h"
#include "store/store_impl.h"

enum { AS_IT_IS = -2 };

int store_quota_apply(struct store *s, struct store_op *op)
{
    const struct msg_quota_set *in = op->w->in;
    struct msg_quota_set_r *out = op->w->out;
    if (in->limit_bytes < AS_IT_IS || in->limit_messages < AS_IT_IS || in->account == 0)
        return fail_perm(&op->w->fail, "5.5.4", "quota_set: not a limit");
    bool only_look = in->limit_bytes == AS_IT_IS && in->limit_messages == AS_IT_IS;
    struct store_account *a = store_account_get(s, in->account, !only_look);
    *out = (struct msg_quota_set_r){.limit_bytes = -1, .limit_messages = -1};
    if (a == NULL)
        return only_look && db_trouble(s->db) == DB_FINE ? 0 : -1;
    if (in->limit_bytes != AS_IT_IS)
        a->quota = in->limit_bytes;
    if (in->limit_messages != AS_IT_IS)
        a->quota_messages = in->limit_messages;
    if (!only_look) {
        a->dirty_row = true;
        store_account_touch(s, a, NULL);
    }
    *out = (struct msg_quota_set_r){store_account_used(a), store_account_messages(a), a->quota, a->quota_messages};
    return only_look ? 0 : store_note_tree(s, a->id);
}

static int count(struct store *s, const struct store_mailbox *m, uint64_t v[5])
{
    enum db_id id = DB_MEMBER_COUNT;
    int rc = DB_FIRST(s->db, id, DB_I(m->id));
    for (int i = 0; i < 5 && rc == 1; i++)
        v[i] = (uint64_t)db_i64(s->db, id, i); /* sums of nothing are NULL, read as 0 */
    db_end(s->db, id);
    return rc == 1 ? 0 : -1;
}

/* Runs behind all others of its batch: their rows are then there as their counters are. */
int store_quota_recount(struct store *s, struct store_op *op)
{
    const struct msg_recount *in = op->w->in;
    struct msg_recount_r *out = op->w->out;
    *out = (struct msg_recount_r){0};
    struct store_account *a = store_account_get(s, in->account, false);
    if (a == NULL)
        return db_trouble(s->db) == DB_FINE ? fail_perm(&op->w->fail, "5.2.0", "no such account here") : -1;
    for (struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next) {
        uint64_t v[5], *have[5] = {&m->total, &m->unseen, &m->deleted, &m->size, &m->unread};
        if (count(s, m, v) != 0)
            return -1;
        out->messages += v[0];
        for (int i = 0; i < 5; i++) {
            if (*have[i] == v[i])
                continue;
            LOG(LOG_WARN, "store.recount", L_INT("account", (int64_t)a->id), L_INT("mailbox", (int64_t)m->id),
                L_INT("had", (int64_t)*have[i]), L_INT("has", (int64_t)v[i]));
            *have[i] = v[i];
            out->wrong++;
            store_account_touch(s, a, m);
        }
    }
    return 0;
}

int store_quota_get(struct store *s, uint64_t account, struct msg_quota_get_r *out, struct fail *f)
{
    struct db *db = store_reader(s);
    *out = (struct msg_quota_get_r){.limit_bytes = -1, .limit_messages = -1, .limit_mailboxes = LIMIT(MAILBOXES)};
    int rc = db_begin(db);
    if (rc == 0)
        rc = DB_FIRST(db, DB_ACCOUNT_GET, DB_I(account));
    if (rc == 1 && !db_null(db, DB_ACCOUNT_GET, 2))
        out->limit_bytes = db_i64(db, DB_ACCOUNT_GET, 2);
    if (rc == 1 && !db_null(db, DB_ACCOUNT_GET, 4))
        out->limit_messages = db_i64(db, DB_ACCOUNT_GET, 4);
    if (rc >= 0)
        rc = DB_FIRST(db, DB_MAILBOX_LIST, DB_I(account));
    for (; rc == 1; rc = db_next(db, DB_MAILBOX_LIST)) {
        out->mailboxes++;
        out->messages += (uint64_t)db_i64(db, DB_MAILBOX_LIST, 6);
        out->bytes += (uint64_t)db_i64(db, DB_MAILBOX_LIST, 9);
    }
    if (rc != 0)
        db_fail(db, f);
    db_rollback(db);
    store_reader_done(s, db);
    return rc;
}
