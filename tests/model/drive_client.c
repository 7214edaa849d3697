/* drive_client: clients that were away: what changes() tells them, in pieces, must be what the model says, and must bring
 * what they know to what is there (RFC 7162 3.1.4, 3.2.5; RFC 8620 5.2). */
#include "drive.h"

#include "base/str.h"

void drive_client_forget(struct drive *d, uint32_t account)
{
    for (size_t i = 0; i < COUNT_OF(d->clients[account]); i++)
        d->clients[account][i] = (struct drive_client){0};
}

static struct model_member *known(struct drive_client *c, const struct msg_change_row *r)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->members[i].box == r->mailbox && c->members[i].uid == r->uid)
            return &c->members[i];
    return NULL;
}

static bool knows_box(const struct drive_client *c, uint64_t box)
{
    for (size_t i = 0; i < c->n_boxes; i++)
        if (c->boxes[i] == box)
            return true;
    return false;
}

static int forget_box(struct drive *d, struct drive_client *c, uint64_t box)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->members[i].box == box)
            return drive_differs(d, "mailbox %llu is gone, but not all of its messages", (unsigned long long)box);
    for (size_t i = 0; i < c->n_boxes; i++)
        if (c->boxes[i] != box)
            c->boxes[kept++] = c->boxes[i];
    c->n_boxes = kept;
    return 0;
}

static int learn(struct drive *d, struct drive_client *c, const struct msg_change_row *r)
{
    struct model_member *m = known(c, r);
    uint64_t uid = r->uid;
    if (r->kind == CHANGE_EXPUNGED) { /* it may never have heard of it: RFC 7162 3.2.10 allows that */
        if (m != NULL)
            *m = c->members[--c->n];
    } else if (r->kind == CHANGE_MAILBOX_GONE) {
        return forget_box(d, c, r->mailbox);
    } else if (r->kind == CHANGE_MAILBOX_ADDED) {
        if (!knows_box(c, r->mailbox))
            c->boxes[c->n_boxes++] = r->mailbox;
    } else if (!knows_box(c, r->mailbox)) {
        return drive_differs(d, "a change of mailbox %llu, which the client was not told of", (unsigned long long)r->mailbox);
    } else if (r->kind == CHANGE_FLAGS && m == NULL) {
        return drive_differs(d, "flags of uid %llu, which the client was not told of", (unsigned long long)uid);
    } else if (r->kind == CHANGE_FLAGS || r->kind == CHANGE_ADDED) {
        m = m != NULL ? m : &c->members[c->n++];
        *m = (struct model_member){.box = r->mailbox, .uid = uid,
                                   .eid = r->eid, .flags = r->flags};
        return drive_keywords(d, r->keywords, &m->keywords);
    }
    return 0;
}

static int check_row(struct drive *d, const struct msg_change_row *got, const struct msg_change_row *want,
                     uint32_t keywords)
{
    uint32_t bits;
    if (drive_keywords(d, got->keywords, &bits) != 0)
        return -1;
    if (got->modseq != want->modseq || got->kind != want->kind || got->mailbox != want->mailbox ||
        got->uid != want->uid || got->eid != want->eid || got->flags != want->flags || got->thread != want->thread ||
        bits != keywords)
        return drive_differs(d, "changes: kind %u modseq %llu mailbox %llu uid %llu eid %llu flags %u thread %llu; the model has "
                      "kind %u modseq %llu mailbox %llu uid %llu eid %llu flags %u thread %llu",
                   got->kind, (unsigned long long)got->modseq, (unsigned long long)got->mailbox,
                   (unsigned long long)got->uid, (unsigned long long)got->eid, got->flags,
                   (unsigned long long)got->thread, want->kind, (unsigned long long)want->modseq,
                   (unsigned long long)want->mailbox, (unsigned long long)want->uid, (unsigned long long)want->eid,
                   want->flags, (unsigned long long)want->thread);
    return 0;
}

/* At the end of what it was told the client knows what there is. */
static int check_end(struct drive *d, struct model_account *a, struct drive_client *c)
{
    if (c->n != a->n_members || c->n_boxes != a->n_boxes || c->modseq != a->modseq)
        return drive_differs(d, "account %u: a client knows %zu messages in %zu mailboxes, there are %zu in %zu", (unsigned)a->number,
                   c->n, c->n_boxes, a->n_members, a->n_boxes);
    for (size_t i = 0; i < a->n_members; i++) {
        const struct model_member *m = &a->members[i];
        struct msg_change_row r = {.mailbox = m->box, .uid = m->uid};
        const struct model_member *k = known(c, &r);
        if (k == NULL || k->eid != m->eid || k->flags != m->flags || k->keywords != m->keywords)
            return drive_differs(d, "account %u: a client does not know uid %llu as it is", (unsigned)a->number,
                       (unsigned long long)m->uid);
    }
    for (size_t i = 0; i < a->n_boxes; i++)
        if (!knows_box(c, a->boxes[i].id))
            return drive_differs(d, "account %u: a client does not know mailbox %s", (unsigned)a->number, a->boxes[i].name);
    return 0;
}

/* What it missed is not told any more (RFC 7162 3.2.6, RFC 8620 5.2 cannotCalculateChanges): it looks at all. */
static void start_over(struct model_account *a, struct drive_client *c)
{
    *c = (struct drive_client){.modseq = a->modseq, .n = a->n_members, .n_boxes = a->n_boxes};
    memcpy(c->members, a->members, a->n_members * sizeof *a->members);
    for (size_t i = 0; i < a->n_boxes; i++)
        c->boxes[i] = a->boxes[i].id;
}

/* One piece. 1: there is more, 0, -1. */
static int piece(struct drive *d, struct model_account *a, struct drive_client *c, uint32_t limit)
{
    static struct msg_change_row want[MODEL_GONE + MODEL_MEMBERS + 3 * MODEL_BOXES];
    static uint32_t keywords[COUNT_OF(want)];
    struct msg_changes in = {.since = c->modseq, .limit = limit};
    struct msg_changes_r r;
    struct fail f = {0};
    if (store_changes(d->store, a->number, &in, &r, &d->mem, &f) != 0)
        return drive_differs(d, "changes: %s", f.text);
    if (r.floor != a->floor && model_floor(a, r.floor, !d->world.ageing) != 0)
        return drive_differs(d, "account %u: the floor is %llu, the model has %llu", (unsigned)a->number,
                             (unsigned long long)r.floor, (unsigned long long)a->floor);
    bool too_old = c->modseq < a->floor;
    size_t n = too_old ? 0 : model_changes(a, c->modseq, want, keywords);
    if (r.modseq != a->modseq || r.rows.n != MIN_OF(n, (size_t)in.limit) || (r.more != 0) != (n > in.limit))
        return drive_differs(d, "account %u: changes since %llu, %u at most: %u rows, more %u, modseq %llu; the model has %zu and %llu",
                   (unsigned)a->number, (unsigned long long)c->modseq, in.limit, r.rows.n, r.more,
                   (unsigned long long)r.modseq, n, (unsigned long long)a->modseq);
    if (too_old)
        start_over(a, c);
    for (uint32_t i = 0; i < r.rows.n; i++)
        if (check_row(d, &r.rows.v[i], &want[i], keywords[i]) != 0 || learn(d, c, &r.rows.v[i]) != 0)
            return -1;
    c->modseq = r.more ? r.rows.v[r.rows.n - 1].modseq : r.modseq;
    return r.more != 0;
}

int drive_client(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    for (size_t i = 0; i < COUNT_OF(d->clients[account]); i++) {
        struct drive_client *c = &d->clients[account][i];
        int more = 1;
        if (drive_below(d, i == 0 ? 2 : 40) != 0) /* the second one is away for longer */
            continue;
        for (uint64_t n = 1 + drive_below(d, 20); n > 0 && more == 1; n--)
            more = piece(d, a, c, 1 + (uint32_t)drive_below(d, 100));
        if (more < 0 || (more == 0 && check_end(d, a, c) != 0))
            return -1;
    }
    return 0;
}

int drive_client_new(struct drive *d, uint32_t account)
{
    static struct drive_client c;
    struct model_account *a = &d->world.accounts[account];
    int more;
    c.modseq = c.n = c.n_boxes = 0;
    while ((more = piece(d, a, &c, 1000)) == 1)
        ;
    return more < 0 ? -1 : check_end(d, a, &c);
}
