/* FETCH (RFC 9051 6.4.5). Flags and UIDs come from the view; what else is asked for comes with windows of rows, and bytes
 * of small messages are on their way while those in front of them are written. */
#include "imap/imap_fetch.h"

#include "base/rand.h"
#include "format/summary_pack.h"
#include "imap/imap_surrogate.h"

enum { FLUSH_BYTES = 32768, SEEN_RANGES = 2000, DOWNGRADED_MOST = 8000 };

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

static void add_structure(struct imap_fetch *f, const struct msg_member_row *row, bool extended, struct arena *mem)
{
    struct span text = summary_pack_text(row->structure);
    if (!imap_session_utf8(f->s))
        text = imap_part_encoded(text, mem);
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
    case IMAP_ATTR_BODY: add_structure(f, at->row, false, m->mem); return 0;
    case IMAP_ATTR_STRUCTURE: add_structure(f, at->row, true, m->mem); return 0;
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

/* The stretch of a message that is asked for ahead of its turn. Not of a large one, nor of one that may have a surrogate. */
static bool stretch(const struct imap_fetch *f, const struct msg_member_row *row, struct msg_email_slice *out)
{
    uint64_t from, to = 0;
    if (f->ahead == NULL || row == NULL || imap_surrogate_needed(f->s, row->summary_flags))
        return false;
    imap_fetch_extent(f, row, &from, &to);
    *out = (struct msg_email_slice){.eid = row->eid, .offset = from, .length = (uint32_t)MIN_OF(to - from, (uint64_t)SLICES_LENGTH)};
    return to > from && to - from <= SLICES_LENGTH;
}

/* What is asked for of messages v[*asked..n) in front of their turn. 0 or -1. */
static WAITS int look_ahead(struct imap_fetch *f, const struct imap_row_of *v, uint32_t n, uint32_t *asked)
{
    struct msg_email_slice s;
    int r = 0;
    while (r == 0 && *asked < n && slices_room(f->ahead))
        if (stretch(f, v[(*asked)++].row, &s))
            r = slices_add(f->ahead, imap_session_handle(f->s), s, &f->fail);
    if (r == 0 && *asked == n)
        r = slices_send(f->ahead, imap_session_handle(f->s), &f->fail);
    return r;
}

/* Alone, so that store says why it cannot be had. */
static WAITS int read_alone(struct imap_fetch *f, const struct msg_email_slice *s, struct span *data, struct arena *mem)
{
    struct msg_email_read in = {.handle = imap_session_handle(f->s), .eid = s->eid, .offset = s->offset, .length = s->length};
    struct msg_email_read_r got;
    if (IPC_CALL(ROLE_STORE, email_read, &in, &got, mem, &f->fail) != 0)
        return 1;
    *data = got.data;
    return got.data.n == s->length ? 0 : 1;
}

/* Puts the range that is open into the set. */
static void end_downgraded(struct imap_fetch *f)
{
    if (f->downgraded_first == 0 || f->downgraded.n >= DOWNGRADED_MOST)
        return;
    str_addz(&f->downgraded, f->downgraded.n > 0 ? "," : "");
    str_addu(&f->downgraded, f->downgraded_first);
    if (f->downgraded_last > f->downgraded_first)
        str_addf(&f->downgraded, ":%u", f->downgraded_last);
    f->downgraded_first = 0;
}

/* RFC 6858 3: which messages were changed for this client, for whoever wonders. */
static void note_downgraded(struct imap_fetch *f, uint32_t index)
{
    uint32_t number = f->s->by_uid ? f->s->view.v[index].uid : index + 1;
    if (f->downgraded_first > 0 && number == f->downgraded_last + 1) {
        f->downgraded_last = number;
        return;
    }
    end_downgraded(f);
    f->downgraded_first = f->downgraded_last = number;
}

/* What is here of the bytes that were asked for ahead. 0, 1: the message cannot be read, -1: none can. */
static WAITS int take_ahead(struct imap_fetch *f, const struct msg_member_row *row, struct imap_fetch_message *m)
{
    struct msg_email_slice s;
    uint64_t size;
    if (!stretch(f, row, &s))
        return 0;
    int r = slices_take(f->ahead, imap_session_handle(f->s), &size, &m->held, &f->fail);
    if (r == 1 || (r == 0 && (size != row->size || m->held.n != s.length)))
        r = read_alone(f, &s, &m->held, m->mem);
    m->held_at = s.offset;
    return r;
}

/* RFC 6857: everything that is told of the message is of its surrogate, if it has one here. As above. */
static WAITS int take_surrogate(struct imap_fetch *f, uint32_t index, struct msg_member_row *row, struct imap_fetch_message *m)
{
    const struct imap_surrogate *x = NULL;
    if (!imap_surrogate_needed(f->s, row->summary_flags))
        return 0;
    int r = imap_surrogate_get(f->s, row->eid, row->size, &x, &f->fail);
    if (r != 0 || x == NULL)
        return r;
    m->edits = x->edits;
    row->size = m->size = x->size;
    row->envelope = x->envelope;
    row->structure = m->structure = x->structure;
    note_downgraded(f, index);
    return 0;
}

/* One message. 0, 1: it cannot be read, -1: none can; WAIT_* in *answered. */
static WAITS int one(struct imap_fetch *f, const struct imap_row_of *at, int *answered)
{
    struct arena mem;
    struct msg_member_row row = *at->row;
    struct imap_fetch_message m = {.eid = row.eid, .size = row.size, .stored = row.size, .structure = row.structure,
                                   .mem = &mem};
    arena_init(&mem);
    int r = take_ahead(f, at->row, &m);
    if (r == 0)
        r = take_surrogate(f, at->index, &row, &m);
    if (r == 0)
        *answered = answer(f, &(struct imap_row_of){at->index, &row}, &m);
    arena_done(&mem);
    return r;
}

/* 0, -1: nothing more can be read, WAIT_* in *answered. */
static WAITS int answer_window(struct imap_fetch *f, const struct imap_row_of *v, uint32_t n, int *answered)
{
    uint32_t asked = 0;
    int r = 0;
    for (uint32_t i = 0; i < n && r >= 0 && *answered == 0; i++) {
        r = f->ahead != NULL ? look_ahead(f, v, n, &asked) : 0;
        if (r == 0 && v[i].row == NULL)
            r = 1;
        else if (r == 0)
            r = one(f, &v[i], answered);
        if (r != 0) /* RFC 2180 4.1.2: the rest is fetched, then NO */
            f->missing = true;
    }
    return MIN_OF(r, 0);
}

/* ---- the command -------------------------------------------------------------------------------------------------------- */

/* Which columns the items need; -1: none, the view has it all. */
static int wanted(const struct imap_fetch *f, bool *bytes)
{
    const struct imap_attrs *attrs = &f->attrs;
    int want = -1;
    for (uint32_t i = 0; i < attrs->n; i++) {
        const struct imap_attr *a = &attrs->v[i];
        if (a->kind == IMAP_ATTR_FLAGS || a->kind == IMAP_ATTR_UID)
            continue;
        want = MAX_OF(want, 0);
        if (a->kind != IMAP_ATTR_DATE && !imap_session_utf8(f->s))
            want |= WANT_SUMMARY;
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
    if (bytes)
        f->ahead = base_alloc(sizeof *f->ahead);
    imap_rows_start(&rows, f->s, idx, n, want);
    while (r == 0) {
        if (imap_rows_next(&rows, &v, &got, &f->mem, &f->fail) < 0) {
            f->missing = true;
            break;
        }
        if (got == 0 || answer_window(f, v, got, &r) < 0)
            break;
        arena_reset(&f->mem);
    }
    imap_rows_stop(&rows);
    if (bytes)
        slices_stop(f->ahead);
    free(f->ahead);
    f->ahead = NULL;
    arena_done(&f->mem);
    return r;
}

/* One message of which nothing is wanted but its bytes and its size: store needs to be asked but once. 1: its surrogate is
 * wanted. */
static WAITS int from_bytes(struct imap_fetch *f, uint32_t index)
{
    const struct imap_message *at = &f->s->view.v[index];
    struct msg_email_read in = {.handle = imap_session_handle(f->s), .eid = at->eid, .length = SLICES_LENGTH};
    struct msg_email_read_r got;
    struct msg_member_row row = {.uid = at->uid, .eid = at->eid};
    struct imap_fetch_message m = {.eid = at->eid, .mem = &f->mem};
    int r = 0;
    if (at->gone || IPC_CALL(ROLE_STORE, email_read, &in, &got, &f->mem, &f->fail) != 0) {
        f->missing = true;
    } else if (imap_surrogate_needed(f->s, got.summary_flags)) {
        r = 1;
    } else {
        m.size = row.size = got.size;
        m.held = got.data;
        r = answer(f, &(struct imap_row_of){index, &row}, &m);
    }
    arena_done(&f->mem);
    return r;
}

static bool bytes_alone(const struct imap_attrs *attrs)
{
    for (uint32_t i = 0; i < attrs->n; i++) {
        const struct imap_attr *a = &attrs->v[i];
        bool whole = a->kind == IMAP_ATTR_SECTION && a->n_part == 0 && a->text == IMAP_ATTR_ALL;
        if (!whole && a->kind != IMAP_ATTR_FLAGS && a->kind != IMAP_ATTR_UID && a->kind != IMAP_ATTR_SIZE)
            return false;
    }
    return true;
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
    end_downgraded(f);
    if (f->downgraded.n > 0 && f->downgraded.n < DOWNGRADED_MOST)
        return imap_session_ok(s, "[DOWNGRADED %s] Fetched", str_z(&f->downgraded));
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
    int want = wanted(f, &bytes);
    if (f->attrs.seen && !f->s->view.readonly && mark_seen(f, idx, n) < 0)
        return finish(f);
    f->flags = f->flags && !has_flags;
    bool single = n == 1 && idx[0].first == idx[0].last;
    int r = want < 0                                 ? from_view(f, idx, n)
            : single && bytes && bytes_alone(&f->attrs) ? from_bytes(f, idx[0].first)
                                                     : 1;
    if (r == 1)
        r = from_rows(f, idx, n, (uint32_t)want, bytes);
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
    str_init(&f.downgraded, &s->cmd);
    int r = run(&f, idx, n);
    imap_surrogate_rest(s);
    arena_done(&f.mem);
    arena_done(&out);
    return r;
}
