/* model: see the header. */
#include "model.h"

#include <inttypes.h>
#include <stdarg.h>

static int wrong(struct model_why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int wrong(struct model_why *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    return -1;
}

void model_free(struct model *m)
{
    for (size_t i = 0; i < OPS_ACCOUNTS; i++) {
        VEC_FREE(&m->a[i].rows);
        VEC_FREE(&m->a[i].gone);
    }
}

void model_copy(struct model *to, const struct model *from)
{
    *to = *from;
    for (size_t i = 0; i < OPS_ACCOUNTS; i++) {
        const struct model_account *a = &from->a[i];
        struct model_account *b = &to->a[i];
        b->rows.v = NULL, b->rows.n = b->rows.cap = 0;
        b->gone.v = NULL, b->gone.n = b->gone.cap = 0;
        for (size_t k = 0; k < a->rows.n; k++)
            *VEC_PUSH(&b->rows) = a->rows.v[k];
        for (size_t k = 0; k < a->gone.n; k++)
            *VEC_PUSH(&b->gone) = a->gone.v[k];
    }
}

/* ---- an operation ---- */

static uint64_t edit_size(uint64_t account)
{
    return (uint64_t)snprintf(NULL, 0, "Return-Path: <s@example.org>\r\nDelivered-To: u%u@example.test\r\n", (unsigned)account);
}

static int arrive(struct model *m, uint32_t i, const struct op *op, struct model_why *why)
{
    for (uint32_t t = 0; t < op->n; t++) {
        struct model_account *a = &m->a[op->account[t] - 1];
        if (a->mailbox != 0 && a->mailbox != op->out_mailbox[t])
            return wrong(why, "operation %u: account %" PRIu64 " has a second INBOX", i, op->account[t]);
        if (op->uid[t] < MAX_OF(a->uidnext, 1))
            return wrong(why, "operation %u: uid %" PRIu64 " was given before", i, op->uid[t]);
        a->mailbox = op->out_mailbox[t];
        a->uidnext = op->uid[t] + 1;
        a->modseq = MAX_OF(a->modseq, op->target_modseq[t]);
        *VEC_PUSH(&a->rows) = (struct model_row){.uid = op->uid[t], .eid = op->eid[t], .modseq = op->target_modseq[t],
            .size = op->len + edit_size(op->account[t]), .flags = op->target_flags[t], .op = i};
    }
    return 0;
}

static int change_flags(struct model *m, uint32_t i, const struct op *op, struct model_why *why)
{
    struct model_account *a = &m->a[op->account[0] - 1];
    uint64_t changed = 0;
    for (size_t k = 0; k < a->rows.n; k++) {
        struct model_row *r = &a->rows.v[k];
        uint32_t now = op->mode == FLAGS_ADD ? r->flags | op->flags : op->mode == FLAGS_REMOVE ? r->flags & ~op->flags : op->flags;
        if (r->uid < op->first || r->uid > op->last || now == r->flags || (op->since != 0 && r->modseq > op->since))
            continue;
        r->flags = now;
        r->modseq = op->modseq - op->changed + ++changed; /* one each, the last is the answer's */
    }
    a->modseq = MAX_OF(a->modseq, op->modseq);
    return changed == op->changed ? 0 : wrong(why, "operation %u: %" PRIu64 " flags changed, not %" PRIu64, i, op->changed, changed);
}

static int expunge(struct model *m, uint32_t i, const struct op *op, struct model_why *why)
{
    struct model_account *a = &m->a[op->account[0] - 1];
    uint64_t removed = 0;
    size_t kept = 0;
    for (size_t k = 0; k < a->rows.n; k++) {
        const struct model_row *r = &a->rows.v[k];
        if (r->uid >= op->first && r->uid <= op->last)
            *VEC_PUSH(&a->gone) = (struct model_gone){op->modseq - op->changed + ++removed, r->uid, r->eid};
        else
            a->rows.v[kept++] = *r;
    }
    a->rows.n = kept;
    a->modseq = MAX_OF(a->modseq, op->modseq);
    return removed == op->changed ? 0 : wrong(why, "operation %u: %" PRIu64 " removed, not %" PRIu64, i, op->changed, removed);
}

int model_apply(struct model *m, uint32_t i, const struct op *op, struct model_why *why)
{
    return op->kind == OPS_FLAGS ? change_flags(m, i, op, why)
           : op->kind == OPS_EXPUNGE ? expunge(m, i, op, why) : arrive(m, i, op, why);
}

/* ---- comparison ---- */

static int compare_box(const struct model_account *a, uint64_t account, struct store *s, struct arena *mem, struct model_why *why)
{
    struct msg_mailbox_list_r r;
    struct fail f = {0};
    uint64_t unseen = 0, deleted = 0, size = 0;
    if (store_modseq(s, account) != a->modseq)
        return wrong(why, "account %" PRIu64 ": modseq %" PRIu64 ", not %" PRIu64, account, store_modseq(s, account), a->modseq);
    if (a->mailbox == 0)
        return 0; /* listing it would make it */
    if (store_mailbox_list(s, account, SPAN_NONE, &r, mem, &f) != 0)
        return wrong(why, "account %" PRIu64 ": list: %s", account, f.text);
    for (size_t i = 0; i < a->rows.n; i++) {
        unseen += (a->rows.v[i].flags & FLAG_SEEN) == 0;
        deleted += (a->rows.v[i].flags & FLAG_DELETED) != 0;
        size += a->rows.v[i].size;
    }
    const struct msg_mailbox_row *b = r.mailboxes.v;
    if (r.mailboxes.n != 1 || b->mailbox != a->mailbox || b->uidnext != a->uidnext || b->modseq != a->modseq)
        return wrong(why, "account %" PRIu64 ": mailbox %" PRIu64 " uidnext %" PRIu64 " modseq %" PRIu64 ", not %" PRIu64
                     " %" PRIu64 " %" PRIu64, account, b->mailbox, b->uidnext, b->modseq, a->mailbox, a->uidnext, a->modseq);
    if (b->total != a->rows.n || b->unseen != unseen || b->deleted != deleted || b->size != size)
        return wrong(why, "account %" PRIu64 ": counters %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 ", not %zu %" PRIu64
                     " %" PRIu64 " %" PRIu64, account, b->total, b->unseen, b->deleted, b->size, a->rows.n, unseen, deleted, size);
    return 0;
}

static int compare_rows(const struct model_account *a, uint64_t account, struct store *s, struct arena *mem, struct model_why *why)
{
    struct msg_member_scan in = {.mailbox = a->mailbox, .first = 1, .last = UINT64_MAX};
    struct msg_member_scan_r out;
    struct fail f = {0};
    size_t at = 0;
    do {
        if (store_member_scan(s, account, &in, &out, mem, &f) != 0)
            return wrong(why, "account %" PRIu64 ": scan: %s", account, f.text);
        for (uint32_t i = 0; i < out.rows.n; i++, at++) {
            const struct msg_member_row *r = &out.rows.v[i];
            const struct model_row *w = at < a->rows.n ? &a->rows.v[at] : NULL;
            if (w == NULL || r->uid != w->uid || r->eid != w->eid || r->flags != w->flags || r->modseq != w->modseq || r->size != w->size)
                return wrong(why, "account %" PRIu64 ": row %zu: uid %" PRIu64 " eid %" PRIu64 " flags %x modseq %" PRIu64
                             " size %" PRIu64 " is another than operation %u made", account, at, r->uid, r->eid, r->flags,
                             r->modseq, r->size, w != NULL ? w->op : 0);
        }
        in.first = out.next;
    } while (out.next != 0);
    return at == a->rows.n ? 0 : wrong(why, "account %" PRIu64 ": %zu rows, not %zu", account, at, a->rows.n);
}

static int compare_changes(const struct model_account *a, uint64_t account, struct store *s, struct arena *mem, struct model_why *why)
{
    struct msg_changes in = {0};
    struct msg_changes_r out;
    struct fail f = {0};
    size_t gone = 0, added = 0;
    do {
        if (store_changes(s, account, &in, &out, mem, &f) != 0)
            return wrong(why, "account %" PRIu64 ": changes: %s", account, f.text);
        for (uint32_t i = 0; i < out.rows.n; i++) {
            const struct msg_change_row *r = &out.rows.v[i];
            const struct model_gone *g = gone < a->gone.n ? &a->gone.v[gone] : NULL;
            in.since = r->modseq;
            added += r->kind == CHANGE_ADDED;
            if (r->kind != CHANGE_EXPUNGED)
                continue;
            if (g == NULL || g->modseq != r->modseq || g->uid != r->uid || g->eid != r->eid)
                return wrong(why, "account %" PRIu64 ": tombstone %zu is of uid %" PRIu64, account, gone, r->uid);
            gone++;
        }
    } while (out.more != 0);
    if (gone != a->gone.n || added < a->rows.n)
        return wrong(why, "account %" PRIu64 ": changes tell %zu removals and %zu arrivals, not %zu and %zu", account, gone,
                     added, a->gone.n, a->rows.n);
    return 0;
}

static int compare_text(const struct model_row *r, uint64_t account, struct ops *o, struct store *s, struct arena *mem,
                        struct model_why *why)
{
    char head[96];
    struct span body = ops_body(o, r->op);
    size_t n = (size_t)snprintf(head, sizeof head, "Return-Path: <s@example.org>\r\nDelivered-To: u%u@example.test\r\n",
                                (unsigned)account);
    for (uint64_t at = 0; at < r->size;) {
        struct msg_email_read in = {.eid = r->eid, .offset = at, .length = 65536};
        struct msg_email_read_r out;
        struct fail f = {0};
        if (store_email_read(s, account, &in, &out, mem, &f) != 0)
            return wrong(why, "operation %u, uid %" PRIu64 ": %s", r->op, r->uid, f.text);
        size_t in_head = at < n ? MIN_OF(n - (size_t)at, out.data.n) : 0;
        struct span rest = span_from(out.data, in_head), want = span_sub(body, (size_t)at + in_head - n, rest.n);
        if (out.size != r->size || out.data.n == 0 || memcmp(out.data.p, head + (at < n ? at : 0), in_head) != 0 || !span_eq(rest, want))
            return wrong(why, "operation %u, uid %" PRIu64 ": not its text", r->op, r->uid);
        at += out.data.n;
    }
    return 0;
}

static int compare_texts(const struct model *m, struct ops *o, struct store *s, struct model_why *why)
{
    int rc = 0;
    for (size_t i = 0; i < OPS_ACCOUNTS && rc == 0; i++) {
        for (size_t k = 0; k < m->a[i].rows.n && rc == 0; k++) {
            struct arena mem;
            arena_init(&mem);
            rc = compare_text(&m->a[i].rows.v[k], i + 1, o, s, &mem, why);
            arena_done(&mem);
        }
    }
    return rc;
}

static int compare_totals(const struct model *m, struct store *s, struct model_why *why)
{
    static bool seen[OPS_MOST]; /* of one thread */
    struct msg_store_stats_r out;
    struct fail f = {0};
    uint64_t emails = 0, blobs = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < OPS_ACCOUNTS; i++) {
        for (size_t k = 0; k < m->a[i].rows.n; k++) {
            blobs += !seen[m->a[i].rows.v[k].op];
            seen[m->a[i].rows.v[k].op] = true;
            emails++;
        }
    }
    if (store_stats(s, &out, &f) != 0)
        return wrong(why, "stats: %s", f.text);
    if (out.emails != emails || out.blobs != blobs)
        return wrong(why, "store counts %" PRIu64 " emails and %" PRIu64 " blobs, not %" PRIu64 " and %" PRIu64, out.emails,
                     out.blobs, emails, blobs);
    return 0;
}

/* Cheap things first: most states are told apart by them. */
int model_compare(const struct model *m, struct ops *o, struct store *s, struct model_why *why)
{
    static int (*const each[])(const struct model_account *, uint64_t, struct store *, struct arena *, struct model_why *) = {
        compare_box, compare_rows, compare_changes};
    struct arena mem;
    int rc = 0;
    arena_init(&mem);
    for (size_t k = 0; k < COUNT_OF(each); k++)
        for (size_t i = 0; i < OPS_ACCOUNTS && rc == 0; i++)
            if (k == 0 || m->a[i].mailbox != 0)
                why->depth = (unsigned)k, rc = each[k](&m->a[i], i + 1, s, &mem, why);
    arena_done(&mem);
    if (rc == 0)
        why->depth = COUNT_OF(each), rc = compare_totals(m, s, why);
    return rc == 0 ? compare_texts(m, o, s, why) : rc;
}
