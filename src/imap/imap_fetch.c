/* FETCH (RFC 9051 6.4.5). Flags and UIDs come from the view; what else is asked for comes with windows of rows, and bytes
 * of small messages are on their way while those in front of them are written. */
#include "imap/imap_fetch.h"

#include "base/rand.h"
#include "format/summary_pack.h"

enum { FLUSH_BYTES = 32768, AHEAD = 16, AHEAD_BYTES = 4 * IMAP_READ_WINDOW, SEEN_RANGES = 2000 };

/* ---- one answer -------------------------------------------------------------------------------------------------------- */

static void add_flags(struct imap_fetch *f, uint32_t index)
{
    struct imap_view *v = &f->s->view;
    struct imap_message *m = &v->v[index];
    str_addz(&f->out, "FLAGS ");
    imap_grammar_add_flags(&f->out, m->flags, imap_view_keywords(v, m));
    if (m->changed && !m->gone) {
        m->changed = 0;
        v->n_changed--;
    }
}

/* What a rebuilt index does not know yet (SUMMARY_MISSING) is told as empty, in the form that the grammar wants. */
static void add_envelope(struct imap_fetch *f, const struct msg_member_row *row)
{
    str_addz(&f->out, "ENVELOPE ");
    str_add(&f->out, row->envelope.n > 0 ? row->envelope : SPAN("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"));
}

static void add_structure(struct imap_fetch *f, const struct msg_member_row *row, bool extended)
{
    struct span text = summary_pack_text(row->structure);
    str_addz(&f->out, extended ? "BODYSTRUCTURE " : "BODY ");
    if (text.n > 0 && extended)
        str_add(&f->out, text);
    else if (text.n == 0 || !imap_part_body(&f->out, text))
        str_addf(&f->out, "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"8BIT\" %llu 0)", (unsigned long long)row->size);
}

static WAITS int add_item(struct imap_fetch *f, const struct imap_row_of *at, const struct imap_fetch_message *m,
                          const struct imap_attr *a)
{
    switch (a->kind) {
    case IMAP_ATTR_FLAGS: add_flags(f, at->index); return 0;
    case IMAP_ATTR_UID:
        str_addz(&f->out, "UID ");
        str_addu(&f->out, f->s->view.v[at->index].uid);
        return 0;
    case IMAP_ATTR_DATE:
        str_addz(&f->out, "INTERNALDATE ");
        imap_grammar_add_date_time(&f->out, at->row->internal_ms);
        return 0;
    case IMAP_ATTR_SIZE:
        str_addz(&f->out, "RFC822.SIZE ");
        str_addu(&f->out, at->row->size);
        return 0;
    case IMAP_ATTR_ENVELOPE: add_envelope(f, at->row); return 0;
    case IMAP_ATTR_BODY: add_structure(f, at->row, false); return 0;
    case IMAP_ATTR_STRUCTURE: add_structure(f, at->row, true); return 0;
    default: return imap_fetch_section(f, m, a);
    }
}

static WAITS int answer(struct imap_fetch *f, const struct imap_row_of *at, const struct imap_fetch_message *m)
{
    static const struct imap_attr uid = {.kind = IMAP_ATTR_UID};
    str_addz(&f->out, "* ");
    str_addu(&f->out, at->index + 1);
    str_addz(&f->out, " FETCH (");
    int r = f->uid ? add_item(f, at, m, &uid) : 0;
    for (uint32_t i = 0; r == 0 && i < f->attrs.n; i++) {
        if (i > 0 || f->uid)
            str_addc(&f->out, ' ');
        r = add_item(f, at, m, &f->attrs.v[i]);
    }
    if (f->flags && f->s->view.v[at->index].changed) { /* RFC 9051 6.4.5: \Seen was set, so the flags are told */
        str_addc(&f->out, ' ');
        add_flags(f, at->index);
    }
    str_addz(&f->out, ")\r\n");
    if (r == 0 && f->out.n >= FLUSH_BYTES)
        r = imap_fetch_flush(f);
    return r;
}

/* ---- bytes ahead -------------------------------------------------------------------------------------------------------- */

/* What is asked for of messages v[0..n) in front of their turn: v[asked) is the next one to ask for. */
struct ahead {
    struct ipc_pending *p[AHEAD];   /* by number, modulo */
    uint64_t from[AHEAD], bytes[AHEAD], flying;
    uint32_t asked;
};

static WAITS void look_ahead(struct imap_fetch *f, struct ahead *h, const struct imap_row_of *v, uint32_t n, uint32_t now)
{
    struct fail why;
    while (h->asked < n && h->asked < now + AHEAD && h->flying < AHEAD_BYTES) {
        const struct msg_member_row *row = v[h->asked].row;
        uint64_t from, to = 0;
        uint32_t slot = h->asked++ % AHEAD;
        h->p[slot] = NULL;
        h->bytes[slot] = 0;
        if (row == NULL)
            continue;
        imap_fetch_extent(f, row, &from, &to);
        if (to == from || to - from > IMAP_READ_WINDOW)
            continue; /* nothing, or a large one, which is read when its turn comes */
        struct msg_email_read in = {.handle = imap_session_handle(f->s), .eid = row->eid, .offset = from,
                                    .length = (uint32_t)(to - from)};
        h->p[slot] = ipc_begin(ROLE_STORE, MSG_ID_email_read, &in, &why);
        h->from[slot] = from;
        h->bytes[slot] = to - from;
        h->flying += h->bytes[slot];
    }
}

static void forget_ahead(struct ahead *h)
{
    for (uint32_t i = 0; i < AHEAD; i++)
        if (h->p[i] != NULL)
            ipc_forget(h->p[i]);
}

/* 0, 1: the message cannot be read, WAIT_*. */
static WAITS int with_bytes(struct imap_fetch *f, struct ahead *h, const struct imap_row_of *v, uint32_t i)
{
    struct arena mem;
    struct msg_email_read_r got;
    const struct msg_member_row *row = v[i].row;
    struct imap_fetch_message m = {.eid = row->eid, .size = row->size, .structure = row->structure, .mem = &mem};
    uint32_t slot = i % AHEAD;
    struct ipc_pending *p = h->p[slot];
    int r = 0;
    arena_init(&mem);
    h->p[slot] = NULL;
    h->flying -= h->bytes[slot];
    if (p != NULL) {
        if (ipc_finish(p, &got, &mem, 0, &f->fail) == 0 && got.size == row->size && got.data.n == h->bytes[slot]) {
            m.held = got.data;
            m.held_at = h->from[slot];
        } else {
            r = 1;
        }
    }
    if (r == 0)
        r = answer(f, &v[i], &m);
    arena_done(&mem);
    return r;
}

static WAITS int answer_window(struct imap_fetch *f, const struct imap_row_of *v, uint32_t n, bool bytes)
{
    struct ahead h = {0};
    int r = 0;
    for (uint32_t i = 0; i < n && r == 0; i++) {
        if (bytes)
            look_ahead(f, &h, v, n, i);
        if (v[i].row == NULL)
            r = 1;
        else
            r = bytes ? with_bytes(f, &h, v, i) : answer(f, &v[i], NULL);
        if (r == 1) { /* RFC 2180 4.1.2: the rest is fetched, then NO */
            f->missing = true;
            r = 0;
        }
    }
    forget_ahead(&h);
    return r;
}

/* ---- the command -------------------------------------------------------------------------------------------------------- */

/* Which columns the items need; -1: none, the view has it all. */
static int wanted(const struct imap_attrs *attrs, bool *bytes)
{
    int want = -1;
    for (uint32_t i = 0; i < attrs->n; i++) {
        const struct imap_attr *a = &attrs->v[i];
        if (a->kind == IMAP_ATTR_FLAGS || a->kind == IMAP_ATTR_UID)
            continue;
        want = MAX_OF(want, 0);
        if (a->kind == IMAP_ATTR_ENVELOPE)
            want |= WANT_ENVELOPE;
        else if (a->kind >= IMAP_ATTR_BODY && (a->n_part > 0 || a->text != IMAP_ATTR_ALL || a->kind < IMAP_ATTR_SECTION))
            want |= WANT_STRUCTURE;
        *bytes |= a->kind >= IMAP_ATTR_SECTION;
    }
    return want;
}

static WAITS int from_view(struct imap_fetch *f, const struct imap_range *idx, uint32_t n)
{
    int r = 0;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = idx[k].first; i <= idx[k].last && r == 0; i++)
            r = answer(f, &(struct imap_row_of){.index = i}, NULL);
    return r;
}

static WAITS int from_rows(struct imap_fetch *f, const struct imap_range *idx, uint32_t n, uint32_t want, bool bytes)
{
    struct imap_rows rows;
    struct imap_row_of *v;
    uint32_t got;
    int r = 0;
    imap_rows_start(&rows, f->s, idx, n, want);
    while (r == 0) {
        if (imap_rows_next(&rows, &v, &got, &f->mem, &f->fail) < 0) {
            f->missing = true;
            break;
        }
        if (got == 0)
            break;
        r = answer_window(f, v, got, bytes);
        arena_reset(&f->mem);
    }
    imap_rows_stop(&rows);
    arena_done(&f->mem);
    return r;
}

static WAITS int set_seen(struct imap_fetch *f, struct msg_uid_range *v, uint32_t n)
{
    struct imap *s = f->s;
    struct op_id op = rand_op_id();
    struct msg_flags_set in = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                               .mailbox = s->view.mailbox, .mode = FLAGS_ADD, .flags = FLAG_SEEN};
    struct msg_flags_set_r out;
    in.uids.v = v;
    in.uids.n = n;
    return n > 0 ? IPC_CALL(ROLE_STORE, flags_set, &in, &out, &f->mem, &f->fail) : 0;
}

/* Marks what is about to be read, before it is: the answers then tell the new flags. 0 or -1 with f->fail. */
static WAITS int mark_seen(struct imap_fetch *f, const struct imap_range *idx, uint32_t n)
{
    struct imap_view *v = &f->s->view;
    struct msg_uid_range *uids = arena_alloc(&f->mem, SEEN_RANGES * sizeof *uids);
    uint32_t used = 0;
    bool run = false, any = false;
    int r = 0;
    for (uint32_t k = 0; k < n && r == 0; k++)
        for (uint32_t i = idx[k].first; i <= idx[k].last && r == 0; i++) {
            const struct imap_message *m = &v->v[i];
            bool unseen = !(m->flags & FLAG_SEEN) && !m->gone;
            run = run && i > idx[k].first;
            if (unseen && run) {
                uids[used - 1].last = m->uid;
            } else if (unseen) {
                if (used == SEEN_RANGES) {
                    r = set_seen(f, uids, used);
                    used = 0;
                }
                uint32_t uid = v->v[i].uid;
                uids[used++] = (struct msg_uid_range){uid, uid};
            }
            run = unseen;
            any |= unseen;
        }
    if (r == 0)
        r = set_seen(f, uids, used);
    arena_done(&f->mem);
    f->flags = any && r == 0;
    return r == 0 && any ? imap_view_refresh(f->s, &f->fail) : r;
}

static WAITS int finish(struct imap_fetch *f)
{
    struct imap *s = f->s;
    if (f->unknown_cte)
        return imap_session_no(s, "[UNKNOWN-CTE] A part is in an encoding that is not known");
    if (f->fail.kind != FAIL_NONE && (f->fail.kind == FAIL_TEMP || !f->missing))
        return imap_session_fail(s, &f->fail, false);
    if (f->missing)
        return imap_session_no(s, "[EXPUNGEISSUED] Some of the messages are no longer there"); /* RFC 5530 3 */
    return imap_session_ok(s, "Fetched");
}

static WAITS int run(struct imap_fetch *f, const struct imap_range *idx, uint32_t n)
{
    bool bytes = false, has_uid = false, has_flags = false;
    for (uint32_t i = 0; i < f->attrs.n; i++) {
        has_uid |= f->attrs.v[i].kind == IMAP_ATTR_UID;
        has_flags |= f->attrs.v[i].kind == IMAP_ATTR_FLAGS;
    }
    f->uid = f->s->by_uid && !has_uid; /* RFC 9051 6.4.9 */
    int want = wanted(&f->attrs, &bytes);
    if (f->attrs.seen && !f->s->view.readonly && mark_seen(f, idx, n) < 0)
        return finish(f);
    f->flags = f->flags && !has_flags;
    int r = want < 0 ? from_view(f, idx, n) : from_rows(f, idx, n, (uint32_t)want, bytes);
    if (r == 0)
        r = imap_fetch_flush(f);
    return r != 0 ? r : finish(f);
}

WAITS int imap_fetch_fetch(struct imap *s, struct imap_lex *in)
{
    struct imap_fetch f = {.s = s};
    struct imap_set set;
    struct imap_range *idx;
    uint32_t n;
    if (!imap_grammar_set(in, &set) || !imap_grammar_sp(in) || !imap_attr_read(in, &f.attrs) || !imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_view_resolve(&s->view, &set, s->by_uid, &s->cmd, &idx, &n) < 0)
        return imap_session_bad(s, "No message has that number");
    struct arena out;
    arena_init(&out);
    arena_init(&f.mem);
    str_init(&f.out, &out);
    int r = run(&f, idx, n);
    arena_done(&f.mem);
    arena_done(&out);
    return r;
}
