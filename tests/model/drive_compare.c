/* drive_compare: everything of an account that a client can see, against the model. */
#include "drive.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdarg.h>

int drive_differs(struct drive *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->why, sizeof d->why, fmt, ap);
    va_end(ap);
    return -1;
}

/* Each ends the function that it is in with -1. */
#define SAME(what, got, want)                                                                                          \
    do {                                                                                                               \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        if (got_ != want_)                                                                                             \
            return drive_differs(d, "account %u: %s is %llu, the model has %llu", (unsigned)a->number, what,           \
                                 (unsigned long long)got_, (unsigned long long)want_);                                 \
    } while (0)

#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        struct fail f = {0};                                                                                           \
        if ((call) != 0)                                                                                               \
            return drive_differs(d, "account %u: %.60s: %s", (unsigned)a->number, #call, f.text);                      \
    } while (0)

#define KEYWORDS(what, got, want)                                                                                      \
    do {                                                                                                               \
        uint32_t bits_;                                                                                                \
        if (drive_keywords(d, got, &bits_) != 0)                                                                       \
            return -1;                                                                                                 \
        SAME(what, bits_, want);                                                                                       \
    } while (0)

/* RFC 9051 2.3.2: keywords are told apart by more than case. */
int drive_keywords(struct drive *d, struct span text, uint32_t *bits)
{
    *bits = 0;
    while (text.n > 0) {
        struct span word = span_split(&text, ' ');
        uint32_t bit = 0;
        for (int i = 0; i < MODEL_WORDS; i++)
            if (span_eq_nocase(word, span_z(model_words[i])))
                bit = 1u << i;
        if (bit == 0 || (*bits & bit) != 0)
            return drive_differs(d, "keyword %.*s is unknown or there twice", SPAN_ARGS(word));
        *bits |= bit;
    }
    return 0;
}

/* ---- mailboxes ---- */

/* RFC 9051 2.3.1.1: a new mailbox's uidvalidity is greater than any that the account has seen. */
static int learn_uidvalidity(struct drive *d, struct model_account *a, const struct msg_mailbox_list_r *r)
{
    uint64_t seen = a->uidvalidity, last = 0;
    for (size_t i = 0; i < a->n_boxes; i++) {
        struct model_box *b = &a->boxes[i];
        uint64_t told = r->mailboxes.v[i].uidvalidity;
        if (b->uidvalidity == 0)
            b->uidvalidity = told;
        if (told <= last || (b->created > d->world.last_modseq[a - d->world.accounts] && told <= seen))
            return drive_differs(d, "account %u: mailbox %s has an old uidvalidity", (unsigned)a->number, b->name);
        last = told;
        a->uidvalidity = MAX_OF(a->uidvalidity, told);
    }
    return 0;
}

static int mailboxes(struct drive *d, struct model_account *a)
{
    struct msg_mailbox_list_r r;
    NEED(store_mailbox_list(d->store, a->number, SPAN_NONE, &r, &d->mem, &f));
    if (a->n_boxes == 0 && r.mailboxes.n == 1) /* RFC 9051 5.1: INBOX is always there; the first listing makes it */
        model_box_add(a, r.mailboxes.v[0].mailbox, 0, "INBOX", MAILBOX_INBOX, true);
    SAME("the number of mailboxes", r.mailboxes.n, a->n_boxes);
    if (learn_uidvalidity(d, a, &r) != 0)
        return -1;
    for (size_t i = 0; i < a->n_boxes; i++) {
        struct msg_mailbox_row want = model_row(a, &a->boxes[i]), *got = &r.mailboxes.v[i];
        if (!span_eq(got->name, want.name))
            return drive_differs(d, "account %u: mailbox %.*s should be %s", (unsigned)a->number, SPAN_ARGS(got->name),
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
    return 0;
}

static int quota(struct drive *d, struct model_account *a)
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
    return 0;
}

/* ---- members ---- */

/* RFC 8514 4.2: when it came into this mailbox; told once, it stays. */
static int saved(struct drive *d, const struct model_account *a, struct model_member *m, int64_t got)
{
    if (m->saved_ms == 0 && got >= MAX_OF(m->internal_ms, d->round_began_ms) &&
        got <= MAX_OF(m->internal_ms, clock_now_ms()))
        m->saved_ms = got;
    SAME("saved_ms", got, m->saved_ms);
    return 0;
}

/* One window of a mailbox. */
static int window(struct drive *d, struct model_account *a, const struct model_box *b, uint64_t first, uint64_t last,
                  uint32_t limit, uint64_t *next)
{
    struct msg_member_scan in = {.mailbox = b->id, .first = first, .last = last, .limit = limit, .want = WANT_THREAD};
    struct msg_member_scan_r r;
    uint32_t n = 0;
    *next = 0;
    NEED(store_member_scan(d->store, a->number, &in, &r, &d->mem, &f));
    for (size_t i = 0; i < a->n_members; i++) {
        struct model_member *m = &a->members[i];
        if (m->box != b->id || m->uid < first || m->uid > last)
            continue;
        if (n == limit && limit > 0) {
            *next = m->uid;
            break;
        }
        if (n == r.rows.n)
            return drive_differs(d, "account %u: uid %llu of %s is missing", (unsigned)a->number, (unsigned long long)m->uid,
                       b->name);
        const struct msg_member_row *got = &r.rows.v[n++];
        const struct model_email *e = model_email(a, m->eid);
        SAME("uid", got->uid, m->uid);
        SAME("eid", got->eid, m->eid);
        SAME("modseq of a message", got->modseq, m->modseq);
        SAME("flags", got->flags, m->flags);
        KEYWORDS("keywords", got->keywords, m->keywords);
        SAME("internal_ms", got->internal_ms, m->internal_ms);
        SAME("size", got->size, model_email_size(a, e));
        SAME("thread", got->thread, e->thread);
        if (saved(d, a, m, got->saved_ms) != 0)
            return -1;
    }
    SAME("the number of rows in a window", r.rows.n, n);
    SAME("where a window goes on", r.next, *next);
    return 0;
}

static int members(struct drive *d, struct model_account *a, bool all)
{
    for (size_t i = 0; i < a->n_boxes; i++) {
        uint32_t limit = !all && drive_below(d, 3) == 0 ? 1 + (uint32_t)drive_below(d, 20) : 0;
        uint64_t next = 1;
        while (next != 0)
            if (window(d, a, &a->boxes[i], next, UINT64_MAX, limit, &next) != 0)
                return -1;
        if (all)
            continue;
        next = 1 + drive_below(d, a->boxes[i].uidnext);
        if (window(d, a, &a->boxes[i], next, next + drive_below(d, 10), 3, &next) != 0)
            return -1;
    }
    return 0;
}

/* ---- emails ---- */

/* Of what it should be, `from` on. */
static int text_from(struct drive *d, const struct model_account *a, const struct model_email *e, struct span want,
                     uint64_t from, uint32_t length)
{
    struct msg_email_read in = {.eid = e->eid, .offset = from, .length = length};
    struct msg_email_read_r r;
    NEED(store_email_read(d->store, a->number, &in, &r, &d->mem, &f));
    SAME("size of a text", r.size, want.n);
    if (!span_eq(r.data, span_sub(want, (size_t)from, MIN_OF(length, 65536u))))
        return drive_differs(d, "account %u: the text of email %llu is wrong at %llu", (unsigned)a->number,
                             (unsigned long long)e->eid, (unsigned long long)from);
    return 0;
}

static int text(struct drive *d, struct model_account *a, const struct model_email *e, bool all)
{
    uint64_t size = model_email_size(a, e);
    struct str want;
    str_init(&want, &d->mem);
    if (e->delivered)
        str_addf(&want, "Return-Path: <a@example.org>\r\nDelivered-To: user%u@example.test\r\n", (unsigned)a->number);
    str_add(&want, drive_body(e->seed, e->length, &d->mem));
    if (!all)
        return text_from(d, a, e, str_span(&want), drive_below(d, size + 2), 1 + (uint32_t)drive_below(d, 65536));
    for (uint64_t at = 0; at < size; at += 65536)
        if (text_from(d, a, e, str_span(&want), at, 65536) != 0)
            return -1;
    return 0;
}

/* RFC 8621 4.1: an email, and all the mailboxes it is in. */
static int email(struct drive *d, struct model_account *a, uint64_t eid, bool all)
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
            return drive_differs(d, "account %u: email %llu is in fewer mailboxes", (unsigned)a->number, (unsigned long long)eid);
        const struct msg_email_member *got = &r.members.v[n++];
        SAME("mailbox of an email", got->mailbox, m->box);
        SAME("uid of an email", got->uid, m->uid);
        SAME("modseq of an email's member", got->modseq, m->modseq);
        SAME("flags of an email's member", got->flags, m->flags);
        KEYWORDS("keywords of an email's member", got->keywords, m->keywords);
    }
    SAME("mailboxes of an email", r.members.n, n);
    if (e == NULL)
        return 0;
    SAME("created_modseq of an email", r.emails.v[0].created_modseq, e->created);
    SAME("thread of an email", r.emails.v[0].thread, e->thread);
    SAME("received_ms", r.emails.v[0].received_ms, e->received_ms);
    SAME("size of an email", r.emails.v[0].size, model_email_size(a, e));
    return text(d, a, e, all);
}

/* RFC 8621 3: a thread's emails, the oldest first; those that JMAP does not see are marked. */
static int thread(struct drive *d, struct model_account *a, uint64_t id)
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
            return drive_differs(d, "account %u: thread %llu is wrong", (unsigned)a->number, (unsigned long long)id);
        SAME("visible", got->visible, visible);
    }
    return 0;
}

/* What is another's is not there. */
static int others(struct drive *d, struct model_account *a, uint32_t account)
{
    const struct model_account *b = &d->world.accounts[(account + 1) % MODEL_ACCOUNTS];
    struct fail f = {0};
    if (b->n_uploads > 0) {
        struct msg_blob_get in = {.blob = b->uploads[0].blob, .length = 10};
        struct msg_blob_get_r r;
        if (store_blob_get(d->store, a->number, &in, &r, &d->mem, &f) == 0)
            return drive_differs(d, "account %u reads an upload of another", (unsigned)a->number);
    }
    if (b->n_emails == 0)
        return 0;
    uint64_t eid = b->emails[drive_below(d, b->n_emails)].eid;
    struct msg_email_read in = {.eid = eid, .length = 10};
    struct msg_email_read_r r;
    if (email(d, a, eid, false) != 0)
        return -1;
    if (store_email_read(d->store, a->number, &in, &r, &d->mem, &f) == 0)
        return drive_differs(d, "account %u reads email %llu of another", (unsigned)a->number, (unsigned long long)eid);
    return 0;
}

/* RFC 8621 4.2, 3: several at a time, some of which are not there; those that are come in the order asked for. */
static int several(struct drive *d, struct model_account *a)
{
    struct msg_email_id ids[5];
    struct msg_email_get in = {.ids = {ids, COUNT_OF(ids)}};
    struct msg_email_get_r r;
    uint32_t n = 0;
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i].eid = drive_below(d, 4) == 0 ? 1 + drive_below(d, d->world.last_id[0] + 9) : a->emails[drive_below(d, a->n_emails)].eid;
    NEED(store_email_get(d->store, a->number, &in, &r, &d->mem, &f));
    SAME("emails asked for at once", r.done, COUNT_OF(ids));
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        if (model_email(a, ids[i].eid) == NULL)
            continue;
        if (n == r.emails.n)
            return drive_differs(d, "account %u: email %llu is missing among several", (unsigned)a->number, (unsigned long long)ids[i].eid);
        SAME("an email among several", r.emails.v[n++].eid, ids[i].eid);
    }
    SAME("emails found at once", r.emails.n, n);
    return 0;
}

/* ---- uploads and values ---- */

static int uploads(struct drive *d, struct model_account *a)
{
    int64_t now_s = clock_now_s();
    for (size_t i = 0; i < a->n_uploads; i++) {
        const struct model_upload *u = &a->uploads[i];
        struct span want = drive_body(u->seed, u->length, &d->mem);
        bool there = model_upload_find(a, u->blob) != NULL;
        for (uint64_t at = 0; at == 0 || at < u->length; at += 65536) {
            struct msg_blob_get in = {.blob = u->blob, .offset = at, .length = 65536};
            struct msg_blob_get_r r;
            struct fail f = {0};
            int rc = store_blob_get(d->store, a->number, &in, &r, &d->mem, &f);
            if ((rc == 0) != there)
                return drive_differs(d, "account %u: upload %llu, %lld hours old: %s (%lld)", (unsigned)a->number,
                                     (unsigned long long)u->blob, (long long)(a->hours - u->at_h), f.text, (long long)now_s);
            if (!there)
                break;
            SAME("size of an upload", r.size, u->length);
            if (!span_eq(r.data, span_sub(want, (size_t)at, 65536)))
                return drive_differs(d, "account %u: upload %llu is wrong at %llu", (unsigned)a->number,
                                     (unsigned long long)u->blob, (unsigned long long)at);
        }
    }
    return 0;
}

static int one_value(struct drive *d, struct model_account *a, const struct model_value *v)
{
    struct msg_kv_get in = {.key = span_z(v->key)};
    struct msg_kv_get_r r;
    NEED(store_kv_get(d->store, a->number, &in, &r, &d->mem, &f));
    SAME("a value found", r.found, model_value_lives(a, v));
    if (r.found != 0 && !span_eq(r.value, drive_body(v->seed, v->length, &d->mem)))
        return drive_differs(d, "account %u: value %s is wrong", (unsigned)a->number, v->key);
    return 0;
}

static int values(struct drive *d, struct model_account *a)
{
    struct msg_kv_list in = {.prefix = SPAN("key")};
    struct msg_kv_list_r r;
    size_t n = 0;
    NEED(store_kv_list(d->store, a->number, &in, &r, &d->mem, &f));
    for (size_t i = 0; i < a->n_values; i++) {
        n += model_value_lives(a, &a->values[i]);
        if (one_value(d, a, &a->values[i]) != 0)
            return -1;
    }
    SAME("values listed", r.rows.n, n);
    for (uint32_t i = 1; i < r.rows.n; i++)
        if (span_cmp(r.rows.v[i - 1].key, r.rows.v[i].key) >= 0)
            return drive_differs(d, "account %u: values are not in order", (unsigned)a->number);
    return 0;
}

/* ---- all of it ---- */

static int some(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    model_threads(a);
    if (mailboxes(d, a) != 0 || members(d, a, false) != 0 || quota(d, a) != 0)
        return -1;
    for (int i = 0; i < 3 && a->n_emails > 0; i++) {
        const struct model_email *e = &a->emails[drive_below(d, a->n_emails)];
        if (email(d, a, e->eid, false) != 0 || thread(d, a, e->thread) != 0)
            return -1;
    }
    if (a->n_emails > 0 && several(d, a) != 0)
        return -1;
    return others(d, a, account) != 0 || uploads(d, a) != 0 || values(d, a) != 0 ? -1 : drive_client(d, account);
}

int drive_compare(struct drive *d, uint32_t account)
{
    if (d->world.accounts[account].n_boxes == 0 && (d->quiet || drive_below(d, 2) == 0))
        return 0; /* listing it would make its INBOX */
    int rc = some(d, account);
    arena_reset(&d->mem);
    return rc;
}

int drive_compare_boxes(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    if (d->quiet) /* told first: listing an account that is not there would make it */
        SAME("modseq", store_modseq(d->store, a->number), a->modseq);
    int rc = a->n_boxes == 0 && d->quiet ? 0 : mailboxes(d, a);
    arena_reset(&d->mem);
    return rc;
}

int drive_compare_all(struct drive *d, uint32_t account)
{
    struct model_account *a = &d->world.accounts[account];
    model_threads(a);
    int rc = members(d, a, true) != 0 || quota(d, a) != 0 || uploads(d, a) != 0 || values(d, a) != 0 ? -1 : 0;
    for (size_t i = 0; i < a->n_emails && rc == 0; i++) {
        rc = email(d, a, a->emails[i].eid, true) != 0 || thread(d, a, a->emails[i].thread) != 0 ? -1 : 0;
        arena_reset(&d->mem);
    }
    if (rc == 0 && a->n_boxes > 0)
        rc = drive_client_new(d, account);
    arena_reset(&d->mem);
    return rc;
}

int drive_compare_store(struct drive *d)
{
    struct model_account *a = &d->world.accounts[MODEL_ACCOUNTS];
    struct msg_store_stats_r r;
    uint64_t emails = 0, least = model_blobs(&d->world, false), most = d->world.ageing ? model_blobs(&d->world, true) : least;
    NEED(store_stats(d->store, &r, &f));
    for (size_t i = 0; i < MODEL_ACCOUNTS; i++)
        emails += d->world.accounts[i].n_emails;
    SAME("emails of the store", r.emails, emails);
    if (r.blobs < least || r.blobs > most)
        return drive_differs(d, "the store has %llu blobs, the model %llu", (unsigned long long)r.blobs, (unsigned long long)least);
    int rc = values(d, a);
    arena_reset(&d->mem);
    return rc;
}
