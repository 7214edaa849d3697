/* Views that sessions left: who selects the mailbox next takes a copy, and asks only for what changed since. Clients come and
 * go, and go to and fro between mailboxes; listing a mailbox anew each time costs in proportion to it. Those of a whole
 * process have LIMIT(IMAP_KEPT_BYTES) together, the one that was used longest ago goes first. Exports imap_view_*. */
#include "base/limits.h"
#include "base/list.h"
#include "imap/imap_view_load.h"

enum { SETS_MOST = 1000 }; /* of keywords: more are no common mailbox */

struct kept {
    struct list node;
    uint64_t account;
    struct imap_view view; /* everything in it was told, no set is saved */
    size_t bytes;
};

static struct list all;   /* the last used at the end */
static struct map by_box; /* number of the mailbox -> struct kept */
static size_t bytes_kept;

static void drop(struct kept *k)
{
    map_take_u64(&by_box, k->view.mailbox);
    list_remove(&k->node);
    bytes_kept -= k->bytes;
    imap_view_done(&k->view);
    free(k);
}

static size_t size_of(const struct imap_view *v)
{
    size_t n = sizeof(struct kept) + v->n * sizeof *v->v;
    for (uint32_t i = 0; i < v->n_sets; i++)
        n += v->sets[i].n + 200; /* its place in the maps and in mem */
    return n;
}

void imap_view_settle(struct imap_view *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        v->v[i].changed = 0;
        if (!v->v[i].gone)
            v->v[kept++] = v->v[i];
    }
    v->n = v->told = kept;
    v->n_gone = v->n_changed = 0;
    v->new_words = false;
}

static void copy(struct imap_view *to, const struct imap_view *from)
{
    imap_view_init(to);
    to->mailbox = from->mailbox;
    to->uidvalidity = from->uidvalidity;
    to->modseq = from->modseq;
    to->uidnext = from->uidnext;
    to->n = to->told = to->cap = from->n;
    to->v = base_alloc((from->n + 1) * sizeof *to->v);
    if (from->n > 0)
        memcpy(to->v, from->v, from->n * sizeof *to->v);
    for (uint32_t i = 1; i < from->n_sets; i++)
        imap_view_intern(to, from->sets[i]); /* gets the number it had */
    to->new_words = false;
}

void imap_view_keep(uint64_t account, struct imap_view *v)
{
    size_t most = (size_t)LIMIT(IMAP_KEPT_BYTES);
    if (all.next == NULL) {
        list_init(&all);
        map_init(&by_box);
    }
    struct kept *k = map_get_u64(&by_box, v->mailbox);
    if (v->lost || v->n_sets > SETS_MOST || size_of(v) > most / 4 || (k != NULL && k->view.modseq > v->modseq)) {
        imap_view_done(v);
        return;
    }
    if (k != NULL)
        drop(k);
    imap_view_settle(v);
    k = base_alloc(sizeof *k);
    k->account = account;
    k->bytes = size_of(v);
    copy(&k->view, v); /* no larger than it must be */
    imap_view_done(v);
    while (bytes_kept + k->bytes > most && !list_empty(&all))
        drop(LIST_ITEM(all.next, struct kept, node));
    bytes_kept += k->bytes;
    list_push(&all, &k->node);
    map_put_u64(&by_box, k->view.mailbox, k);
}

bool imap_view_kept(uint64_t account, uint64_t mailbox, uint64_t uidvalidity, uint64_t since, struct imap_view *out)
{
    struct kept *k = all.next != NULL ? map_get_u64(&by_box, mailbox) : NULL;
    if (k == NULL || k->account != account || k->view.uidvalidity != uidvalidity || k->view.modseq < since)
        return false;
    list_remove(&k->node);
    list_push(&all, &k->node);
    copy(out, &k->view);
    return true;
}
