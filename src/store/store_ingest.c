/* store_ingest: a message arrives for one or more mailboxes: one record in the log, an email and a member per target.
 *
 * Planned before the log is written, so that the record can name the uids it got (what a rebuild of a lost index
 * needs, store_meta.h); applied after it is on disk.
 */
#include "store/store_ingest.h"
#include "base/clock.h"
#include "base/limits.h"
#include "format/edit.h"
#include "format/summary.h"
#include "store/store_meta.h"
#include "store/store_queue_impl.h"

enum { FLAGS_KNOWN = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

static struct span make_meta(struct store *s, const struct store_op *op, struct span keywords)
{
    const struct msg_ingest *in = op->arrival;
    const struct msg_ingest_result *r = op->results;
    struct store_meta m = {.kind = op->w->id == MSG_ID_append ? META_APPEND : META_INGEST, .n = in->targets.n,
                           .summary_flags = in->summary_flags, .msgid_hash = in->msgid_hash, .date_s = in->date_s,
                           .sender = in->sender, .keywords = keywords};
    struct str out;
    str_init(&out, &s->mem);
    str_reserve(&out, 64 + in->sender.n + in->targets.n * 96);
    store_meta_put(&out, &m);
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        store_meta_put_target(&out, &(struct store_meta_target){.account = t->account, .mailbox = r[i].mailbox,
            .uid = r[i].uid, .eid = r[i].eid, .modseq = r[i].modseq, .flags = t->flags, .address = t->address});
    }
    store_meta_put_end(&out, &m);
    return str_span(&out);
}

/* ---- checks: nothing is changed before all of them have passed ---- */

static int check_shape(const struct msg_ingest *in, struct fail *f)
{
    if (in->op.n != 16)
        return fail_perm(f, "5.5.4", "ingest: an operation id has 16 bytes");
    if (in->targets.n + in->remotes.n == 0 || in->targets.n > UINT16_MAX || in->remotes.n > UINT16_MAX)
        return fail_perm(f, "5.5.3", "ingest: no targets, or too many");
    if (in->refs.n % 8 != 0 || in->refs.n > 8 * (size_t)LIMIT(THREAD_REFS))
        return fail_perm(f, "5.5.4", "ingest: refs is not a short list of hashes");
    if (in->sender.n > UINT16_MAX)
        return fail_perm(f, "5.5.4", "ingest: the sender is too long");
    for (uint32_t i = 0; i < in->targets.n; i++)
        if (in->targets.v[i].address.n > UINT16_MAX || (in->targets.v[i].flags & ~(uint32_t)FLAGS_KNOWN) != 0)
            return fail_perm(f, "5.5.4", "ingest: target %u is not valid", i);
    return 0;
}

/* -1 with *f, or with f untouched for trouble of the index. */
static int check_targets(struct store *s, struct store_op *op, uint64_t stored, struct fail *f)
{
    const struct msg_ingest *in = op->arrival;
    op->edits = arena_zalloc(&s->mem, in->targets.n * sizeof *op->edits);
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        struct str edits;
        str_init(&edits, &s->mem);
        if (op->w->id == MSG_ID_ingest && edit_delivery(&edits, in->sender, t->address, f) != 0)
            return -1;
        if (op->w->id == MSG_ID_ingest && in->edits.n > 0) /* those of the submission, behind the version byte */
            str_add(&edits, span_from(in->edits, 1));
        op->edits[i] = str_span(&edits);
        struct store_account *a = store_account_get(s, t->account, false);
        if (a == NULL && db_trouble(s->db) != DB_FINE)
            return -1;
        if (t->mailbox != 0 && (a == NULL || store_account_mailbox(a, t->mailbox) == NULL))
            return fail_perm(f, "5.2.0", "no such mailbox");
        if (store_account_room(a, edit_size(op->edits[i], stored), 1, f) != 0)
            return -1;
    }
    return 0;
}

/* ---- planning and applying ---- */

static int assign(struct store *s, struct store_op *op)
{
    const struct msg_ingest *in = op->arrival;
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        struct store_account *a = store_account_get(s, t->account, true);
        struct store_mailbox *m = a == NULL         ? NULL
                                  : t->mailbox != 0 ? store_account_mailbox(a, t->mailbox)
                                                    : store_account_inbox(s, a, t->lang);
        if (m == NULL)
            return -1;
        uint64_t size = edit_size(op->edits[i], s->records.v[op->record - 1].body_len);
        op->results[i] = (struct msg_ingest_result){.account = t->account,
                                                    .mailbox = m->id,
                                                    .uid = m->uidnext++,
                                                    .eid = s->next_eid++,
                                                    .modseq = store_account_modseq(s, a, m)};
        store_account_count(m, t->flags, size, 1);
    }
    return 0;
}

int store_ingest_message(struct store *s, struct store_op *op, const struct store_body_from *from, struct span keywords)
{
    const struct msg_ingest *in = op->arrival;
    struct fail *f = &op->w->fail;
    if (check_shape(in, f) != 0 || store_body_take(s, op, from, f) != 0)
        return -1;
    uint64_t stored = s->records.v[op->record - 1].body_len;
    if ((op->w->id == MSG_ID_ingest && store_queue_ingest_check(s, op, stored, f) != 0) || check_targets(s, op, stored, f) != 0) {
        store_body_give(s, op);
        return -1;
    }
    op->n = in->targets.n;
    op->results = arena_alloc(op->w->mem, op->n * sizeof *op->results);
    if (assign(s, op) != 0)
        return -1;
    s->records.v[op->record - 1].meta = make_meta(s, op, keywords);
    return 0;
}

int store_ingest_plan(struct store *s, struct store_op *op)
{
    op->arrival = op->w->in;
    op->keywords = SPAN_NONE;
    if (op->w->extra != NULL && store_keyword_pack(op->w->extra->keywords, &op->keywords, &s->mem, &op->w->fail) != 0)
        return -1;
    return store_ingest_message(s, op, NULL, SPAN_NONE);
}

static int insert_target(struct store *s, const struct store_op *op, uint32_t i, const struct msglog_record *r,
                         int64_t now)
{
    const struct msg_ingest *in = op->arrival;
    const struct msg_ingest_target *t = &in->targets.v[i];
    const struct msg_ingest_result *out = &op->results[i];
    uint64_t size = edit_size(op->edits[i], r->body_len);
    struct db_arg date = DB_I(in->date_s), keywords = DB_NULL;
    bool ascii = op->w->id != MSG_ID_ingest || edit_delivery_ascii(in->sender, t->address);
    uint32_t flags = in->summary_flags | (ascii ? 0 : SUMMARY_UTF8);
    if (in->date_s == INT64_MIN)
        date = (struct db_arg)DB_NULL;
    if (op->keywords.n > 0)
        keywords = (struct db_arg)DB_B(op->keywords);
    if (DB_RUN(s->db, DB_EMAIL_INSERT, DB_I(out->eid), DB_I(t->account), DB_I(r->bid), DB_I(size), DB_I(out->modseq),
               DB_I(in->msgid_hash), date, DB_I(in->received_ms), DB_I(flags), DB_B(in->refs),
               DB_B(op->edits[i]), DB_B(in->envelope), DB_B(in->preview), DB_B(in->structure), DB_B(in->headers)) != 0)
        return -1;
    s->emails++;
    return DB_RUN(s->db, DB_MEMBER_INSERT, DB_I(out->mailbox), DB_I(out->uid), DB_I(out->eid), DB_I(t->flags),
                  DB_I(size), DB_I(in->received_ms), DB_I(MAX_OF(now - in->received_ms, 0)), DB_I(out->modseq),
                  keywords);
}

/* An operation before it in the batch may have removed an account or a mailbox after this one was planned. */
static int still_there(struct store *s, const struct store_op *op)
{
    for (uint32_t i = 0; i < op->n; i++) {
        struct store_account *a = store_account_get(s, op->results[i].account, false);
        if (a == NULL && db_trouble(s->db) != DB_FINE)
            return -1;
        if (a == NULL || store_account_mailbox(a, op->results[i].mailbox) == NULL)
            return fail_perm(&op->w->fail, "5.2.0", "no such mailbox any more");
    }
    return 0;
}

int store_ingest_insert(struct store *s, struct store_op *op)
{
    int64_t now = clock_now_ms();
    if (still_there(s, op) != 0)
        return -1;
    if (store_body_insert(s, op, op->n + op->refs) != 0)
        return -1;
    for (uint32_t i = 0; i < op->n; i++)
        if (insert_target(s, op, i, &s->records.v[op->record - 1], now) != 0)
            return -1;
    return 0;
}

int store_ingest_apply(struct store *s, struct store_op *op)
{
    struct msg_ingest_r *out = op->w->out;
    out->repeated = 0;
    out->results.v = op->results;
    out->results.n = (uint32_t)op->n;
    if (store_send_count(s, op) != 0 || store_ingest_insert(s, op) != 0)
        return -1;
    return store_queue_ingest(s, op);
}
