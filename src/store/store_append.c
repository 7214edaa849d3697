/* store_append: a client puts a message into a mailbox (RFC 9051 6.3.12; RFC 8621 4.6, 4.8): ingest for one target,
 * without the lines of delivery, with keywords, perhaps from an upload. */
#include "base/clock.h"
#include "store/store_blob.h"
#include "store/store_ingest.h"

/* As the arrival it is; lives in the batch's arena. */
static const struct msg_ingest *as_arrival(struct store *s, const struct store_op *op)
{
    const struct msg_append *in = op->w->in;
    struct msg_ingest *m = arena_zalloc(&s->mem, sizeof *m);
    struct msg_ingest_target *t = arena_zalloc(&s->mem, sizeof *t);
    *t = (struct msg_ingest_target){.account = op->account, .mailbox = in->mailbox, .flags = in->flags};
    *m = (struct msg_ingest){.op = in->op,
                             .size = in->size,
                             .body = in->body,
                             .file = in->file,
                             .spool = in->spool,
                             .received_ms = in->internal_ms,
                             .summary_flags = in->summary_flags,
                             .msgid_hash = in->msgid_hash,
                             .date_s = in->date_s,
                             .headers = in->headers,
                             .envelope = in->envelope,
                             .structure = in->structure,
                             .preview = in->preview,
                             .refs = in->refs};
    m->targets.v = t;
    m->targets.n = 1;
    return m;
}

int store_append_plan(struct store *s, struct store_op *op)
{
    const struct msg_append *in = op->w->in;
    struct fail *f = &op->w->fail;
    struct store_body_from from;
    if (store_keyword_pack(in->keywords, &op->keywords, &s->mem, f) != 0)
        return -1;
    if (in->upload != 0 && store_blob_find(s->db, op->account, in->upload, &from, NULL, f) != 0)
        return -1;
    op->arrival = as_arrival(s, op);
    return store_ingest_message(s, op, in->upload != 0 ? &from : NULL, in->keywords);
}

int store_append_apply(struct store *s, struct store_op *op)
{
    struct msg_append_r *out = op->w->out;
    const struct msg_ingest_result *r = &op->results[0];
    struct store_account *a = store_account_get(s, op->account, false);
    struct store_mailbox *m = a != NULL ? store_account_mailbox(a, r->mailbox) : NULL;
    if (m == NULL) /* removed by an operation of this batch, after it was planned */
        return fail_perm(&op->w->fail, "5.2.0", "no such mailbox");
    *out = (struct msg_append_r){r->mailbox, m->uidvalidity, r->uid, r->eid, r->modseq};
    return store_ingest_insert(s, op);
}
