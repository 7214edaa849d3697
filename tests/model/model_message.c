/* model_message: messages come, change, are copied and go. */
#include "model.h"

/* ---- arrivals ---- */

/* RFC 9208 4.1: a message that would exceed a limit is refused. */
static int check_room(const struct model_account *a, uint64_t bytes, uint64_t messages, struct model_answer *out)
{
    uint64_t used = 0;
    for (size_t i = 0; i < a->n_members; i++)
        used += model_email_size(a, model_email((struct model_account *)a, a->members[i].eid));
    if (a->limit_bytes >= 0 && bytes > 0 && used + bytes > (uint64_t)a->limit_bytes)
        return model_refuse(out, "5.2.2");
    if (a->limit_messages >= 0 && messages > 0 && a->n_members + messages > (uint64_t)a->limit_messages)
        return model_refuse(out, "5.2.2");
    return 0;
}

static int check_arrival(struct model_account *a, uint64_t mailbox, uint32_t length, bool delivered,
                         struct model_answer *out)
{
    struct model_email e = {.length = length, .delivered = delivered};
    if (mailbox != 0 && model_box(a, mailbox) == NULL)
        return model_refuse(out, "5.2.0");
    return check_room(a, model_email_size(a, &e), 1, out);
}

/* Delivered to an account without an INBOX, it makes one. eid and mailbox: names that the store gave. */
static struct msg_ingest_result arrive(struct model_account *a, const struct model_request *q, uint64_t mailbox,
                                       uint32_t flags, uint64_t eid, uint64_t new_mailbox)
{
    struct model_box *b = model_box(a, mailbox);
    if (b == NULL)
        b = model_box_add(a, new_mailbox, 0, "INBOX", MAILBOX_INBOX, true);
    struct model_member m = {.eid = eid, .flags = flags, .keywords = q->keywords, .internal_ms = q->internal_ms};
    struct model_email *e = &a->emails[a->n_emails++];
    const struct model_member *made = model_member_add(a, b, &m);
    *e = (struct model_email){.eid = eid,
                              .created = made->created,
                              .key = q->key,
                              .n_refs = q->n_refs,
                              .seed = q->seed,
                              .received_ms = q->internal_ms,
                              .length = q->length,
                              .blob = eid,
                              .delivered = q->id == MSG_ID_ingest};
    memcpy(e->refs, q->refs, sizeof e->refs);
    return (struct msg_ingest_result){a->number, b->id, made->uid, eid, made->modseq};
}

/* All or nothing over all targets. */
int model_ingest(struct model_world *w, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out)
{
    for (uint32_t i = 0; i < q->n_targets; i++) {
        const struct model_target *t = &q->targets[i];
        if (check_arrival(&w->accounts[t->account], t->mailbox, q->length, true, out) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < q->n_targets; i++) {
        const struct model_target *t = &q->targets[i];
        out->results[i] = arrive(&w->accounts[t->account], q, t->mailbox, t->flags, told->results[i].eid,
                                 told->results[i].mailbox);
        struct model_email *e = model_email(&w->accounts[t->account], told->results[i].eid);
        if (e != NULL)
            e->blob = told->results[0].eid;
    }
    return 0;
}

/* RFC 9051 6.3.12 */
int model_append(struct model_world *w, const struct model_request *q, const struct model_answer *told,
                 struct model_answer *out)
{
    struct model_account *a = &w->accounts[q->account];
    const struct model_upload *u = model_upload_find(a, q->upload);
    struct model_request of_upload = *q;
    if (q->bad_keyword)
        return model_refuse(out, "5.2.35");
    if (q->upload != 0 && u == NULL)
        return model_refuse(out, "5.2.0");
    if (u != NULL) {
        of_upload.seed = u->seed;
        of_upload.length = u->length;
        q = &of_upload;
    }
    if (check_arrival(a, q->mailbox, q->length, false, out) != 0)
        return -1;
    struct msg_ingest_result r = arrive(a, q, q->mailbox, q->flags, told->eid, told->mailbox);
    out->mailbox = r.mailbox;
    out->uidvalidity = model_box(a, r.mailbox)->uidvalidity;
    out->uid = r.uid;
    out->eid = r.eid;
    out->modseq = r.modseq;
    return 0;
}

/* ---- which members an operation is about ---- */

static bool in_ranges(const struct model_request *q, uint64_t v)
{
    for (uint32_t i = 0; i < q->n_ranges; i++)
        if (v >= q->ranges[i].first && v <= q->ranges[i].last)
            return true;
    return false;
}

/* Positions in a->members, in order of uid; for mailbox 0 in order of eid, then mailbox, then uid. */
static int select_members(struct model_account *a, const struct model_request *q, size_t *at, size_t *n,
                          struct model_answer *out)
{
    *n = 0;
    if (a->n_boxes == 0 || (q->mailbox != 0 && model_box(a, q->mailbox) == NULL))
        return model_refuse(out, "5.2.0");
    for (uint32_t i = 0; i < q->n_ranges; i++)
        if (q->ranges[i].first > q->ranges[i].last)
            return model_refuse(out, "5.5.4");
    for (size_t i = 0; i < a->n_members && q->mailbox != 0; i++)
        if (a->members[i].box == q->mailbox && in_ranges(q, a->members[i].uid))
            at[(*n)++] = i;
    for (size_t k = 0; k < a->n_emails && q->mailbox == 0; k++) /* arrival is the order of eids */
        for (size_t i = 0; i < a->n_members && in_ranges(q, a->emails[k].eid); i++)
            if (a->members[i].eid == a->emails[k].eid)
                at[(*n)++] = i;
    return 0;
}

static uint64_t name_of(const struct model_request *q, const struct model_member *m)
{
    return q->mailbox != 0 ? m->uid : m->eid;
}

static uint64_t modseq_now(struct model_account *a, const struct model_request *q)
{
    return q->mailbox != 0 ? model_box(a, q->mailbox)->modseq : a->modseq;
}

/* ---- flags ---- */

static uint32_t change_bits(uint32_t old, uint32_t mode, uint32_t bits)
{
    return mode == FLAGS_ADD ? old | bits : mode == FLAGS_REMOVE ? old & ~bits : bits;
}

/* RFC 7162 3.1.3: a message changed since is left alone and told. One that already is as asked keeps its modseq. */
int model_flags(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    size_t at[MODEL_MEMBERS], n;
    if (q->bad_keyword)
        return model_refuse(out, "5.2.35");
    if (select_members(a, q, at, &n, out) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct model_member *m = &a->members[at[i]];
        uint32_t flags = change_bits(m->flags, q->mode, q->flags);
        uint32_t keywords = change_bits(m->keywords, q->mode, q->keywords);
        if (q->unchangedsince != 0 && m->modseq > q->unchangedsince) {
            uint64_t name = name_of(q, m);
            if (out->n_list == 0 || out->list[out->n_list - 1] != name)
                out->list[out->n_list++] = name;
        } else if (flags != m->flags || keywords != m->keywords) {
            m->flags = flags;
            m->keywords = keywords;
            m->modseq = model_stamp(a, model_box(a, m->box));
            out->count++;
        }
    }
    out->modseq = modseq_now(a, q);
    return 0;
}

/* ---- removal ---- */

/* RFC 9051 6.4.3, 6.4.9: those with \Deleted, of those named; JMAP and POP3 remove whatever they name. */
int model_expunge(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    size_t at[MODEL_MEMBERS], n;
    if (select_members(a, q, at, &n, out) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (q->flags == EXPUNGE_ONLY_DELETED && (a->members[at[i]].flags & FLAG_DELETED) == 0)
            continue;
        model_member_remove(a, at[i], false);
        out->count++;
        for (size_t k = i + 1; k < n; k++)
            at[k] -= at[k] > at[i];
    }
    out->modseq = modseq_now(a, q);
    return 0;
}

/* ---- COPY and MOVE ---- */

static bool is_in(const struct model_account *a, uint64_t eid, uint64_t box)
{
    for (size_t i = 0; i < a->n_members; i++)
        if (a->members[i].eid == eid && a->members[i].box == box)
            return true;
    return false;
}

static void remove_named(struct model_account *a, const struct model_member *m)
{
    for (size_t i = 0; i < a->n_members; i++)
        if (a->members[i].box == m->box && a->members[i].uid == m->uid) {
            model_member_remove(a, i, true);
            return;
        }
}

/* Ranges in order, those that overlap as one; how many. */
static uint32_t clean(const struct model_request *q, struct msg_uid_range *v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->n_ranges; i++) { /* each goes where it belongs */
        uint32_t at = n++;
        for (; at > 0 && v[at - 1].first > q->ranges[i].first; at--)
            v[at] = v[at - 1];
        v[at] = q->ranges[i];
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (kept > 0 && v[i].first <= v[kept - 1].last)
            v[kept - 1].last = MAX_OF(v[kept - 1].last, v[i].last);
        else
            v[kept++] = v[i];
    return kept;
}

/* Of n rows those of one step: q->step members, or by eid the emails with which it is full. *next: where to go on. It
 * may turn out that there was nothing more. */
static size_t first_step(const struct model_account *a, const struct model_request *q, const size_t *at, size_t n,
                         uint64_t *next)
{
    struct msg_uid_range v[MODEL_RANGES];
    uint32_t n_ranges = clean(q, v);
    size_t took = 0;
    uint64_t last = 0;
    for (uint32_t r = 0; r < n_ranges; r++) {
        if (q->mailbox != 0 && took >= q->step) {
            *next = last + 1;
            return took;
        }
        for (uint64_t name = v[r].first; name <= v[r].last && q->mailbox == 0; name++) {
            if (took >= q->step) {
                *next = last + 1;
                return took;
            }
            while (took < n && a->members[at[took]].eid == name)
                took++;
            last = name;
        }
        for (; q->mailbox != 0 && took < n && a->members[at[took]].uid <= v[r].last; took++) {
            if (took == q->step) {
                *next = last + 1;
                return took;
            }
            last = a->members[at[took]].uid;
        }
    }
    return took;
}

/* RFC 9051 6.4.7, 6.4.8; RFC 8474 5.1. First all come, in order, then those moved go. By eid (RFC 8621 4.6) each comes
 * once, with what its first member has, unless the mailbox has it already; MOVE then takes it out of all others. */
int model_transfer(struct model_account *a, const struct model_request *q, struct model_answer *out)
{
    size_t at[MODEL_MEMBERS], n, come = 0, go = 0;
    uint64_t next = 0;
    struct model_member coming[MODEL_MEMBERS], going[MODEL_MEMBERS];
    uint64_t bytes = 0;
    struct model_box *to = model_box(a, q->to);
    if (to == NULL)
        return model_refuse(out, "5.2.0");
    if (select_members(a, q, at, &n, out) != 0)
        return -1;
    if (q->step != 0)
        n = first_step(a, q, at, n, &next);
    for (size_t i = 0; i < n; i++) {
        const struct model_member *m = &a->members[at[i]];
        bool first = i == 0 || a->members[at[i - 1]].eid != m->eid;
        if (q->mailbox != 0 || (first && !is_in(a, m->eid, to->id)))
            coming[come++] = *m;
        else if (m->box != to->id)
            going[go++] = *m;
    }
    for (size_t i = 0; i < come; i++)
        bytes += model_email_size(a, model_email(a, coming[i].eid));
    if (q->move == 0 && check_room(a, bytes, come, out) != 0)
        return -1;
    out->uidvalidity = to->uidvalidity;
    out->uid = to->uidnext;
    out->count = come;
    out->extra[0] = next;
    for (size_t i = 0; i < come; i++) {
        out->list[out->n_list++] = name_of(q, &coming[i]);
        model_member_add(a, to, &coming[i]);
    }
    for (size_t i = 0; i < come && q->move != 0; i++)
        remove_named(a, &coming[i]);
    for (size_t i = go; i-- > 0 && q->move != 0;) /* the last first: any order is right, this is the store's */
        remove_named(a, &going[i]);
    out->modseq = a->modseq;
    return 0;
}
