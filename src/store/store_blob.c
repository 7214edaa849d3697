/* store_blob: uploads (see the header). An id is the number of its bytes in the log; it is looked up with its account.
 */
#include "store/store_blob.h"

#include "base/clock.h"
#include "base/limits.h"
#include "store/store_meta.h"
#include "store/store_remove.h"

enum { READ_MOST = 65536 };

int store_blob_find(struct db *db, uint64_t account, uint64_t blob, struct store_body_from *from, int64_t *expires_s,
                    struct fail *f)
{
    enum db_id id = DB_UPLOAD_PLACE;
    int rc = DB_FIRST(db, id, DB_I(blob));
    if (rc < 0)
        return db_fail(db, f);
    bool there = rc == 1 && (uint64_t)db_i64(db, id, 0) == account && db_i64(db, id, 2) > clock_now_s();
    if (there)
        *from = (struct store_body_from){.crc = (uint32_t)db_i64(db, id, 1),
                                         .place = {.bid = (uint64_t)db_i64(db, id, 3),
                                                   .seg = (uint32_t)db_i64(db, id, 4),
                                                   .off = (uint64_t)db_i64(db, id, 5),
                                                   .meta = (uint32_t)db_i64(db, id, 6),
                                                   .len = (uint64_t)db_i64(db, id, 7),
                                                   .big = db_i64(db, id, 8) != 0}};
    if (there && expires_s != NULL)
        *expires_s = db_i64(db, id, 2);
    db_end(db, id);
    return there ? 0 : fail_perm(f, "5.2.0", "no such upload");
}

static struct span make_meta(struct store *s, uint64_t account)
{
    struct str out;
    str_init(&out, &s->mem);
    store_meta_put(&out, &(struct store_meta){.kind = META_UPLOAD, .account = account});
    return str_span(&out);
}

static int check_room(struct store *s, struct store_op *op, uint64_t size)
{
    int rc = DB_FIRST(s->db, DB_UPLOAD_SUM, DB_I(op->account));
    if (rc != 1)
        return -1;
    int64_t n = db_i64(s->db, DB_UPLOAD_SUM, 0), bytes = db_i64(s->db, DB_UPLOAD_SUM, 1);
    db_end(s->db, DB_UPLOAD_SUM);
    if (n >= LIMIT(UPLOADS) || bytes + (int64_t)size > LIMIT(UPLOAD_BYTES))
        return fail_perm(&op->w->fail, "5.2.36", "too many uploads wait to be used");
    return 0;
}

int store_blob_plan(struct store *s, struct store_op *op)
{
    const struct msg_blob_put *in = op->w->in;
    struct msg_ingest *m = arena_zalloc(&s->mem, sizeof *m);
    *m = (struct msg_ingest){.op = in->op,
                             .size = in->size,
                             .body = in->body,
                             .file = in->file,
                             .spool = in->spool,
                             .received_ms = clock_now_ms()};
    op->arrival = m;
    if (in->op.n != 16)
        return fail_perm(&op->w->fail, "5.5.4", "blob_put: an operation id has 16 bytes");
    if (check_room(s, op, MAX_OF(in->size, (uint64_t)in->body.n)) != 0 ||
        store_body_take(s, op, NULL, &op->w->fail) != 0)
        return -1;
    s->records.v[op->record - 1].meta = make_meta(s, op->account);
    return 0;
}

int store_blob_apply(struct store *s, struct store_op *op)
{
    struct msg_blob_put_r *out = op->w->out;
    const struct msglog_record *r = &s->records.v[op->record - 1];
    *out = (struct msg_blob_put_r){r->bid, clock_now_s() + LIMIT(UPLOAD_S)};
    if (store_account_get(s, op->account, true) == NULL) /* so that it goes with the account */
        return -1;
    return store_body_insert(s, op, 1) != 0 ? -1
                                            : DB_RUN(s->db, DB_UPLOAD_PUT, DB_I(r->bid), DB_I(op->account),
                                                     DB_I(r->body_len), DB_I(r->body_crc), DB_I(out->expires_s));
}

int store_blob_purge(struct store *s, size_t most, size_t *gone)
{
    *gone = 0;
    while (*gone < most) {
        int rc = DB_FIRST(s->db, DB_UPLOAD_OLD, DB_I(1));
        if (rc != 1)
            return rc;
        uint64_t bid = (uint64_t)db_i64(s->db, DB_UPLOAD_OLD, 0);
        bool old = db_i64(s->db, DB_UPLOAD_OLD, 1) < clock_now_s();
        db_end(s->db, DB_UPLOAD_OLD);
        if (!old) /* ids and times grow together */
            return 0;
        if (store_remove_blob(s, bid) != 0 || DB_RUN(s->db, DB_UPLOAD_DELETE, DB_I(bid)) != 0)
            return -1;
        ++*gone;
    }
    return 1;
}

static int read_pinned(struct store *s, uint64_t account, const struct msg_blob_get *in, struct msg_blob_get_r *out,
                       struct arena *mem, struct fail *f)
{
    struct store_body_from from;
    struct db *db = store_reader(s);
    int rc = store_blob_find(db, account, in->blob, &from, NULL, f);
    store_reader_done(s, db);
    if (rc != 0)
        return -1;
    out->size = from.place.len;
    uint32_t length = MIN_OF(in->length, (uint32_t)READ_MOST);
    return msglog_read(s->log, &from.place, in->offset, length, &out->data, mem, f);
}

int store_blob_get(struct store *s, uint64_t account, const struct msg_blob_get *in, struct msg_blob_get_r *out,
                   struct arena *mem, struct fail *f)
{
    struct msglog_pin pin;
    *out = (struct msg_blob_get_r){0};
    msglog_pin(s->log, &pin); /* what the row names stays meanwhile */
    int rc = read_pinned(s, account, in, out, mem, f);
    msglog_unpin(s->log, &pin);
    return rc;
}
