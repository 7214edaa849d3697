/* The maildrop. It is listed once at login; what others remove meanwhile is found out when it is read. */
#include "pop3/pop3_drop.h"

#include "base/rand.h"
#include "run/coro.h"

enum { WINDOW = 1000, RANGES = 4000, LOCK_TRIES = 25, LOCK_WAIT_MS = 200 };

static struct list locked; /* all that are open */

static WAITS int find_inbox(struct pop3_drop *d, struct fail *f)
{
    struct arena mem;
    struct msg_mailbox_list in = {.handle = pop3_drop_handle(d)};
    struct msg_mailbox_list_r out;
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, mailbox_list, &in, &out, &mem, f);
    for (uint32_t i = 0; r == 0 && i < out.mailboxes.n; i++)
        if (out.mailboxes.v[i].role == MAILBOX_INBOX) {
            d->mailbox = out.mailboxes.v[i].mailbox;
            d->uidvalidity = out.mailboxes.v[i].uidvalidity;
        }
    arena_done(&mem);
    return r;
}

static WAITS int list_window(struct pop3_drop *d, uint64_t *first, struct fail *f)
{
    struct arena mem;
    struct msg_member_scan_r out;
    struct msg_member_scan in = {.handle = pop3_drop_handle(d), .mailbox = d->mailbox, .first = *first,
                                 .last = UINT32_MAX, .limit = WINDOW};
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, member_scan, &in, &out, &mem, f);
    if (r == 0 && out.next != 0 && out.next <= *first)
        r = fail_temp(f, "4.3.0", "the mailbox cannot be listed"); /* it would go on for ever */
    for (uint32_t i = 0; r == 0 && i < out.rows.n; i++) {
        const struct msg_member_row *row = &out.rows.v[i];
        if (row->uid > UINT32_MAX || row->size > INT32_MAX)
            continue;
        *VEC_PUSH(&d->items) = (struct pop3_item){.eid = row->eid, .uid = (uint32_t)row->uid,
                                                  .size = (uint32_t)row->size & INT32_MAX};
        d->octets += row->size;
    }
    *first = r == 0 ? out.next : 0;
    arena_done(&mem);
    return r;
}

/* Even while a new store does not know it yet. */
static bool locked_here(uint64_t mailbox)
{
    for (struct list *at = locked.next; at != NULL && at != &locked; at = at->next)
        if (LIST_ITEM(at, struct pop3_drop, node)->mailbox == mailbox)
            return true;
    return false;
}

WAITS int pop3_drop_open(struct pop3_drop *d, struct span handle, bool *busy, struct fail *f)
{
    *d = (struct pop3_drop){0};
    *busy = false;
    assert(handle.n == sizeof d->handle);
    memcpy(d->handle, handle.p, handle.n);
    if (find_inbox(d, f) < 0)
        return -1;
    if (d->mailbox == 0)
        return 0;
    if (locked_here(d->mailbox)) {
        *busy = true;
        return fail_temp(f, "4.2.0", "another session has this mailbox locked");
    }
    struct arena mem;
    struct msg_mailbox_lock lock = {.handle = pop3_drop_handle(d), .mailbox = d->mailbox};
    struct msg_mailbox_lock_r out;
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, mailbox_lock, &lock, &out, &mem, f);
    arena_done(&mem);
    if (r < 0) {
        *busy = strcmp(f->code, "4.2.0") == 0; /* what store says of a lock that another holds */
        return -1;
    }
    if (locked.next == NULL)
        list_init(&locked);
    list_push(&locked, &d->node);
    for (uint64_t first = 1; first != 0;)
        if (list_window(d, &first, f) < 0)
            return -1;
    return 0;
}

void pop3_drop_delete(struct pop3_drop *d, struct pop3_item *item)
{
    if (item->deleted)
        return;
    item->deleted = 1;
    d->deleted++;
    d->octets -= item->size;
}

void pop3_drop_undelete(struct pop3_drop *d)
{
    for (size_t i = 0; i < d->items.n; i++) {
        d->octets += d->items.v[i].deleted ? d->items.v[i].size : 0;
        d->items.v[i].deleted = 0;
    }
    d->deleted = 0;
}

static WAITS int expunge(struct pop3_drop *d, struct msg_uid_range *v, uint32_t n, struct fail *f)
{
    struct arena mem;
    struct op_id op = rand_op_id();
    struct msg_expunge in = {.handle = pop3_drop_handle(d), .op = span_of(op.b, sizeof op.b), .mailbox = d->mailbox};
    struct msg_expunge_r out;
    in.uids.v = v;
    in.uids.n = n;
    arena_init(&mem);
    int r = n > 0 ? IPC_CALL(ROLE_STORE, expunge, &in, &out, &mem, f) : 0;
    arena_done(&mem);
    return r;
}

WAITS int pop3_drop_update(struct pop3_drop *d, struct fail *f)
{
    if (d->deleted == 0)
        return 0;
    struct msg_uid_range *v = base_alloc(MIN_OF(d->deleted, (size_t)RANGES) * sizeof *v);
    uint32_t n = 0;
    bool run = false; /* v[n - 1] ends at the item before; UIDs between two items were gone when they were listed */
    int r = 0;
    for (size_t i = 0; i < d->items.n && r == 0; i++) {
        const struct pop3_item *item = &d->items.v[i];
        if (item->deleted && run) {
            v[n - 1].last = item->uid;
        } else if (item->deleted) {
            if (n == RANGES) {
                r = expunge(d, v, n, f);
                n = 0;
            }
            v[n++] = (struct msg_uid_range){.first = item->uid, .last = item->uid};
        }
        run = item->deleted;
    }
    if (r == 0)
        r = expunge(d, v, n, f);
    free(v);
    return r;
}

void pop3_drop_done(struct pop3_drop *d)
{
    struct msg_logout out = {.handle = pop3_drop_handle(d)};
    ipc_post_to(ROLE_AUTH, MSG_ID_logout, &out);
    list_remove(&d->node);
    VEC_FREE(&d->items);
    *d = (struct pop3_drop){0};
}

/* ---- locks that store has forgotten ---- */

static bool locking;

static struct pop3_drop *first_forgotten(void)
{
    for (struct list *at = locked.next; at != &locked; at = at->next) {
        struct pop3_drop *d = LIST_ITEM(at, struct pop3_drop, node);
        if (d->lock_again)
            return d;
    }
    return NULL;
}

/* RFC 1939 4: the maildrop is the session's alone until it ends. Whoever was faster has it now; what this session still
 * does is by UID and harms nobody. Auth may come to store after us: then the session is not known there yet. */
static WAITS void lock_all(void *arg)
{
    struct pop3_drop *d;
    unsigned tries = 0;
    while ((d = first_forgotten()) != NULL) {
        char handle[sizeof d->handle];
        struct msg_mailbox_lock in = {.handle = span_of(handle, sizeof handle), .mailbox = d->mailbox};
        struct msg_mailbox_lock_r out;
        struct arena mem;
        struct fail f;
        memcpy(handle, d->handle, sizeof handle); /* d may end meanwhile */
        d->lock_again = false;
        arena_init(&mem);
        int r = IPC_CALL(ROLE_STORE, mailbox_lock, &in, &out, &mem, &f);
        arena_done(&mem);
        if (r == 0 || f.kind != FAIL_TEMP || strcmp(f.code, "4.2.0") == 0 || ++tries > LOCK_TRIES)
            continue;
        if (coro_sleep(LOCK_WAIT_MS) != WAIT_TIMEOUT)
            break;
        for (struct list *at = locked.next; at != &locked; at = at->next)
            if (memcmp(LIST_ITEM(at, struct pop3_drop, node)->handle, handle, sizeof handle) == 0)
                LIST_ITEM(at, struct pop3_drop, node)->lock_again = true;
    }
    locking = false;
}

void pop3_drop_peer(const struct ipc_peer *peer)
{
    if (peer->kind != ROLE_STORE || locked.next == NULL || list_empty(&locked))
        return;
    for (struct list *at = locked.next; at != &locked; at = at->next)
        LIST_ITEM(at, struct pop3_drop, node)->lock_again = true;
    if (!locking)
        locking = coro_start(lock_all, NULL) != NULL;
}
