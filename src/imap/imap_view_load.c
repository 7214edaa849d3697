/* Takes in what store says: the whole mailbox when it is selected, later its changes. Numbers are not touched: what came
 * stands behind what was told, what went is only marked. Exports imap_view_*. */
#include "imap/imap_view_load.h"

#include "base/vec.h"
#include "imap/imap_session.h"

enum { WINDOW = 1500, FLYING = 4, CHANGES = 1000 }; /* CHANGES: in an answer; of more a mailbox is rather listed anew */

static void reserve(struct imap_view *v, uint32_t more)
{
    if (v->cap - v->n >= more)
        return;
    v->cap = v->n + MAX_OF(more, v->n / 8 + 16); /* grows slowly: there is one of these per session */
    v->v = base_realloc(v->v, v->cap * sizeof *v->v);
}

static void push(struct imap_view *v, uint64_t uid, uint64_t eid, uint64_t modseq, uint32_t flags, struct span keywords)
{
    if (uid == 0 || uid > UINT32_MAX)
        return;
    reserve(v, 1);
    v->v[v->n++] = (struct imap_message){.modseq = modseq, .eid = eid, .uid = (uint32_t)uid, .flags = flags & 31,
                                         .keywords = imap_view_intern(v, keywords) & 0xFFFFFF};
    v->uidnext = MAX_OF(v->uidnext, uid + 1);
}

/* ---- the whole mailbox: windows of UIDs, several asked for at once, packed ---- */

struct window { uint64_t first, last; struct ipc_pending *asked; };

static WAITS struct ipc_pending *ask(struct imap *s, uint64_t mailbox, uint64_t first, uint64_t last, struct fail *f)
{
    struct msg_member_view in = {.handle = imap_session_handle(s), .mailbox = mailbox, .first = first, .last = last,
                                 .limit = WINDOW};
    return ipc_begin(ROLE_STORE, MSG_ID_member_view, &in, f);
}

enum { PACKED_ROW = 24 };

static uint64_t number(const char *p, unsigned bytes)
{
    uint64_t n = 0;
    while (bytes > 0)
        n = n << 8 | (unsigned char)p[--bytes];
    return n;
}

/* The rows of a packed answer (run/ipc_table.h). False: they are none. */
static bool unpack(struct imap_view *into, const struct msg_member_view_r *r, struct arena *mem)
{
    uint32_t n_sets = 1, *sets;
    struct span words = r->words;
    if (r->rows.n / PACKED_ROW != r->n || r->rows.n % PACKED_ROW != 0)
        return false;
    for (size_t i = 0; i < words.n; i++)
        n_sets += words.p[i] == '\n';
    sets = arena_zalloc(mem, n_sets * sizeof *sets);
    for (uint32_t i = 1; i < n_sets; i++)
        sets[i] = imap_view_intern(into, span_split(&words, '\n')) & 0xFFFFFF;
    reserve(into, r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        const char *p = r->rows.p + (size_t)i * PACKED_ROW;
        uint32_t uid = (uint32_t)number(p + 16, 4), set = (uint32_t)number(p + 21, 3);
        if (uid == 0 || set >= n_sets)
            return false;
        into->v[into->n++] = (struct imap_message){.modseq = number(p, 8), .eid = number(p + 8, 8), .uid = uid,
                                                   .flags = (unsigned char)p[20] & 31, .keywords = sets[set] & 0xFFFFFF};
        into->uidnext = MAX_OF(into->uidnext, (uint64_t)uid + 1);
    }
    return true;
}

/* One window to its end; more than one answer when it held more than a frame. */
static WAITS int take(struct imap *s, struct window *w, struct imap_view *into, struct fail *f)
{
    uint64_t mailbox = s->view.mailbox;
    while (w->asked != NULL) {
        struct msg_member_view_r out;
        struct arena mem;
        arena_init(&mem);
        struct ipc_pending *asked = w->asked;
        w->asked = NULL;
        int r = ipc_finish(asked, &out, &mem, 0, f);
        if (r == 0 && ((out.next != 0 && out.next <= w->first) || !unpack(into, &out, &mem)))
            r = fail_temp(f, "4.3.0", "the mailbox cannot be listed"); /* it would go on for ever */
        w->first = r == 0 ? out.next : 0;
        arena_done(&mem);
        if (r < 0)
            return -1;
        if (w->first != 0 && (w->asked = ask(s, mailbox, w->first, w->last, f)) == NULL)
            return -1;
    }
    return 0;
}

static WAITS int load(struct imap *s, uint64_t total, uint64_t uidnext, struct imap_view *into, struct fail *f)
{
    uint64_t windows = total / WINDOW + 1, width = MAX_OF(uidnext / windows + 1, (uint64_t)1), next = 1;
    struct window w[FLYING] = {{0}};
    unsigned first = 0, n = 0;
    int r = 0;
    while (r == 0 && (next != 0 || n > 0)) {
        while (r == 0 && next != 0 && n < FLYING) {
            /* the last one is open: for what comes meanwhile */
            bool last = next + width >= uidnext;
            struct window *x = &w[(first + n) % FLYING];
            *x = (struct window){.first = next, .last = last ? UINT32_MAX : next + width - 1};
            x->asked = ask(s, s->view.mailbox, x->first, x->last, f);
            r = x->asked == NULL ? -1 : 0;
            n += r == 0;
            next = last ? 0 : next + width;
        }
        if (r == 0 && n > 0) {
            r = take(s, &w[first], into, f);
            first = (first + 1) % FLYING;
            n--;
        }
    }
    for (unsigned i = 0; i < FLYING; i++)
        if (w[i].asked != NULL)
            ipc_forget(w[i].asked);
    return r;
}

/* A modseq is given for each change in the account, so the difference tells how many there are at most. */
static WAITS int open_kept(struct imap *s, const struct msg_mailbox_row *row, uint64_t now, bool *found, struct fail *f)
{
    struct imap_view *v = &s->view;
    *found = imap_view_kept(s->account, row->mailbox, row->uidvalidity, now - MIN_OF(now, (uint64_t)CHANGES), v);
    if (!*found)
        return 0;
    v->uidnext = MAX_OF(v->uidnext, row->uidnext);
    if (v->modseq < now && imap_view_refresh(s, f) < 0)
        return -1;
    imap_view_settle(v);
    return 0;
}

WAITS int imap_view_open(struct imap *s, const struct msg_mailbox_row *row, struct fail *f)
{
    struct imap_view *v = &s->view;
    bool found;
    imap_view_init(v);
    if (!feed_is_open(&s->feed) && feed_open(&s->feed, s->account, imap_session_handle(s), f) < 0)
        return -1;
    /* All of this was committed before the listing begins, so the listing has it; what comes later is asked for later. */
    uint64_t now = MAX_OF(s->feed.modseq, row->modseq);
    int r = open_kept(s, row, now, &found, f);
    if (r == 0 && found && v->lost)
        r = fail_perm(f, "5.2.0", "the mailbox was just removed");
    if (r < 0 || found)
        return r;
    v->mailbox = row->mailbox;
    v->uidvalidity = row->uidvalidity;
    v->uidnext = row->uidnext;
    v->modseq = now;
    reserve(v, (uint32_t)MIN_OF(row->total, (uint64_t)UINT32_MAX / 64));
    if (load(s, row->total, row->uidnext, v, f) < 0)
        return -1;
    v->told = v->n;
    v->new_words = false;
    return 0;
}

/* ---- changes ---- */

struct gone { uint32_t *v; size_t n, cap; };

static void set_gone(struct imap_view *v, struct imap_message *m)
{
    v->n_gone += !m->gone;
    m->gone = 1;
}

static void set_flags(struct imap_view *v, struct imap_message *m, uint64_t modseq, uint32_t flags, struct span keywords)
{
    uint32_t set = imap_view_intern(v, keywords) & 0xFFFFFF;
    if (modseq < m->modseq)
        return;
    if ((m->flags != (flags & 31) || m->keywords != set) && !m->changed) {
        m->changed = 1;
        v->n_changed++;
    }
    m->modseq = modseq;
    m->flags = flags & 31;
    m->keywords = set;
}

static void apply(struct imap_view *v, const struct msg_change_row *c, struct gone *gone)
{
    if (c->mailbox != v->mailbox || c->uid > UINT32_MAX)
        return;
    struct imap_message *m = c->uid != 0 ? imap_view_by_uid(v, (uint32_t)c->uid) : NULL;
    switch (c->kind) {
    case CHANGE_ADDED:
    case CHANGE_FLAGS:
        if (m != NULL)
            set_flags(v, m, c->modseq, c->flags, c->keywords);
        else
            push(v, c->uid, c->eid, c->modseq, c->flags, c->keywords);
        break;
    case CHANGE_EXPUNGED:
        if (m != NULL)
            set_gone(v, m);
        else if (c->uid != 0)
            *VEC_PUSH(gone) = (uint32_t)c->uid;
        break;
    case CHANGE_MAILBOX_GONE:
        v->lost = true;
        break;
    default:
        break;
    }
}

static int by_uid(const void *a, const void *b)
{
    const struct imap_message *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid > y->uid ? 1 : -1;
    return (x->modseq > y->modseq) - (x->modseq < y->modseq);
}

static int number_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What came and was not told, in order of UID, each once as it is now, without what went again. Rows come in order of
 * their last change. */
static void tidy_new(struct imap_view *v, struct gone *gone)
{
    uint32_t kept = v->told;
    if (gone->n > 0)
        qsort(gone->v, gone->n, sizeof *gone->v, number_order);
    if (v->n > v->told)
        qsort(v->v + v->told, v->n - v->told, sizeof *v->v, by_uid);
    for (uint32_t i = v->told; i < v->n; i++) {
        bool again = i + 1 < v->n && v->v[i + 1].uid == v->v[i].uid;
        if (again || (gone->n > 0 && bsearch(&v->v[i].uid, gone->v, gone->n, sizeof *gone->v, number_order) != NULL))
            continue;
        v->v[kept++] = v->v[i];
    }
    v->n = kept;
}

/* Store has forgotten what went since: compare with what is there. */
static WAITS int reload(struct imap *s, struct fail *f)
{
    struct imap_view *v = &s->view, all = {.mailbox = v->mailbox};
    struct gone none = {0};
    uint32_t at = 0;
    imap_view_init(&all);
    int r = load(s, v->n, v->uidnext, &all, f);
    for (uint32_t i = 0; r == 0 && i < all.n; i++) {
        const struct imap_message *m = &all.v[i];
        struct span keywords = imap_view_keywords(&all, m);
        for (; at < v->told && v->v[at].uid < m->uid; at++)
            set_gone(v, &v->v[at]);
        if (at < v->told && v->v[at].uid == m->uid)
            set_flags(v, &v->v[at++], m->modseq, m->flags, keywords);
        else
            push(v, m->uid, m->eid, m->modseq, m->flags, keywords);
    }
    for (; r == 0 && at < v->told; at++)
        set_gone(v, &v->v[at]);
    tidy_new(v, &none);
    imap_view_done(&all);
    return r;
}

/* One answer of the feed. 1: there is more. */
static WAITS int some_changes(struct imap *s, struct gone *gone, struct fail *f)
{
    struct imap_view *v = &s->view;
    struct msg_changes in = {.handle = imap_session_handle(s), .since = v->modseq, .limit = CHANGES};
    struct msg_changes_r out;
    struct arena mem;
    arena_init(&mem);
    int r = IPC_CALL(ROLE_STORE, changes, &in, &out, &mem, f);
    bool floor = r == 0 && v->modseq < out.floor;
    for (uint32_t i = 0; r == 0 && i < out.rows.n; i++)
        apply(v, &out.rows.v[i], gone);
    if (r == 0 && !floor) {
        r = out.more != 0 && out.rows.n > 0;
        v->modseq = MAX_OF(v->modseq, r == 1 ? out.rows.v[out.rows.n - 1].modseq : out.modseq);
    }
    uint64_t now = r == 0 ? out.modseq : 0;
    arena_done(&mem);
    if (floor) {
        r = reload(s, f);
        v->modseq = r == 0 ? MAX_OF(v->modseq, now) : v->modseq;
    }
    return r;
}

WAITS int imap_view_refresh(struct imap *s, struct fail *f)
{
    struct gone gone = {0};
    int r;
    if (s->feed.stale && feed_open(&s->feed, s->account, imap_session_handle(s), f) < 0)
        return -1;
    do
        r = some_changes(s, &gone, f);
    while (r > 0);
    tidy_new(&s->view, &gone);
    VEC_FREE(&gone);
    return r;
}
