/* store_email: the text of a message as a client reads it: the log's bytes through the email's edit list. */
#include "store/store_edit.h"
#include "store/store_impl.h"

enum { READ_MOST = 65536 };

struct place {
    struct msglog_place log;
    uint64_t account, size;
    struct span edits;
};

static int find(struct db *db, uint64_t eid, struct place *out, struct arena *mem)
{
    enum db_id id = DB_EMAIL_PLACE;
    int rc = DB_FIRST(db, id, DB_I(eid));
    if (rc != 1)
        return rc;
    *out = (struct place){.account = (uint64_t)db_i64(db, id, 0),
                          .size = (uint64_t)db_i64(db, id, 1),
                          .edits = arena_copy(mem, db_bytes(db, id, 2)),
                          .log = {.bid = (uint64_t)db_i64(db, id, 3),
                                  .seg = (uint32_t)db_i64(db, id, 4),
                                  .off = (uint64_t)db_i64(db, id, 5),
                                  .meta = (uint32_t)db_i64(db, id, 6),
                                  .len = (uint64_t)db_i64(db, id, 7),
                                  .big = db_i64(db, id, 8) != 0}};
    db_end(db, id);
    return 1;
}

/* Bytes [from, from + n) of the edited message; n was clipped to it. */
static int window(struct store *s, const struct place *p, uint64_t from, size_t n, char *out, struct arena *mem,
                  struct fail *f)
{
    struct store_edit_walk w;
    struct store_edit_piece piece;
    uint64_t at = 0, to = from + n;
    store_edit_begin(&w, p->edits, p->log.len);
    for (; at < to && store_edit_next(&w, &piece); at += piece.n) {
        uint64_t a = MAX_OF(at, from), b = MIN_OF(at + piece.n, to);
        if (a >= b)
            continue;
        struct span bytes;
        if (piece.literal.p != NULL)
            bytes = span_sub(piece.literal, (size_t)(a - at), (size_t)(b - a));
        else if (msglog_read(s->log, &p->log, piece.at + (a - at), (size_t)(b - a), &bytes, mem, f) != 0)
            return -1;
        memcpy(out + (a - from), bytes.p, bytes.n);
    }
    return 0;
}

static int read_pinned(struct store *s, uint64_t account, const struct msg_email_read *in, struct msg_email_read_r *out,
                       struct arena *mem, struct fail *f)
{
    struct place p;
    *out = (struct msg_email_read_r){0};
    struct db *db = store_reader(s);
    int rc = find(db, in->eid, &p, mem);
    if (rc < 0)
        db_fail(db, f);
    store_reader_done(s, db); /* the place stays: it is pinned */
    if (rc < 0)
        return -1;
    if (rc == 0 || p.account != account)
        return fail_perm(f, "5.2.0", "no such message");
    if (store_edit_size(p.edits, p.log.len) != p.size)
        return fail_temp(f, "4.3.0", "stored message is damaged: edit list");
    out->size = p.size;
    if (in->offset >= p.size)
        return 0;
    size_t n = (size_t)MIN_OF((uint64_t)MIN_OF(in->length, (uint32_t)READ_MOST), p.size - in->offset);
    char *data = arena_alloc(mem, n + 1);
    if (window(s, &p, in->offset, n, data, mem, f) != 0)
        return -1;
    out->data = span_of(data, n);
    return 0;
}

int store_email_read(struct store *s, uint64_t account, const struct msg_email_read *in, struct msg_email_read_r *out,
                     struct arena *mem, struct fail *f)
{
    struct msglog_pin pin;
    msglog_pin(s->log, &pin);
    int rc = read_pinned(s, account, in, out, mem, f);
    msglog_unpin(s->log, &pin);
    return rc;
}
