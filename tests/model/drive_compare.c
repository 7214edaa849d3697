/* drive_compare: everything of an account that a client can see, against the model. */
#include "drive.h"

#include "base/clock.h"
#include "base/str.h"

#define SAME(what, got, want)                                                                                          \
    do {                                                                                                               \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        if (got_ != want_)                                                                                             \
            drive_fail(d, "account %u: %s is %llu, the model has %llu", (unsigned)a->number, what,                     \
                       (unsigned long long)got_, (unsigned long long)want_);                                           \
    } while (0)

#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        struct fail f = {0};                                                                                           \
        if ((call) != 0)                                                                                               \
            drive_fail(d, "account %u: %s: %s", (unsigned)a->number, #call, f.text);                                   \
    } while (0)

/* RFC 9051 2.3.2: keywords are told apart by more than case. */
uint32_t drive_keywords(struct drive *d, struct span text)
{
    uint32_t bits = 0;
    while (text.n > 0) {
        struct span word = span_split(&text, ' ');
        uint32_t bit = 0;
        for (int i = 0; i < MODEL_WORDS; i++)
            if (span_eq_nocase(word, span_z(model_words[i])))
                bit = 1u << i;
        if (bit == 0 || (bits & bit) != 0)
            drive_fail(d, "keyword %.*s is unknown or there twice", SPAN_ARGS(word));
        bits |= bit;
    }
    return bits;
}

/* ---- mailboxes ---- */

/* RFC 9051 2.3.1.1: a new mailbox's uidvalidity is greater than any that the account has seen. */
static void learn_uidvalidity(struct drive *d, struct model_account *a, const struct msg_mailbox_list_r *r)
{
    uint64_t seen = a->uidvalidity, last = 0;
    for (size_t i = 0; i < a->n_boxes; i++) {
        struct model_box *b = &a->boxes[i];
        uint64_t told = r->mailboxes.v[i].uidvalidity;
        if (b->uidvalidity == 0)
            b->uidvalidity = told;
        if (told <= last || (b->created > d->world.last_modseq[a - d->world.accounts] && told <= seen))
            drive_fail(d, "account %u: mailbox %s has an old uidvalidity", (unsigned)a->number, b->name);
        last = told;
        a->uidvalidity = MAX_OF(a->uidvalidity, told);
    }
}

static void mailboxes(struct drive *d, struct model_account *a)
{
    struct msg_mailbox_list_r r;
    NEED(store_mailbox_list(d->store, a->number, SPAN_NONE, &r, &d->mem, &f));
    if (a->n_boxes == 0 && r.mailboxes.n == 1) /* RFC 9051 5.1: INBOX is always there; the first listing makes it */
        model_box_add(a, r.mailboxes.v[0].mailbox, 0, "INBOX", MAILBOX_INBOX, true);
    SAME("the number of mailboxes", r.mailboxes.n, a->n_boxes);
    learn_uidvalidity(d, a, &r);
    for (size_t i = 0; i < a->n_boxes; i++) {
        struct msg_mailbox_row want = model_row(a, &a->boxes[i]), *got = &r.mailboxes.v[i];
        if (!span_eq(got->name, want.name))
            drive_fail(d, "account %u: mailbox %.*s should be %s", (unsigned)a->number, SPAN_ARGS(got->name),
                       a->boxes[i].name);
        SAME("mailbox", got->mailbox, want.mailbox);
        SAME("parent", got->parent, want.parent);
        SAME("role", got->role, want.role);
        SAME("subscribed", got->subscribed, want.subscribed);
        SAME("uidvalidity", got->uidvalidity, want.uidvalidity);
        SAME("uidnext", got->uidnext, want.uidnext);
        SAME("mailbox modseq", got->modseq, want.modseq);
        SAME("created_modseq", got->created_modseq, want.created_modseq);
        SAME("changed_modseq", got->changed_modseq, want.changed_modseq);
        SAME("total", got->total, want.total);
        SAME("unseen", got->unseen, want.unseen);
        SAME("deleted", got->deleted, want.deleted);
        SAME("unread", got->unread, want.unread);
        SAME("mailbox size", got->size, want.size);
    }
    SAME("modseq", store_modseq(d->store, a->number), a->modseq);
}

static void quota(struct drive *d, struct model_account *a)
{
    struct msg_quota_get_r r;
    uint64_t bytes = 0;
    NEED(store_quota_get(d->store, a->number, &r, &f));
    for (size_t i = 0; i < a->n_members; i++)
        bytes += model_email_size(a, model_email(a, a->members[i].eid));
    SAME("quota: bytes", r.bytes, bytes);
    SAME("quota: messages", r.messages, a->n_members);
    SAME("quota: mailboxes", r.mailboxes, a->n_boxes);
    SAME("quota: limit of bytes", r.limit_bytes, a->limit_bytes);
    SAME("quota: limit of messages", r.limit_messages, a->limit_messages);
    SAME("quota: limit of mailboxes", r.limit_mailboxes, MODEL_BOXES);
}

/* ---- members ---- */

/* RFC 8514 4.2: when it came into this mailbox; told once, it stays. */
static void saved(struct drive *d, const struct model_account *a, struct model_member *m, int64_t got)
{
    if (m->saved_ms == 0 && got >= MAX_OF(m->internal_ms, d->round_began_ms) &&
        got <= MAX_OF(m->internal_ms, clock_now_ms()))
        m->saved_ms = got;
    SAME("saved_ms", got, m->saved_ms);
}

/* One window of a mailbox. */
static uint64_t window(struct drive *d, struct model_account *a, const struct model_box *b, uint64_t first,
                       uint64_t last, uint32_t limit)
{
    struct msg_member_scan in = {.mailbox = b->id, .first = first, .last = last, .limit = limit, .want = WANT_THREAD};
    struct msg_member_scan_r r;
    uint32_t n = 0;
    uint64_t next = 0;
    NEED(store_member_scan(d->store, a->number, &in, &r, &d->mem, &f));
    for (size_t i = 0; i < a->n_members; i++) {
        struct model_member *m = &a->members[i];
        if (m->box != b->id || m->uid < first || m->uid > last)
            continue;
        if (n == limit && limit > 0) {
            next = m->uid;
            break;
        }
        if (n == r.rows.n)
            drive_fail(d, "account %u: uid %llu of %s is missing", (unsigned)a->number, (unsigned long long)m->uid,
                       b->name);
        const struct msg_member_row *got = &r.rows.v[n++];
        const struct model_email *e = model_email(a, m->eid);
        SAME("uid", got->uid, m->uid);
        SAME("eid", got->eid, m->eid);
        SAME("modseq of a message", got->modseq, m->modseq);
        SAME("flags", got->flags, m->flags);
        SAME("keywords", drive_keywords(d, got->keywords), m->keywords);
        SAME("internal_ms", got->internal_ms, m->internal_ms);
        SAME("size", got->size, model_email_size(a, e));
        SAME("thread", got->thread, e->thread);
        saved(d, a, m, got->saved_ms);
    }
    SAME("the number of rows in a window", r.rows.n, n);
    SAME("where a window goes on", r.next, next);
    return next;
}

static void members(struct drive *d, struct model_account *a)
{
    for (size_t i = 0; i < a->n_boxes; i++) {
        uint32_t limit = drive_below(d, 3) == 0 ? 1 + (uint32_t)drive_below(d, 20) : 0;
        uint64_t next = 1;
        while (next != 0)
            next = window(d, a, &a->boxes[i], next, UINT64_MAX, limit);
        next = 1 + drive_below(d, a->boxes[i].uidnext);
        window(d, a, &a->boxes[i], next, next + drive_below(d, 10), 3);
    }
}

/* ---- emails ---- */

static void text(struct drive *d, struct model_account *a, const struct model_email *e)
{
    uint64_t size = model_email_size(a, e), from = drive_below(d, size + 2);
    struct msg_email_read in = {.eid = e->eid, .offset = from, .length = 1 + (uint32_t)drive_below(d, 65536)};
    struct msg_email_read_r r;
    struct str want;
    str_init(&want, &d->mem);
    if (e->delivered)
        str_addf(&want, "Return-Path: <a@example.org>\r\nDelivered-To: user%u@example.test\r\n", (unsigned)a->number);
    str_add(&want, drive_body(e->seed, e->length, &d->mem));
    NEED(store_email_read(d->store, a->number, &in, &r, &d->mem, &f));
    SAME("size of a text", r.size, size);
    if (!span_eq(r.data, span_sub(str_span(&want), (size_t)from, in.length)))
        drive_fail(d, "account %u: the text of email %llu is wrong at %llu", (unsigned)a->number,
                   (unsigned long long)e->eid, (unsigned long long)from);
}

/* RFC 8621 4.1: an email, and all the mailboxes it is in. */
static void email(struct drive *d, struct model_account *a, uint64_t eid)
{
    struct msg_email_id id = {eid};
    struct msg_email_get in = {.ids = {&id, 1}};
    struct msg_email_get_r r;
    const struct model_email *e = model_email(a, eid);
    uint32_t n = 0;
    NEED(store_email_get(d->store, a->number, &in, &r, &d->mem, &f));
    SAME("emails asked for", r.done, 1);
    SAME("emails found", r.emails.n, e != NULL);
    for (size_t i = 0; i < a->n_members; i++) {
        const struct model_member *m = &a->members[i];
        if (m->eid != eid)
            continue;
        if (n == r.members.n)
            drive_fail(d, "account %u: email %llu is in fewer mailboxes", (unsigned)a->number, (unsigned long long)eid);
        const struct msg_email_member *got = &r.members.v[n++];
        SAME("mailbox of an email", got->mailbox, m->box);
        SAME("uid of an email", got->uid, m->uid);
        SAME("modseq of an email's member", got->modseq, m->modseq);
        SAME("flags of an email's member", got->flags, m->flags);
        SAME("keywords of an email's member", drive_keywords(d, got->keywords), m->keywords);
    }
    SAME("mailboxes of an email", r.members.n, n);
    if (e == NULL)
        return;
    SAME("created_modseq of an email", r.emails.v[0].created_modseq, e->created);
    SAME("thread of an email", r.emails.v[0].thread, e->thread);
    SAME("received_ms", r.emails.v[0].received_ms, e->received_ms);
    SAME("size of an email", r.emails.v[0].size, model_email_size(a, e));
    text(d, a, e);
}

/* RFC 8621 3: a thread's emails, the oldest first; those that JMAP does not see are marked. */
static void thread(struct drive *d, struct model_account *a, uint64_t id)
{
    struct msg_email_id asked = {id};
    struct msg_thread_get in = {.threads = {&asked, 1}};
    struct msg_thread_get_r r;
    uint32_t n = 0;
    NEED(store_thread_get(d->store, a->number, &in, &r, &d->mem, &f));
    for (size_t i = 0; i < a->n_emails; i++)
        n += a->emails[i].thread == id;
    SAME("emails of a thread", r.emails.n, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_thread_email *got = &r.emails.v[i];
        const struct model_email *e = model_email(a, got->eid);
        bool visible = false;
        for (size_t k = 0; k < a->n_members; k++)
            visible |= a->members[k].eid == got->eid && (a->members[k].flags & FLAG_DELETED) == 0;
        if (e == NULL || e->thread != id || (i > 0 && (got[-1].received_ms > got->received_ms ||
            (got[-1].received_ms == got->received_ms && got[-1].eid >= got->eid))))
            drive_fail(d, "account %u: thread %llu is wrong", (unsigned)a->number, (unsigned long long)id);
        SAME("visible", got->visible, visible);
    }
}

/* What is another's is not there. */
static void others(struct drive *d, struct model_account *a, uint32_t account)
{
    const struct model_account *b = &d->world.accounts[(account + 1) % MODEL_ACCOUNTS];
    if (b->n_emails == 0)
        return;
    uint64_t eid = b->emails[drive_below(d, b->n_emails)].eid;
    struct msg_email_read in = {.eid = eid, .length = 10};
    struct msg_email_read_r r;
    struct fail f = {0};
    email(d, a, eid);
    if (store_email_read(d->store, a->number, &in, &r, &d->mem, &f) == 0)
        drive_fail(d, "account %u reads email %llu of another", (unsigned)a->number, (unsigned long long)eid);
}

void drive_compare(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    if (a->n_boxes == 0 && drive_below(d, 2) == 0)
        return; /* listing it would make its INBOX */
    mailboxes(d, a);
    model_threads(a);
    members(d, a);
    quota(d, a);
    for (int i = 0; i < 3 && a->n_emails > 0; i++) {
        const struct model_email *e = &a->emails[drive_below(d, a->n_emails)];
        email(d, a, e->eid);
        thread(d, a, e->thread);
    }
    others(d, a, account);
    drive_client(d, account);
    arena_reset(&d->mem);
}
