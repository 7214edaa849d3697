/* store_rebuild_base: an index from a backup as what the new one begins with: it knows flags, copies and moves up to then.
 * Where messages lie has changed since (segments are rewritten), and some have gone. */
#include "store/store_rebuild_impl.h"

enum { ROWS = 5000 };

/* The record to use of a blob, or NULL. */
static const struct rebuild_record *find(const struct store_rebuild *r, uint64_t bid)
{
    size_t at = store_rebuild_find(r, bid), to;
    if (at == r->records.n || r->records.v[at].bid != bid)
        return NULL;
    store_rebuild_group(r, at, &to);
    return &r->records.v[to - 1];
}

static int place(struct store_rebuild *r, uint64_t bid)
{
    const struct rebuild_record *x = find(r, bid);
    if (x != NULL)
        return DB_RUN(r->db, DB_BLOB_MOVE, DB_I(bid), DB_I(x->seg), DB_I(x->off));
    return DB_RUN(r->db, DB_REBUILD_DROP_BLOB, DB_I(bid)) != 0 || DB_RUN(r->db, DB_REBUILD_DROP_BLOB_2, DB_I(bid)) != 0
               ? -1
               : DB_RUN(r->db, DB_BLOB_DELETE, DB_I(bid));
}

static int place_all(struct store_rebuild *r)
{
    enum db_id id = DB_REBUILD_BLOBS;
    VEC(uint64_t) bids = {0};
    int64_t after = 0;
    int rc;
    do {
        bids.n = 0;
        rc = DB_FIRST(r->db, id, DB_I(after), DB_I(ROWS));
        for (; rc == 1; rc = db_next(r->db, id))
            *VEC_PUSH(&bids) = (uint64_t)db_i64(r->db, id, 0);
        for (size_t i = 0; i < bids.n && rc == 0; i++)
            rc = place(r, bids.v[i]);
        after = bids.n > 0 ? (int64_t)bids.v[bids.n - 1] : after;
    } while (rc == 0 && bids.n == ROWS);
    VEC_FREE(&bids);
    return rc;
}

int store_rebuild_base(struct store_rebuild *r)
{
    static const enum db_id tidy[] = {DB_REBUILD_UPLOADS, DB_REBUILD_REFS, DB_REBUILD_UNUSED, DB_REBUILD_THREADS};
    int rc = DB_FIRST(r->db, DB_SEGMENT_LAST);
    if (rc == 1) {
        r->next_eid = MAX_OF(r->next_eid, (uint64_t)db_i64(r->db, DB_SEGMENT_LAST, 2));
        r->base_bid = (uint64_t)db_i64(r->db, DB_SEGMENT_LAST, 3);
        r->next_bid = MAX_OF(r->next_bid, r->base_bid);
        r->next_mailbox = MAX_OF(r->next_mailbox, (uint64_t)db_i64(r->db, DB_SEGMENT_LAST, 4));
        db_end(r->db, DB_SEGMENT_LAST);
    }
    if (rc < 0 || place_all(r) != 0)
        return -1;
    for (size_t i = 0; i < r->gone.n; i++)
        if (DB_RUN(r->db, DB_REBUILD_DROP_EMAIL, DB_I(r->gone.v[i])) != 0 || DB_RUN(r->db, DB_REPAIR_EMAIL, DB_I(r->gone.v[i])) != 0)
            return -1;
    for (size_t i = 0; i < COUNT_OF(tidy); i++)
        if (DB_RUN(r->db, tidy[i]) != 0)
            return -1;
    if (DB_FIRST(r->db, DB_REBUILD_COUNT) != 1)
        return -1;
    r->report.kept = (uint64_t)db_i64(r->db, DB_REBUILD_COUNT, 2);
    db_end(r->db, DB_REBUILD_COUNT);
    return 0;
}
