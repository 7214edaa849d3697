/* store_note: what the log is told beside messages, so that an index made of it knows the mailboxes' names and what was
 * removed (doc/decisions/12-rebuild.md).
 *
 * Two kinds of note (store_meta.h): the tree of an account's mailboxes after each change to it, and the emails that are
 * nowhere any more. The committer writes them behind the batch that changed something, when it is idle or once a second.
 * That a tree is due stands in the index, in the same transaction as the change; that an email has gone stands in memory:
 * a crash before the note can only bring a removed message back, and only if the index is lost as well.
 *
 * When a segment is rewritten its trees become due again, and the ends of emails are copied as long as a segment is there
 * that may hold them. */
#include "base/clock.h"
#include "store/store_impl.h"
#include "store/store_meta.h"

enum {
    BUSY_MS = 1000,     /* between steps when the committer is never idle */
    RETRY_MS = 60000,   /* after a failure */
    TREES_MOST = 100,   /* in a step */
    GONE_MOST = 50000,
};

int store_note_tree(struct store *s, uint64_t account)
{
    s->note.trees = true;
    return DB_RUN(s->db, DB_TREE_DUE, DB_I(account));
}

void store_note_gone(struct store *s)
{
    for (size_t i = 0; i < s->gone.n; i++)
        *VEC_PUSH(&s->note.gone) = s->gone.v[i];
    s->gone.n = 0;
}

/* ---- writing them ---- */

static void push(struct store *s, struct str *meta)
{
    *VEC_PUSH(&s->records) = (struct msglog_record){.received_ms = clock_now_ms(), .meta = str_span(meta)};
}

static void plan_gone(struct store *s)
{
    struct str out;
    struct store_note *n = &s->note;
    n->taken = MIN_OF(n->gone.n, (size_t)GONE_MOST);
    if (n->taken == 0)
        return;
    str_init(&out, &s->mem);
    /* The open segment may be left by this very batch: one more than that, so that none is forgotten. */
    store_meta_put(&out, &(struct store_meta){.kind = META_GONE, .seg = msglog_segment(s->log) + 1, .n = (uint32_t)n->taken});
    for (size_t i = 0; i < n->taken; i++)
        store_meta_put_eid(&out, n->gone.v[i]);
    push(s, &out);
}

static void add_tree(struct store *s, uint64_t account, const struct store_account *a)
{
    struct str out;
    struct store_meta m = {.kind = META_TREE, .account = account, .quota = -1, .quota_messages = -1};
    if (a != NULL) {
        m.exists = true;
        m.modseq = a->modseq;
        m.uidvalidity = a->uidvalidity;
        m.quota = a->quota;
        m.quota_messages = a->quota_messages;
        for (const struct store_mailbox *b = a->mailboxes; b != NULL; b = b->next)
            m.n++;
    }
    str_init(&out, &s->mem);
    store_meta_put(&out, &m);
    for (const struct store_mailbox *b = a != NULL ? a->mailboxes : NULL; b != NULL; b = b->next)
        store_meta_put_box(&out, &(struct store_meta_box){.mailbox = b->id, .parent = b->parent,
            .uidvalidity = b->uidvalidity, .uidnext = b->uidnext, .created_modseq = b->created_modseq, .role = b->role,
            .subscribed = b->subscribed, .name = b->name});
    push(s, &out);
}

int store_note_plan(struct store *s, struct store_op *op)
{
    enum db_id id = DB_TREE_NEXT;
    struct store_note *n = &s->note;
    plan_gone(s);
    n->written.n = 0;
    int rc = DB_FIRST(s->db, id, DB_I(TREES_MOST));
    for (; rc == 1; rc = db_next(s->db, id))
        *VEC_PUSH(&n->written) = (uint64_t)db_i64(s->db, id, 0);
    for (size_t i = 0; i < n->written.n && rc == 0; i++) {
        struct store_account *a = store_account_get(s, n->written.v[i], false);
        if (a == NULL && db_trouble(s->db) != DB_FINE)
            return -1;
        add_tree(s, n->written.v[i], a);
    }
    return rc;
}

int store_note_apply(struct store *s, struct store_op *op)
{
    for (size_t i = 0; i < s->note.written.n; i++)
        if (DB_RUN(s->db, DB_TREE_DONE, DB_I(s->note.written.v[i])) != 0)
            return -1;
    return 0;
}

static void done(struct store_write *w) { (void)w; }

bool store_note_due(const struct store *s, bool busy)
{
    int64_t now = clock_mono_ms();
    return !s->broken && (s->note.trees || s->note.gone.n > 0) && now >= s->note.next_ms &&
           (!busy || now >= s->note.last_ms + BUSY_MS);
}

void store_note_step(struct store *s)
{
    struct store_write w = {.id = (enum msg_id)STORE_NOTE, .done = done};
    struct store_note *n = &s->note;
    n->last_ms = clock_mono_ms();
    store_commit_run(s, &w);
    if (w.result != 0) { /* no space, for now */
        n->next_ms = n->last_ms + RETRY_MS;
        return;
    }
    n->trees = n->written.n == TREES_MOST;
    n->gone.n -= n->taken;
    if (n->gone.n > 0)
        memmove(n->gone.v, n->gone.v + n->taken, n->gone.n * sizeof *n->gone.v);
}

void store_note_end(struct store *s)
{
    while (store_note_due(s, false))
        store_note_step(s);
}

/* ---- when a segment is rewritten ---- */

int store_note_swept(struct store *s, struct span meta)
{
    struct store_meta m;
    if (store_meta_read(meta, &m) != 0)
        return 0;
    if (m.kind == META_TREE)
        return store_note_tree(s, m.account);
    if (m.kind != META_GONE)
        return 0;
    int rc = DB_FIRST(s->db, DB_SEGMENT_BEFORE, DB_I(m.seg), DB_I(s->sweep.seg));
    db_end(s->db, DB_SEGMENT_BEFORE);
    return rc;
}
