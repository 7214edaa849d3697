/* model: accounts, members, and the way an operation takes (see the header). */
#include "model.h"

const char *const model_words[MODEL_WORDS] = {"$Junk", "$Forwarded", "alpha", "Beta", "$label1", "x-y.z"};

static void must(bool fits)
{
    if (!fits)
        base_die("the model's arrays are too small for this run");
}

int model_refuse(struct model_answer *out, const char *code)
{
    *out = (struct model_answer){0};
    snprintf(out->code, sizeof out->code, "%s", code);
    return -1;
}

void model_forget(struct model_account *a, uint64_t number)
{
    *a = (struct model_account){.number = number, .hours = a->hours, .limit_bytes = -1, .limit_messages = -1};
}

void model_copy(struct model_account *to, const struct model_account *from)
{
    memcpy(to, from, offsetof(struct model_account, boxes));
    memcpy(to->boxes, from->boxes, from->n_boxes * sizeof *to->boxes);
    memcpy(to->members, from->members, from->n_members * sizeof *to->members);
    memcpy(to->emails, from->emails, from->n_emails * sizeof *to->emails);
    memcpy(to->keys, from->keys, from->n_keys * sizeof *to->keys);
    memcpy(to->gone, from->gone, from->n_gone * sizeof *to->gone);
}

uint64_t model_stamp(struct model_account *a, struct model_box *b)
{
    b->modseq = ++a->modseq;
    return a->modseq;
}

/* ---- mailboxes ---- */

struct model_box *model_box(struct model_account *a, uint64_t id)
{
    for (size_t i = 0; i < a->n_boxes; i++)
        if (id == 0 ? a->boxes[i].role == MAILBOX_INBOX : a->boxes[i].id == id)
            return &a->boxes[i];
    return NULL;
}

struct model_box *model_box_add(struct model_account *a, uint64_t id, uint64_t parent, const char *name, uint32_t role,
                                bool subscribed)
{
    must(a->n_boxes < MODEL_BOXES);
    struct model_box *b = &a->boxes[a->n_boxes++];
    *b = (struct model_box){.id = id, .parent = parent, .role = role, .subscribed = subscribed, .uidnext = 1};
    snprintf(b->name, sizeof b->name, "%s", name);
    b->created = b->changed = model_stamp(a, b);
    return b;
}

/* ---- emails and members ---- */

struct model_email *model_email(struct model_account *a, uint64_t eid)
{
    for (size_t i = 0; i < a->n_emails; i++)
        if (a->emails[i].eid == eid)
            return &a->emails[i];
    return NULL;
}

/* RFC 5321 4.4: final delivery puts two lines in front; a client's APPEND is kept as it is. */
uint64_t model_email_size(const struct model_account *a, const struct model_email *e)
{
    char lines[128];
    int n = snprintf(lines, sizeof lines, "Return-Path: <a@example.org>\r\nDelivered-To: user%u@example.test\r\n",
                     (unsigned)a->number);
    return e->length + (e->delivered ? (uint64_t)n : 0);
}

/* RFC 9051 2.3.1.1: uids are given in strictly ascending order and never again. */
struct model_member *model_member_add(struct model_account *a, struct model_box *b, const struct model_member *m)
{
    size_t at = 0;
    must(a->n_members < MODEL_MEMBERS);
    while (at < a->n_members && a->members[at].box <= b->id)
        at++;
    memmove(a->members + at + 1, a->members + at, (a->n_members - at) * sizeof *m);
    a->n_members++;
    a->members[at] = *m;
    a->members[at].box = b->id;
    a->members[at].uid = b->uidnext++;
    a->members[at].saved_ms = 0;
    a->members[at].created = a->members[at].modseq = model_stamp(a, b);
    return &a->members[at];
}

/* With the last email of a thread go the ids by which it was known. Returns the thread. */
static uint64_t drop_email(struct model_account *a, uint64_t eid)
{
    struct model_email *e = model_email(a, eid);
    uint64_t thread = e->thread != 0 ? e->thread : eid;
    bool others = false;
    *e = (struct model_email){0};
    memmove(e, e + 1, (size_t)((char *)(a->emails + a->n_emails) - (char *)(e + 1)));
    a->n_emails--;
    for (size_t i = 0; i < a->n_emails; i++)
        others |= a->emails[i].thread == thread;
    size_t kept = 0;
    for (size_t i = 0; i < a->n_keys; i++)
        if (others || a->keys[i].thread != thread)
            a->keys[kept++] = a->keys[i];
    a->n_keys = kept;
    return thread;
}

void model_member_remove(struct model_account *a, size_t i, bool moved)
{
    struct model_member m = a->members[i];
    bool elsewhere = moved;
    memmove(a->members + i, a->members + i + 1, (a->n_members - i - 1) * sizeof m);
    a->n_members--;
    for (size_t k = 0; k < a->n_members; k++)
        elsewhere |= a->members[k].eid == m.eid;
    uint64_t thread = elsewhere ? 0 : drop_email(a, m.eid);
    must(a->n_gone < MODEL_GONE);
    a->gone[a->n_gone++] =
        (struct model_gone){model_stamp(a, model_box(a, m.box)), m.box, m.uid, m.eid, thread, a->hours};
}

/* ---- operations ---- */

static int recount(struct model_account *a, struct model_answer *out)
{
    out->count = a->n_members;
    return 0;
}

static int quota_set(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    a->limit_bytes = q->limit_bytes;
    a->limit_messages = q->limit_messages;
    out->count = a->n_members;
    for (size_t i = 0; i < a->n_members; i++)
        out->extra[0] += model_email_size(a, model_email(a, a->members[i].eid));
    return 0;
}

static int run(struct model_world *w, const struct model_request *q, const struct model_answer *told,
               struct model_answer *out)
{
    struct model_account *a = &w->accounts[q->account];
    switch ((int)q->id) {
    case MODEL_AGE:
        model_pass(w, q->hours);
        model_drop(w);
        return 0;
    case MSG_ID_blob_put: return model_upload(a, q, told, out);
    case MSG_ID_kv_set: return model_set_value(q->whole ? &w->accounts[MODEL_ACCOUNTS] : a, q, out);
    case MSG_ID_ingest: return model_ingest(w, q, told, out);
    case MSG_ID_append: return model_append(w, q, told, out);
    case MSG_ID_flags_set: return model_flags(a, q, out);
    case MSG_ID_expunge: return model_expunge(a, q, out);
    case MSG_ID_copy: return model_transfer(a, q, out);
    case MSG_ID_mailbox_create: return model_create(a, q, told, out);
    case MSG_ID_mailbox_set: return model_set(a, q, told, out);
    case MSG_ID_mailbox_remove: return model_remove(a, q, out);
    case MSG_ID_recount: return recount(a, out);
    case MSG_ID_quota_set: return quota_set(a, q, out);
    default: model_forget(a, a->number); return 0; /* account_gone */
    }
}

static bool has_id(const struct model_request *q)
{
    return q->id != MSG_ID_recount && q->id != MSG_ID_quota_set && q->id != MSG_ID_account_gone && q->id != MSG_ID_kv_set &&
           (int)q->id != MODEL_AGE;
}

void model_apply(struct model_world *w, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out)
{
    for (size_t i = 0; i < MODEL_OPS && has_id(q); i++) {
        const struct model_done *d = &w->done[i];
        if (d->q.id == 0 || memcmp(d->op.b, q->op.b, sizeof q->op.b) != 0)
            continue;
        if (d->q.id != q->id || (q->id != MSG_ID_ingest && d->q.account != q->account)) {
            model_refuse(out, "5.5.4");
            return;
        }
        *out = d->a;
        out->repeated = q->id == MSG_ID_ingest;
        return;
    }
    *out = (struct model_answer){0};
    if (run(w, q, told, out) == 0)
        out->ok = 1;
}

void model_remember(struct model_world *w, const struct model_request *q, const struct model_answer *a)
{
    for (size_t i = 0; i < MODEL_OPS; i++) /* a repetition: it stays as old as it was */
        if (w->done[i].q.id != 0 && memcmp(w->done[i].op.b, q->op.b, sizeof q->op.b) == 0)
            return;
    if (has_id(q) && a->ok)
        w->done[w->n_done++ % MODEL_OPS] = (struct model_done){q->op, *q, *a, w->accounts[0].hours};
}
