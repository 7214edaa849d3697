/* model_view: what readers of an account are told: counters, changes, threads. */
#include "model.h"

/* ---- counters: IMAP's STATUS (RFC 9051 6.3.11) and JMAP's unreadEmails (RFC 8621 2) ---- */

struct msg_mailbox_row model_row(const struct model_account *a, const struct model_box *b)
{
    struct msg_mailbox_row r = {.mailbox = b->id,
                                .parent = b->parent,
                                .name = span_z(b->name),
                                .role = b->role,
                                .subscribed = b->subscribed,
                                .uidvalidity = b->uidvalidity,
                                .uidnext = b->uidnext,
                                .modseq = b->modseq,
                                .created_modseq = b->created,
                                .changed_modseq = b->changed};
    for (size_t i = 0; i < a->n_members; i++) {
        const struct model_member *m = &a->members[i];
        if (m->box != b->id)
            continue;
        r.total++;
        r.unseen += (m->flags & FLAG_SEEN) == 0;
        r.deleted += (m->flags & FLAG_DELETED) != 0;
        r.unread += (m->flags & (FLAG_SEEN | FLAG_DRAFT | FLAG_DELETED)) == 0;
        r.size += model_email_size(a, model_email((struct model_account *)a, m->eid));
    }
    return r;
}

/* ---- changes: CHANGEDSINCE and VANISHED (RFC 7162 3.1.4, 3.2.5), JMAP's /changes (RFC 8620 5.2) ---- */

static int by_modseq(const void *a, const void *b)
{
    const struct msg_change_row *x = a, *y = b;
    return (x->modseq > y->modseq) - (x->modseq < y->modseq);
}

/* All that happened after `since`, oldest first: what is new since then by its arrival, as it is now; what was there by
 * its last change; what is gone by its end. out: room for all; keywords: beside it, as bits. */
size_t model_changes(const struct model_account *a, uint64_t since, struct msg_change_row *out, uint32_t *keywords)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_boxes; i++) {
        const struct model_box *b = &a->boxes[i];
        if (b->created > since)
            out[n++] = (struct msg_change_row){.modseq = b->created, .kind = CHANGE_MAILBOX_ADDED, .mailbox = b->id};
        if (b->changed > since && b->changed != b->created)
            out[n++] = (struct msg_change_row){.modseq = b->changed, .kind = CHANGE_MAILBOX, .mailbox = b->id};
    }
    for (size_t i = 0; i < a->n_members; i++) {
        const struct model_member *m = &a->members[i];
        bool new = m->created > since;
        if (new || m->modseq > since)
            out[n++] = (struct msg_change_row){.modseq = new ? m->created : m->modseq,
                                               .kind = new ? CHANGE_ADDED : CHANGE_FLAGS,
                                               .mailbox = m->box,
                                               .uid = m->uid,
                                               .eid = m->eid,
                                               .flags = m->flags};
    }
    for (size_t i = 0; i < a->n_gone; i++) {
        const struct model_gone *g = &a->gone[i];
        if (g->modseq > since)
            out[n++] = (struct msg_change_row){.modseq = g->modseq,
                                               .kind = g->uid != 0 ? CHANGE_EXPUNGED : CHANGE_MAILBOX_GONE,
                                               .mailbox = g->box,
                                               .uid = g->uid,
                                               .eid = g->eid,
                                               .thread = g->thread};
    }
    if (n > 0)
        qsort(out, n, sizeof *out, by_modseq);
    for (size_t i = 0; i < n; i++) {
        keywords[i] = 0;
        for (size_t k = 0; k < a->n_members && out[i].uid != 0; k++)
            if (a->members[k].box == out[i].mailbox && a->members[k].uid == out[i].uid)
                keywords[i] = a->members[k].keywords;
    }
    return n;
}

/* ---- threads ---- */

static uint64_t known(const struct model_account *a, uint64_t key)
{
    for (size_t i = 0; i < a->n_keys && key != 0; i++)
        if (a->keys[i].key == key)
            return a->keys[i].thread;
    return 0;
}

static void know(struct model_account *a, uint64_t key, uint64_t thread)
{
    if (key != 0 && known(a, key) == 0 && a->n_keys < MODEL_KEYS)
        a->keys[a->n_keys++] = (struct model_key){key, thread};
}

/* RFC 8621 3: in order of arrival: the thread that its own Message-ID is known from, else that of its first reference
 * that is known, else one of its own. Never merged: a threadId is immutable. */
void model_threads(struct model_account *a)
{
    for (size_t i = 0; i < a->n_emails; i++) {
        struct model_email *e = &a->emails[i];
        if (e->thread != 0)
            continue;
        e->thread = known(a, e->key);
        for (uint32_t k = 0; k < e->n_refs && e->thread == 0; k++)
            e->thread = known(a, e->refs[k]);
        if (e->thread == 0)
            e->thread = e->eid;
        know(a, e->key, e->thread);
        for (uint32_t k = 0; k < e->n_refs; k++)
            know(a, e->refs[k], e->thread);
    }
}
