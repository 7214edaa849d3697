/* store_account: the committer's view of accounts and their mailboxes.
 *
 * The committer is the only writer, so what it has read once stays true until it changes it. Counters are changed here
 * and written back once per commit, one UPDATE per mailbox. A rollback forgets everything.
 */
#include "base/clock.h"
#include "store/store_impl.h"

enum { ACCOUNTS_KEPT = 20000 };

static struct span name_copy(struct span name)
{
    char *p = base_alloc(name.n + 1);
    memcpy(p, name.p, name.n);
    return span_of(p, name.n);
}

static void mailbox_free(struct store_mailbox *m)
{
    free((void *)(uintptr_t)m->name.p);
    free(m);
}

static void account_free(struct store_account *a)
{
    while (a->mailboxes != NULL) {
        struct store_mailbox *m = a->mailboxes;
        a->mailboxes = m->next;
        mailbox_free(m);
    }
    free(a);
}

static int load_mailboxes(struct store *s, struct store_account *a)
{
    struct store_mailbox **at = &a->mailboxes;
    int rc = DB_FIRST(s->db, DB_MAILBOX_LIST, DB_I(a->id));
    for (; rc == 1; rc = db_next(s->db, DB_MAILBOX_LIST)) {
        struct store_mailbox *m = *at = base_alloc(sizeof *m);
        m->id = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 0);
        m->name = name_copy(db_bytes(s->db, DB_MAILBOX_LIST, 1));
        m->role = (uint32_t)db_i64(s->db, DB_MAILBOX_LIST, 2);
        m->uidvalidity = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 3);
        m->uidnext = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 4);
        m->highmodseq = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 5);
        m->total = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 6);
        m->unseen = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 7);
        m->deleted = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 8);
        m->size = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 9);
        m->changed_modseq = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 10);
        m->parent = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 11);
        m->subscribed = db_i64(s->db, DB_MAILBOX_LIST, 12) != 0;
        m->unread = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 13);
        m->created_modseq = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 14);
        a->modseq = MAX_OF(a->modseq, m->highmodseq);
        at = &m->next;
    }
    return rc;
}

struct store_account *store_account_get(struct store *s, uint64_t account, bool make)
{
    struct store_account *a = map_get_u64(&s->accounts, account);
    if (a != NULL)
        return a;
    int rc = DB_FIRST(s->db, DB_ACCOUNT_GET, DB_I(account));
    if (rc < 0 || (rc == 0 && !make))
        return NULL;
    a = base_alloc(sizeof *a);
    a->id = account;
    a->quota = a->quota_messages = -1;
    if (rc == 1) {
        a->modseq = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 0);
        a->floor = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 1);
        if (!db_null(s->db, DB_ACCOUNT_GET, 2))
            a->quota = db_i64(s->db, DB_ACCOUNT_GET, 2);
        a->uidvalidity = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 3);
        if (!db_null(s->db, DB_ACCOUNT_GET, 4))
            a->quota_messages = db_i64(s->db, DB_ACCOUNT_GET, 4);
        db_end(s->db, DB_ACCOUNT_GET);
        rc = load_mailboxes(s, a);
    } else {
        rc = DB_RUN(s->db, DB_ACCOUNT_INSERT, DB_I(account));
    }
    if (rc != 0) {
        account_free(a);
        return NULL;
    }
    map_put_u64(&s->accounts, account, a);
    return a;
}

struct store_mailbox *store_account_mailbox(struct store_account *a, uint64_t mailbox)
{
    for (struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        if (mailbox == 0 ? m->role == MAILBOX_INBOX : m->id == mailbox)
            return m;
    return NULL;
}

/* RFC 9051 2.3.1.1: UIDVALIDITY must grow when a name comes again; so it does for every new mailbox of the account. */
static uint64_t next_uidvalidity(struct store_account *a)
{
    uint64_t now = (uint64_t)clock_now_s();
    a->uidvalidity = MAX_OF(now, a->uidvalidity + 1) & UINT32_MAX;
    return a->uidvalidity;
}

struct store_mailbox *store_account_find(struct store *s, struct store_op *op, uint64_t mailbox,
                                         struct store_account **a)
{
    *a = store_account_get(s, op->account, mailbox == 0);
    if (*a == NULL && db_trouble(s->db) != DB_FINE)
        return NULL;
    struct store_mailbox *m = *a == NULL     ? NULL
                              : mailbox == 0 ? store_account_inbox(s, *a, SPAN_NONE)
                                             : store_account_mailbox(*a, mailbox);
    if (m == NULL && db_trouble(s->db) == DB_FINE)
        fail_perm(&op->w->fail, "5.2.0", "no such mailbox");
    return m;
}

struct store_mailbox *store_account_add(struct store *s, struct store_account *a, uint64_t parent, struct span name,
                                        uint32_t role, bool subscribed)
{
    uint64_t id = s->next_mailbox, uidvalidity = next_uidvalidity(a), modseq = a->modseq + 1;
    if (DB_RUN(s->db, DB_MAILBOX_INSERT, DB_I(a->id), DB_I(id), DB_I(parent), DB_T(name), DB_I(role), DB_I(uidvalidity),
               DB_I(subscribed), DB_I(modseq)) != 0)
        return NULL;
    struct store_mailbox *m = base_alloc(sizeof *m), **at = &a->mailboxes;
    *m = (struct store_mailbox){.id = id,
                                .parent = parent,
                                .uidvalidity = uidvalidity,
                                .uidnext = 1,
                                .highmodseq = modseq,
                                .created_modseq = modseq,
                                .changed_modseq = modseq,
                                .name = name_copy(name),
                                .role = role,
                                .subscribed = subscribed};
    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
    a->modseq = modseq;
    a->dirty_row = true;
    s->next_mailbox++;
    store_account_touch(s, a, m);
    return store_note_tree(s, a->id) == 0 ? m : NULL;
}

struct store_mailbox *store_account_inbox(struct store *s, struct store_account *a, struct span lang)
{
    struct store_mailbox *m = store_account_mailbox(a, 0);
    if (m != NULL)
        return m;
    bool first = a->mailboxes == NULL;
    m = store_account_add(s, a, 0, SPAN("INBOX"), MAILBOX_INBOX, true);
    return m != NULL && first && lang.n > 0 && store_special_make(s, a, lang) != 0 ? NULL : m;
}

void store_account_rename(struct store_mailbox *m, struct span name)
{
    struct span old = m->name;
    m->name = name_copy(name); /* which may be the old one */
    free((void *)(uintptr_t)old.p);
}

int store_account_change(struct store *s, struct store_account *a, struct store_mailbox *m)
{
    m->changed_modseq = store_account_modseq(s, a, m);
    return store_note_tree(s, a->id) != 0 ? -1 : DB_RUN(s->db, DB_MAILBOX_CHANGE, DB_I(a->id), DB_I(m->id), DB_I(m->parent), DB_T(m->name), DB_I(m->role),
                  DB_I(m->subscribed), DB_I(m->changed_modseq));
}

int store_account_remove(struct store *s, struct store_account *a, struct store_mailbox *m)
{
    struct store_mailbox **at = &a->mailboxes;
    while (*at != m)
        at = &(*at)->next;
    uint64_t modseq = store_account_modseq(s, a, m), id = m->id;
    a->dirty_row = true; /* the mailbox's row no longer tells this modseq */
    *at = m->next;
    mailbox_free(m);
    return store_note_tree(s, a->id) != 0 || DB_RUN(s->db, DB_MAILBOX_DELETE, DB_I(a->id), DB_I(id)) != 0
               ? -1
               : DB_RUN(s->db, DB_GONE_INSERT, DB_I(a->id), DB_I(modseq), DB_I(id), DB_I(0), DB_I(0), DB_I(0),
                        DB_I(clock_now_s()));
}

void store_account_touch(struct store *s, struct store_account *a, struct store_mailbox *m)
{
    if (m != NULL)
        m->dirty = true;
    if (!a->touched) {
        a->touched = true;
        *VEC_PUSH(&s->touched) = a;
    }
}

uint64_t store_account_modseq(struct store *s, struct store_account *a, struct store_mailbox *m)
{
    store_account_touch(s, a, m);
    m->highmodseq = ++a->modseq;
    return a->modseq;
}

void store_account_count(struct store_mailbox *m, uint32_t flags, uint64_t size, int by)
{
    uint64_t one = (uint64_t)by; /* -1 wraps around, and back again */
    m->total += one;
    m->size += by > 0 ? size : -size;
    m->unseen += (flags & FLAG_SEEN) == 0 ? one : 0;
    m->deleted += (flags & FLAG_DELETED) != 0 ? one : 0;
    m->unread += (flags & (FLAG_SEEN | FLAG_DELETED | FLAG_DRAFT)) == 0 ? one : 0;
}

int store_account_room(const struct store_account *a, uint64_t bytes, uint64_t messages, struct fail *f)
{
    if (a == NULL)
        return 0;
    if (a->quota >= 0 && bytes > 0 && store_account_used(a) + bytes > (uint64_t)a->quota)
        return fail_perm(f, "5.2.2", "the mailbox is full");
    if (a->quota_messages >= 0 && messages > 0 && store_account_messages(a) + messages > (uint64_t)a->quota_messages)
        return fail_perm(f, "5.2.2", "the mailbox holds as many messages as it may");
    return 0;
}

uint64_t store_account_messages(const struct store_account *a)
{
    uint64_t n = 0;
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        n += m->total;
    return n;
}

uint64_t store_account_used(const struct store_account *a)
{
    uint64_t bytes = 0;
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        bytes += m->size;
    return bytes;
}

static struct db_arg quota_arg(int64_t v)
{
    return v >= 0 ? (struct db_arg)DB_I(v) : (struct db_arg)DB_NULL;
}

int store_account_write_back(struct store *s)
{
    for (size_t i = 0; i < s->touched.n; i++) {
        struct store_account *a = s->touched.v[i];
        if (a->dirty_row && DB_RUN(s->db, DB_ACCOUNT_UPDATE, DB_I(a->id), DB_I(a->modseq), DB_I(a->floor),
                                   DB_I(a->uidvalidity), quota_arg(a->quota), quota_arg(a->quota_messages)) != 0)
            return -1;
        a->dirty_row = false;
        for (struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next) {
            if (!m->dirty)
                continue;
            if (DB_RUN(s->db, DB_MAILBOX_UPDATE, DB_I(a->id), DB_I(m->id), DB_I(m->uidnext), DB_I(m->highmodseq),
                       DB_I(m->total), DB_I(m->unseen), DB_I(m->deleted), DB_I(m->size), DB_I(m->unread)) != 0)
                return -1;
            m->dirty = false;
        }
    }
    return 0;
}

void store_account_forget(struct store *s, bool all)
{
    for (size_t i = 0; i < s->touched.n; i++)
        s->touched.v[i]->touched = false;
    s->touched.n = 0;
    if (!all && map_count(&s->accounts) < ACCOUNTS_KEPT)
        return;
    size_t at = 0;
    void *a;
    while (map_next(&s->accounts, &at, NULL, &a))
        account_free(a);
    map_done(&s->accounts);
    map_init(&s->accounts);
}

int store_account_drop(struct store *s, struct store_account *a)
{
    uint64_t id = a->id;
    for (size_t i = 0; i < s->touched.n; i++)
        if (s->touched.v[i] == a)
            s->touched.v[i--] = s->touched.v[--s->touched.n];
    map_take_u64(&s->accounts, id);
    account_free(a);
    return store_note_tree(s, id) != 0 || DB_RUN(s->db, DB_GONE_DELETE_ALL, DB_I(id)) != 0 || DB_RUN(s->db, DB_KV_DELETE_ALL, DB_I(id)) != 0 ||
                   DB_RUN(s->db, DB_MAILBOX_DELETE_ALL, DB_I(id)) != 0 ||
                   DB_RUN(s->db, DB_ACCOUNT_DELETE, DB_I(id)) != 0
               ? -1
               : 0;
}
