/* store_ingest: a message arrives for one or more mailboxes: one record in the log, an email and a member per target.
 *
 * Planned before the log is written, so that the record can name the uids it got (what a rebuild of a lost index
 * needs); applied after it is on disk. Meta data of a record, little endian: u8 version 1, u8 zero, u16 targets, u32
 * summary flags, u64 hash of the message-id, i64 date, u16 length and sender; per target u64 account, mailbox, uid,
 * eid, modseq, u32 flags, u16 length and address.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "store/crc32c.h"
#include "store/store_edit.h"
#include "store/store_impl.h"

#include <endian.h>
#include <errno.h>

enum { FLAGS_KNOWN = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

static void put(struct str *s, uint64_t v, size_t bytes)
{
    v = htole64(v);
    str_add(s, span_of(&v, bytes));
}

static struct span make_meta(struct store *s, const struct msg_ingest *in, const struct msg_ingest_result *r)
{
    struct str out;
    str_init(&out, &s->mem);
    str_reserve(&out, 64 + in->sender.n + in->targets.n * 96);
    put(&out, 1, 2);
    put(&out, in->targets.n, 2);
    put(&out, in->summary_flags, 4);
    put(&out, in->msgid_hash, 8);
    put(&out, (uint64_t)in->date_s, 8);
    put(&out, in->sender.n, 2);
    str_add(&out, in->sender);
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        put(&out, t->account, 8);
        put(&out, r[i].mailbox, 8);
        put(&out, r[i].uid, 8);
        put(&out, r[i].eid, 8);
        put(&out, r[i].modseq, 8);
        put(&out, t->flags, 4);
        put(&out, t->address.n, 2);
        str_add(&out, t->address);
    }
    return str_span(&out);
}

/* ---- checks: nothing is changed before all of them have passed ---- */

static int check_shape(const struct msg_ingest *in, struct fail *f)
{
    if (in->op.n != 16)
        return fail_perm(f, "5.5.4", "ingest: an operation id has 16 bytes");
    if (in->targets.n == 0 || in->targets.n > UINT16_MAX)
        return fail_perm(f, "5.5.3", "ingest: no targets, or too many");
    if (in->sender.n > UINT16_MAX)
        return fail_perm(f, "5.5.4", "ingest: the sender is too long");
    for (uint32_t i = 0; i < in->targets.n; i++)
        if (in->targets.v[i].address.n > UINT16_MAX || (in->targets.v[i].flags & ~(uint32_t)FLAGS_KNOWN) != 0)
            return fail_perm(f, "5.5.4", "ingest: target %u is not valid", i);
    return 0;
}

/* -1 with *f, or with f untouched for trouble of the index. */
static int check_targets(struct store *s, struct store_op *op, const struct msg_ingest *in, uint64_t stored,
                         struct fail *f)
{
    op->edits = arena_alloc(&s->mem, in->targets.n * sizeof *op->edits);
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        struct str edits;
        str_init(&edits, &s->mem);
        if (store_edit_delivery(&edits, in->sender, t->address, f) != 0)
            return -1;
        op->edits[i] = str_span(&edits);
        struct store_account *a = store_account_get(s, t->account, false);
        if (a == NULL && db_trouble(s->db) != DB_FINE)
            return -1;
        if (t->mailbox != 0 && (a == NULL || store_account_mailbox(a, t->mailbox) == NULL))
            return fail_perm(f, "5.2.0", "no such mailbox");
        if (a != NULL && a->quota >= 0 &&
            store_account_used(a) + store_edit_size(op->edits[i], stored) > (uint64_t)a->quota)
            return fail_perm(f, "5.2.2", "the mailbox is full");
    }
    return 0;
}

/* ---- the body ---- */

static int read_file(struct store *s, const struct msg_ingest *in, struct span *body, struct fail *f)
{
    if (in->size > (uint64_t)LIMIT(MESSAGE_BYTES))
        return fail_perm(f, "5.3.4", "the message is too big");
    char *p = arena_alloc(&s->mem, (size_t)in->size);
    for (size_t at = 0; at < in->size;) {
        ssize_t got = pread(in->file, p + at, (size_t)in->size - at, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_perm(f, "5.5.4", "ingest: the file is shorter than it was said to be");
        at += (size_t)got;
    }
    *body = span_of(p, (size_t)in->size);
    return 0;
}

/* Finds the body and fills the record's part about it. Big ones go to their file here. */
static int take_body(struct store *s, struct store_op *op, const struct msg_ingest *in, struct msglog_record *r,
                     struct span *body, struct fail *f)
{
    if (in->spool != 0) {
        op->spool = store_spool_take(s, in->op);
        if (op->spool == NULL)
            return fail_temp(f, "4.3.0", "ingest: nothing was spooled for this operation");
        if (op->spool->size != in->size)
            return fail_perm(f, "5.5.4", "ingest: another size was spooled");
        r->body_len = op->spool->size;
        r->body_crc = op->spool->crc;
        r->flags = MSGLOG_BIG;
        return 0;
    }
    if (in->file >= 0) {
        if (read_file(s, in, body, f) != 0)
            return -1;
    } else {
        *body = in->body;
    }
    r->body_len = body->n;
    r->body_crc = crc32c(0, body->p, body->n);
    if (body->n > s->big_bytes)
        r->flags = MSGLOG_BIG;
    else
        r->body = *body;
    return 0;
}

/* ---- planning and applying ---- */

static int assign(struct store *s, struct store_op *op, const struct msg_ingest *in)
{
    for (uint32_t i = 0; i < in->targets.n; i++) {
        const struct msg_ingest_target *t = &in->targets.v[i];
        struct store_account *a = store_account_get(s, t->account, true);
        struct store_mailbox *m = a == NULL         ? NULL
                                  : t->mailbox != 0 ? store_account_mailbox(a, t->mailbox)
                                                    : store_account_inbox(s, a);
        if (m == NULL)
            return -1;
        uint64_t size = store_edit_size(op->edits[i], s->records.v[op->record - 1].body_len);
        op->results[i] = (struct msg_ingest_result){.account = t->account,
                                                    .mailbox = m->id,
                                                    .uid = m->uidnext++,
                                                    .eid = s->next_eid++,
                                                    .modseq = store_account_modseq(s, a, m)};
        m->total++;
        m->size += size;
        m->unseen += (t->flags & FLAG_SEEN) == 0;
        m->deleted += (t->flags & FLAG_DELETED) != 0;
    }
    return 0;
}

int store_ingest_plan(struct store *s, struct store_op *op)
{
    const struct msg_ingest *in = op->w->in;
    struct fail *f = &op->w->fail;
    struct msglog_record r = {.received_ms = in->received_ms};
    struct span body = SPAN_NONE;
    if (check_shape(in, f) != 0 || take_body(s, op, in, &r, &body, f) != 0 ||
        check_targets(s, op, in, r.body_len, f) != 0)
        return -1;
    memcpy(r.op, in->op.p, 16);
    r.bid = s->next_bid++;
    if ((r.flags & MSGLOG_BIG) != 0) { /* written where the log is: see store_commit.c */
        r.body = SPAN_NONE;
        s->big_dirty = true;
    }
    *VEC_PUSH(&s->records) = r;
    op->record = s->records.n;
    op->n = in->targets.n;
    op->results = arena_alloc(op->w->mem, op->n * sizeof *op->results);
    if (assign(s, op, in) != 0)
        return -1;
    s->records.v[op->record - 1].meta = make_meta(s, in, op->results);
    op->big_body = (r.flags & MSGLOG_BIG) != 0 ? body : SPAN_NONE;
    return 0;
}

static int insert_target(struct store *s, const struct store_op *op, uint32_t i, const struct msglog_record *r,
                         int64_t now)
{
    const struct msg_ingest *in = op->w->in;
    const struct msg_ingest_target *t = &in->targets.v[i];
    const struct msg_ingest_result *out = &op->results[i];
    uint64_t size = store_edit_size(op->edits[i], r->body_len);
    struct db_arg date = DB_I(in->date_s);
    if (in->date_s == INT64_MIN)
        date = (struct db_arg)DB_NULL;
    if (DB_RUN(s->db, DB_EMAIL_INSERT, DB_I(out->eid), DB_I(t->account), DB_I(r->bid), DB_I(size), DB_I(in->msgid_hash),
               date, DB_I(in->received_ms), DB_I(in->summary_flags), DB_B(op->edits[i]), DB_B(in->envelope),
               DB_B(in->preview), DB_B(in->structure), DB_B(in->headers)) != 0)
        return -1;
    s->emails++;
    return DB_RUN(s->db, DB_MEMBER_INSERT, DB_I(out->mailbox), DB_I(out->uid), DB_I(out->eid), DB_I(t->flags),
                  DB_I(size), DB_I(in->received_ms), DB_I(MAX_OF(now - in->received_ms, 0)), DB_I(out->modseq),
                  DB_NULL);
}

int store_ingest_apply(struct store *s, struct store_op *op)
{
    const struct msglog_record *r = &s->records.v[op->record - 1];
    bool big = (r->flags & MSGLOG_BIG) != 0;
    int64_t now = clock_now_ms();
    if (DB_RUN(s->db, DB_BLOB_INSERT, DB_I(r->bid), DB_I(r->seg), DB_I(r->off), DB_I(r->meta.n), DB_I(r->body_len),
               DB_I(big), DB_I(op->n)) != 0)
        return -1;
    s->blobs++;
    store_commit_live(s, r->seg, MSGLOG_HEADER + (int64_t)r->meta.n + (int64_t)r->body.n);
    for (uint32_t i = 0; i < op->n; i++)
        if (insert_target(s, op, i, r, now) != 0)
            return -1;
    struct msg_ingest_r *out = op->w->out;
    out->repeated = 0;
    out->results.v = op->results;
    out->results.n = (uint32_t)op->n;
    return 0;
}
