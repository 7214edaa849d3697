/* The feeds of each account in a ring of their own, found by the account's number. */
#include "run/feed.h"

#include "base/map.h"

static struct map rings; /* account -> struct list */

static void wake(struct feed *fd)
{
    if (fd->waiter != NULL)
        coro_wake(fd->waiter);
}

static void enter(struct feed *fd, uint64_t account)
{
    struct list *ring = map_get_u64(&rings, account);
    if (ring == NULL) {
        ring = base_alloc(sizeof *ring);
        list_init(ring);
        map_put_u64(&rings, account, ring);
    }
    fd->account = account;
    list_push(ring, &fd->node);
}

void feed_close(struct feed *fd)
{
    if (!list_linked(&fd->node))
        return;
    list_remove(&fd->node);
    struct list *ring = map_get_u64(&rings, fd->account);
    if (list_empty(ring))
        free(map_take_u64(&rings, fd->account));
    *fd = (struct feed){0};
}

WAITS int feed_open(struct feed *fd, uint64_t account, struct span handle, struct fail *f)
{
    struct arena mem;
    struct msg_watch in = {.handle = handle};
    struct msg_watch_r out;
    bool mine = !list_linked(&fd->node);
    if (mine)
        enter(fd, account); /* before the call: nothing that is posted meanwhile gets lost */
    fd->stale = false;      /* store may die while it answers: then this is true again */
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, watch, &in, &out, &mem, f);
    if (r == 0)
        fd->modseq = MAX_OF(fd->modseq, out.modseq);
    else if (mine)
        feed_close(fd);
    else
        fd->stale = true;
    arena_done(&mem);
    return r;
}

void feed_changed(const struct ipc_peer *peer, const void *in)
{
    const struct msg_changed *m = in;
    struct list *ring = map_get_u64(&rings, m->account);
    for (struct list *at = ring != NULL ? ring->next : NULL; at != NULL && at != ring; at = at->next) {
        struct feed *fd = LIST_ITEM(at, struct feed, node);
        fd->modseq = MAX_OF(fd->modseq, m->modseq);
        wake(fd);
    }
}

void feed_peer(const struct ipc_peer *peer)
{
    size_t at = 0;
    void *v;
    if (peer->kind != ROLE_STORE)
        return;
    while (map_next(&rings, &at, NULL, &v)) {
        struct list *ring = v;
        for (struct list *x = ring->next; x != ring; x = x->next) {
            struct feed *fd = LIST_ITEM(x, struct feed, node);
            fd->stale = true;
            wake(fd);
        }
    }
}
