/* store_rebuild_box: accounts and mailboxes of the new index: those that the log names, those that it does not, and the
 * numbers that may be given from now on.
 *
 * UIDs, modseqs and ids that were given and are forgotten (copies, moves, flag changes) must never be given again for
 * something else: RFC 9051 2.3.1.1, RFC 7162 3.1.1, RFC 8620 1.2. So each number goes on far above the last one known, and
 * whoever asks for changes since before is told to look at everything. */
#include "base/clock.h"
#include "run/ipc.h"
#include "store/store_impl.h"
#include "store/store_rebuild_impl.h"

enum { UID_ROOM = 1 << 20, NUMBER_ROOM = 1 << 20 };
#define MODSEQ_ROOM (1ll << 32)

/* ---- named ones ---- */

static struct db_arg limit_arg(int64_t v) { return v >= 0 ? (struct db_arg)DB_I(v) : (struct db_arg)DB_NULL; }

static int put_boxes(struct store_rebuild *r, struct rebuild_tree *t, struct store_meta *m)
{
    struct store_meta_box b;
    while (store_meta_box(m, &b)) {
        if (DB_RUN(r->db, DB_REBUILD_BOX, DB_I(t->account), DB_I(b.mailbox), DB_I(b.parent), DB_T(b.name), DB_I(b.role),
                   DB_I(b.uidvalidity), DB_I(b.subscribed), DB_I(b.created_modseq), DB_I(b.uidnext)) != 0)
            return -1;
        map_put_u64(&r->boxes, b.mailbox, t);
    }
    return 0;
}

/* What the index has on the account's modseq, -1: nothing. */
static int known_modseq(struct store_rebuild *r, uint64_t account, int64_t *out)
{
    *out = -1;
    int rc = DB_FIRST(r->db, DB_ACCOUNT_MODSEQ, DB_I(account));
    if (rc == 1 && !db_null(r->db, DB_ACCOUNT_MODSEQ, 0))
        *out = db_i64(r->db, DB_ACCOUNT_MODSEQ, 0);
    db_end(r->db, DB_ACCOUNT_MODSEQ);
    return rc < 0 ? -1 : 0;
}

static int drop_account(struct store_rebuild *r, uint64_t account)
{
    static const enum db_id all[] = {DB_REBUILD_DROP_ACCOUNT, DB_REBUILD_DROP_ACCOUNT_2, DB_REBUILD_DROP_ACCOUNT_3,
                                     DB_KV_DELETE_ALL, DB_MAILBOX_DELETE_ALL, DB_ACCOUNT_DELETE};
    map_put_u64(&r->removed, account, r);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (DB_RUN(r->db, all[i], DB_I(account)) != 0)
            return -1;
    return 0;
}

static int put_tree(struct store_rebuild *r, struct rebuild_tree *t)
{
    struct store_meta m;
    int64_t modseq;
    if (store_meta_read(t->meta, &m) != 0)
        return 0;
    if (!m.exists)
        return drop_account(r, t->account);
    if (known_modseq(r, t->account, &modseq) != 0)
        return -1;
    if (modseq > (int64_t)m.modseq) /* the backup's is newer */
        return 0;
    /* A name may have gone over to another mailbox meanwhile: all old ones out of the way first. */
    return DB_RUN(r->db, DB_REBUILD_ACCOUNT, DB_I(t->account), DB_I(m.modseq), DB_I(m.uidvalidity), limit_arg(m.quota),
                  limit_arg(m.quota_messages)) != 0 ||
                   DB_RUN(r->db, DB_REBUILD_HIDE, DB_I(t->account)) != 0 || put_boxes(r, t, &m) != 0 ||
                   DB_RUN(r->db, DB_REBUILD_UNHIDE, DB_I(t->account)) != 0
               ? -1
               : 0;
}

int store_rebuild_trees(struct store_rebuild *r)
{
    size_t at = 0;
    void *t;
    while (map_next(&r->trees, &at, NULL, &t))
        if (put_tree(r, t) != 0)
            return -1;
    int rc = DB_FIRST(r->db, DB_REBUILD_BOXES);
    for (; rc == 1; rc = db_next(r->db, DB_REBUILD_BOXES)) {
        uint64_t mailbox = (uint64_t)db_i64(r->db, DB_REBUILD_BOXES, 1);
        if (map_get_u64(&r->boxes, mailbox) != NULL)
            continue;
        struct rebuild_tree *own = arena_zalloc(&r->mem, sizeof *own);
        own->account = (uint64_t)db_i64(r->db, DB_REBUILD_BOXES, 0);
        map_put_u64(&r->boxes, mailbox, own);
    }
    return rc;
}

/* ---- the others ---- */

struct lost { uint64_t mailbox, account; bool delivered; };

static int has(struct db *db, enum db_id id, int rc)
{
    db_end(db, id);
    return rc;
}

/* A name that is free: "Recovered 7", then "Recovered 7 (2)", ... */
static int find_name(struct db *db, const struct lost *l, char *name, size_t cap)
{
    for (unsigned i = 1;; i++) {
        if (i == 1)
            snprintf(name, cap, "Recovered %llu", (unsigned long long)l->mailbox);
        else
            snprintf(name, cap, "Recovered %llu (%u)", (unsigned long long)l->mailbox, i);
        int rc = has(db, DB_REBUILD_HAS_NAME, DB_FIRST(db, DB_REBUILD_HAS_NAME, DB_I(l->account), DB_T(span_z(name))));
        if (rc <= 0)
            return rc;
    }
}

/* Mail is delivered to INBOX: the first mailbox that got some is it, unless one is known. UIDVALIDITY is not known, so
 * that a client does not take these for what it has seen. */
static int make_lost(struct store_rebuild *r, const struct lost *l, uint64_t uidvalidity)
{
    char name[64] = "INBOX";
    int inbox = has(r->db, DB_REBUILD_HAS_INBOX, DB_FIRST(r->db, DB_REBUILD_HAS_INBOX, DB_I(l->account)));
    if (inbox < 0)
        return -1;
    bool is_inbox = inbox == 0 && l->delivered;
    if (!is_inbox && find_name(r->db, l, name, sizeof name) < 0)
        return -1;
    r->report.recovered += !is_inbox;
    return DB_RUN(r->db, DB_REPAIR_ACCOUNT, DB_I(l->account)) != 0 ||
                   DB_RUN(r->db, DB_REBUILD_BOX, DB_I(l->account), DB_I(l->mailbox), DB_I(0), DB_T(span_z(name)),
                          DB_I(is_inbox ? MAILBOX_INBOX : MAILBOX_PLAIN), DB_I(uidvalidity), DB_I(1), DB_I(1), DB_I(1)) != 0
               ? -1
               : 0;
}

int store_rebuild_lost(struct store_rebuild *r)
{
    enum db_id id = DB_REBUILD_LOST;
    VEC(struct lost) v = {0};
    uint64_t now = (uint64_t)clock_now_s();
    int rc = DB_FIRST(r->db, id);
    for (; rc == 1; rc = db_next(r->db, id))
        *VEC_PUSH(&v) = (struct lost){(uint64_t)db_i64(r->db, id, 0), (uint64_t)db_i64(r->db, id, 1), db_i64(r->db, id, 2) != 0};
    for (size_t i = 0; i < v.n && rc == 0; i++)
        rc = make_lost(r, &v.v[i], now);
    VEC_FREE(&v);
    return rc;
}

/* ---- numbers ---- */

static int recount(struct store_rebuild *r)
{
    enum db_id id = DB_REBUILD_BOXES;
    VEC(struct lost) v = {0};
    uint64_t account = 0;
    int rc = DB_FIRST(r->db, id);
    for (; rc == 1; rc = db_next(r->db, id))
        *VEC_PUSH(&v) = (struct lost){.account = (uint64_t)db_i64(r->db, id, 0), .mailbox = (uint64_t)db_i64(r->db, id, 1)};
    for (size_t i = 0; i < v.n && rc == 0; i++) {
        rc = DB_RUN(r->db, DB_REPAIR_MAILBOX, DB_I(v.v[i].account), DB_I(v.v[i].mailbox));
        bool last = i + 1 == v.n || v.v[i + 1].account != v.v[i].account;
        account = v.v[i].account;
        if (rc == 0 && last)
            rc = DB_RUN(r->db, DB_REPAIR_ACCOUNT, DB_I(account)) != 0 ? -1 : DB_RUN(r->db, DB_REPAIR_MODSEQ, DB_I(account));
    }
    VEC_FREE(&v);
    return rc;
}

/* A segment of its own goes behind the last one, so that nothing of the log is ever overwritten. */
static int put_segments(struct store_rebuild *r)
{
    uint32_t last = r->segments.v[r->segments.n - 1].seg + 1;
    if (DB_RUN(r->db, DB_REBUILD_SEGMENTS) != 0)
        return -1;
    for (size_t i = 0; i <= r->segments.n; i++) {
        bool open = i == r->segments.n;
        uint32_t seg = open ? last : r->segments.v[i].seg;
        if (DB_RUN(r->db, DB_SEGMENT_PUT, DB_I(seg), DB_I(open ? 0 : r->segments.v[i].end), DB_I(r->next_eid + NUMBER_ROOM),
                   DB_I(r->next_bid + NUMBER_ROOM), DB_I(r->next_mailbox + NUMBER_ROOM), DB_I(0), DB_I(0)) != 0)
            return -1;
    }
    return DB_RUN(r->db, DB_REBUILD_LIVE) != 0 ? -1 : DB_RUN(r->db, DB_REPAIR_STORE, DB_I(last));
}

int store_rebuild_numbers(struct store_rebuild *r)
{
    if (recount(r) != 0 || DB_RUN(r->db, DB_REBUILD_RAISE, DB_I(MODSEQ_ROOM)) != 0 ||
        DB_RUN(r->db, DB_REBUILD_RAISE_BOX, DB_I(UID_ROOM)) != 0 || DB_RUN(r->db, DB_REBUILD_GONE) != 0 ||
        DB_RUN(r->db, DB_REBUILD_DUE) != 0 || put_segments(r) != 0)
        return -1;
    return DB_RUN(r->db, DB_STATE_PUT, DB_T(STORE_STATE_LOG), DB_I(1));
}
