/* store_body: the bytes that a write brings, in its frame, a file, a spool, or an upload that is here already. */
#include "store/store_body.h"

#include "base/limits.h"
#include "store/crc32c.h"

#include <errno.h>

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

static int from_spool(struct store *s, struct store_op *op, const struct msg_ingest *in, struct msglog_record *r,
                      struct fail *f)
{
    op->spool = store_spool_take(s, in->op);
    if (op->spool == NULL)
        return fail_temp(f, "4.3.0", "nothing was spooled for this operation");
    if (op->spool->size != in->size)
        return fail_perm(f, "5.5.4", "another size was spooled");
    r->body_len = op->spool->size;
    r->body_crc = op->spool->crc;
    r->flags = MSGLOG_BIG;
    return 0;
}

/* A small one is copied; a file of its own gets a second name. Each message has a record of its own, so that the log
 * alone tells where it was put. */
static int from_upload(struct store *s, struct store_op *op, const struct store_body_from *from,
                       struct msglog_record *r, struct span *body, struct fail *f)
{
    r->body_len = from->place.len;
    r->body_crc = from->crc;
    if (from->place.big) {
        r->flags = MSGLOG_BIG;
        op->big_from = from->place.bid;
        return 0;
    }
    if (msglog_read(s->log, &from->place, 0, (size_t)from->place.len, body, &s->mem, f) != 0)
        return -1;
    r->body = *body;
    return 0;
}

static int from_frame(struct store *s, const struct msg_ingest *in, struct msglog_record *r, struct span *body,
                      struct fail *f)
{
    *body = in->body;
    if (in->file >= 0 && read_file(s, in, body, f) != 0)
        return -1;
    r->body_len = body->n;
    r->body_crc = crc32c(0, body->p, body->n);
    if (body->n > s->big_bytes)
        r->flags = MSGLOG_BIG;
    else
        r->body = *body;
    return 0;
}

int store_body_take(struct store *s, struct store_op *op, const struct store_body_from *from, struct fail *f)
{
    const struct msg_ingest *in = op->arrival;
    struct msglog_record r = {.received_ms = in->received_ms};
    struct span body = SPAN_NONE;
    op->big_from = 0;
    int rc = from != NULL     ? from_upload(s, op, from, &r, &body, f)
             : in->spool != 0 ? from_spool(s, op, in, &r, f)
                              : from_frame(s, in, &r, &body, f);
    if (rc != 0)
        return -1;
    memcpy(r.op, in->op.p, 16);
    r.bid = s->next_bid++;
    op->big_body = (r.flags & MSGLOG_BIG) != 0 ? body : SPAN_NONE;
    if ((r.flags & MSGLOG_BIG) != 0) /* written where the log is: see store_commit.c */
        s->big_dirty = true;
    *VEC_PUSH(&s->records) = r;
    op->record = s->records.n;
    return 0;
}

void store_body_give(struct store *s, struct store_op *op)
{
    if (op->record == 0)
        return;
    s->records.n--;
    op->record = 0;
}

int store_body_insert(struct store *s, const struct store_op *op, size_t refs)
{
    const struct msglog_record *r = &s->records.v[op->record - 1];
    bool big = (r->flags & MSGLOG_BIG) != 0;
    s->blobs++;
    store_commit_live(s, r->seg, MSGLOG_HEADER + (int64_t)r->meta.n + (int64_t)r->body.n);
    return DB_RUN(s->db, DB_BLOB_INSERT, DB_I(r->bid), DB_I(r->seg), DB_I(r->off), DB_I(r->meta.n), DB_I(r->body_len),
                  DB_I(big), DB_I(refs));
}
