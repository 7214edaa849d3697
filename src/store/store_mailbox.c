/* store_mailbox: the mailboxes of an account. */
#include "store/store_impl.h"

enum { REPLY_BYTES = 150 * 1024 }; /* stays below a frame */

int store_mailbox_make_inbox(struct store *s, struct store_op *op)
{
    struct store_account *a = store_account_get(s, op->account, true);
    const struct span *lang = op->w->in;
    return a != NULL && store_account_inbox(s, a, *lang) != NULL ? 0 : -1;
}

static int list(struct store *s, uint64_t account, struct msg_mailbox_list_r *out, struct arena *mem, struct fail *f)
{
    struct db *db = store_reader(s);
    VEC(struct msg_mailbox_row) rows = {0};
    enum db_id id = DB_MAILBOX_LIST;
    int rc = DB_FIRST(db, id, DB_I(account));
    for (; rc == 1; rc = db_next(db, id))
        *VEC_PUSH(&rows) = (struct msg_mailbox_row){
            .mailbox = (uint64_t)db_i64(db, id, 0),
            .parent = (uint64_t)db_i64(db, id, 11),
            .name = arena_copy(mem, db_bytes(db, id, 1)),
            .role = (uint32_t)db_i64(db, id, 2),
            .subscribed = (uint32_t)db_i64(db, id, 12),
            .uidvalidity = (uint64_t)db_i64(db, id, 3),
            .uidnext = (uint64_t)db_i64(db, id, 4),
            .modseq = (uint64_t)db_i64(db, id, 5),
            .total = (uint64_t)db_i64(db, id, 6),
            .unseen = (uint64_t)db_i64(db, id, 7),
            .deleted = (uint64_t)db_i64(db, id, 8),
            .size = (uint64_t)db_i64(db, id, 9),
            .unread = (uint64_t)db_i64(db, id, 13),
            .created_modseq = (uint64_t)db_i64(db, id, 14),
            .changed_modseq = (uint64_t)db_i64(db, id, 10),
        };
    if (rc != 0)
        db_fail(db, f);
    store_reader_done(s, db);
    out->more = 0;
    out->mailboxes.n = (uint32_t)rows.n;
    out->mailboxes.v = arena_alloc(mem, (rows.n + 1) * sizeof *rows.v);
    if (rows.n > 0)
        memcpy(out->mailboxes.v, rows.v, rows.n * sizeof *rows.v);
    VEC_FREE(&rows);
    return rc;
}

int store_mailbox_list(struct store *s, uint64_t account, struct span lang, struct msg_mailbox_list_r *out,
                       struct arena *mem, struct fail *f)
{
    int rc = list(s, account, out, mem, f);
    for (uint32_t i = 0; rc == 0 && i < out->mailboxes.n; i++)
        if (out->mailboxes.v[i].role == MAILBOX_INBOX)
            return 0;
    if (rc == 0) { /* the first listing of an account makes its INBOX and what comes with it */
        struct store_write w = {.id = MSG_ID_mailbox_list, .account = account, .in = &lang, .mem = mem};
        rc = store_wait(s, &w);
        if (rc != 0)
            *f = w.fail;
    }
    return rc == 0 ? list(s, account, out, mem, f) : rc;
}

int store_mailbox_page(struct store *s, uint64_t account, struct span lang, const struct msg_mailbox_list *in,
                       struct msg_mailbox_list_r *out, struct arena *mem, struct fail *f)
{
    size_t bytes = 0;
    uint32_t n = 0;
    if (store_mailbox_list(s, account, lang, out, mem, f) != 0)
        return -1;
    while (out->mailboxes.n > 0 && out->mailboxes.v[0].mailbox <= in->after) {
        out->mailboxes.v++;
        out->mailboxes.n--;
    }
    for (; n < out->mailboxes.n && bytes < REPLY_BYTES; n++)
        bytes += 112 + out->mailboxes.v[n].name.n;
    out->more = n < out->mailboxes.n;
    out->mailboxes.n = n;
    return 0;
}
