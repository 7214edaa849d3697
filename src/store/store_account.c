/* store_account: the committer's view of accounts and their mailboxes.
 *
 * The committer is the only writer, so what it has read once stays true until it changes it. Counters are changed here
 * and written back once per commit, one UPDATE per mailbox. A rollback forgets everything.
 */
#include "base/clock.h"
#include "store/store_impl.h"

enum { ACCOUNTS_KEPT = 20000 };

static void account_free(struct store_account *a)
{
    while (a->mailboxes != NULL) {
        struct store_mailbox *m = a->mailboxes;
        a->mailboxes = m->next;
        free(m);
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
        m->role = (uint32_t)db_i64(s->db, DB_MAILBOX_LIST, 2);
        m->uidnext = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 4);
        m->highmodseq = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 5);
        m->total = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 6);
        m->unseen = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 7);
        m->deleted = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 8);
        m->size = (uint64_t)db_i64(s->db, DB_MAILBOX_LIST, 9);
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
    a->quota = -1;
    if (rc == 1) {
        a->modseq = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 0);
        a->floor = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 1);
        if (!db_null(s->db, DB_ACCOUNT_GET, 2))
            a->quota = db_i64(s->db, DB_ACCOUNT_GET, 2);
        a->uidvalidity = (uint64_t)db_i64(s->db, DB_ACCOUNT_GET, 3);
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

struct store_mailbox *store_account_inbox(struct store *s, struct store_account *a)
{
    struct store_mailbox *m = store_account_mailbox(a, 0);
    if (m != NULL)
        return m;
    uint64_t id = s->next_mailbox, uidvalidity = next_uidvalidity(a), modseq = a->modseq + 1;
    if (DB_RUN(s->db, DB_MAILBOX_INSERT, DB_I(a->id), DB_I(id), DB_T(SPAN("INBOX")), DB_I(MAILBOX_INBOX),
               DB_I(uidvalidity), DB_I(modseq)) != 0)
        return NULL;
    m = base_alloc(sizeof *m);
    m->id = id;
    m->uidnext = 1;
    m->role = MAILBOX_INBOX;
    m->highmodseq = a->modseq = modseq;
    m->next = a->mailboxes;
    a->mailboxes = m;
    a->dirty_row = true;
    s->next_mailbox++;
    store_account_touch(s, a, m);
    return m;
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

uint64_t store_account_used(const struct store_account *a)
{
    uint64_t bytes = 0;
    for (const struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next)
        bytes += m->size;
    return bytes;
}

int store_account_write_back(struct store *s)
{
    for (size_t i = 0; i < s->touched.n; i++) {
        struct store_account *a = s->touched.v[i];
        if (a->dirty_row && DB_RUN(s->db, DB_ACCOUNT_UPDATE, DB_I(a->id), DB_I(a->modseq), DB_I(a->floor),
                                   DB_I(a->uidvalidity)) != 0)
            return -1;
        a->dirty_row = false;
        for (struct store_mailbox *m = a->mailboxes; m != NULL; m = m->next) {
            if (!m->dirty)
                continue;
            if (DB_RUN(s->db, DB_MAILBOX_UPDATE, DB_I(a->id), DB_I(m->id), DB_I(m->uidnext), DB_I(m->highmodseq),
                       DB_I(m->total), DB_I(m->unseen), DB_I(m->deleted), DB_I(m->size)) != 0)
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
    return DB_RUN(s->db, DB_GONE_DELETE_ALL, DB_I(id)) != 0 || DB_RUN(s->db, DB_MAILBOX_DELETE_ALL, DB_I(id)) != 0 ||
                   DB_RUN(s->db, DB_ACCOUNT_DELETE, DB_I(id)) != 0
               ? -1
               : 0;
}
