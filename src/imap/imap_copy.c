/* COPY and MOVE (RFC 9051 6.4.7, 6.4.8; RFC 6851) with COPYUID (RFC 4315 3). Store does a number of messages at a time,
 * all or nothing each. */
#include "base/rand.h"
#include "imap/imap_folder.h"

enum { RANGES = 2000, COPYUID_MAX = 60000 };

struct copy_job {
    struct imap *s;
    struct imap_range *idx;
    uint32_t n;
    uint64_t to, uidvalidity;
    bool move;
    struct str from_uids, to_uids;  /* sets, as COPYUID tells them */
};

static void add_range(struct str *out, uint64_t first, uint64_t last)
{
    if (out->n > 0)
        str_addc(out, ',');
    str_addu(out, first);
    if (last > first) {
        str_addc(out, ':');
        str_addu(out, last);
    }
}

static void note(struct copy_job *j, const struct msg_copy_r *out)
{
    for (uint32_t i = 0; i < out->uids.n; i++)
        add_range(&j->from_uids, out->uids.v[i].first, out->uids.v[i].last);
    if (out->count > 0)
        add_range(&j->to_uids, out->uid, out->uid + out->count - 1);
    j->uidvalidity = out->uidvalidity;
}

/* Copies what the ranges name; store says how far it came. */
static WAITS int copy_ranges(struct copy_job *j, struct msg_uid_range *v, uint32_t n, struct fail *f)
{
    struct imap *s = j->s;
    int r = 0;
    while (r == 0 && n > 0) {
        struct arena mem;
        struct op_id op = rand_op_id();
        struct msg_copy in = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b), .from = s->view.mailbox,
                              .to = j->to, .move = j->move};
        struct msg_copy_r out;
        in.uids.v = v;
        in.uids.n = n;
        arena_init(&mem);
        r = IPC_CALL(ROLE_STORE, copy, &in, &out, &mem, f);
        if (r == 0)
            note(j, &out);
        arena_done(&mem);
        if (r != 0 || out.next == 0)
            break;
        while (n > 0 && v->last < out.next) {
            v++;
            n--;
        }
        if (n > 0 && v->first < out.next)
            v->first = out.next;
    }
    return r;
}

static WAITS int copy_all(struct copy_job *j, struct fail *f)
{
    struct msg_uid_range *uids = arena_alloc(&j->s->cmd, RANGES * sizeof *uids);
    uint32_t next = 0;
    int r = 0;
    while (r == 0 && j->n > 0 && next != UINT32_MAX) {
        uint32_t n = imap_view_uids(&j->s->view, j->idx, j->n, uids, RANGES, &next);
        r = copy_ranges(j, uids, n, f);
    }
    return r;
}

static bool some_gone(const struct copy_job *j)
{
    for (uint32_t k = 0; k < j->n && j->s->view.n_gone > 0; k++)
        for (uint32_t i = j->idx[k].first; i <= j->idx[k].last; i++)
            if (j->s->view.v[i].gone)
                return true;
    return false;
}

static WAITS int answer(struct copy_job *j)
{
    struct imap *s = j->s;
    struct str code;
    str_init(&code, &s->cmd);
    /* A set of 60 KB is one that no client can use; the messages are there all the same */
    if (j->to_uids.n > 0 && j->from_uids.n < COPYUID_MAX)
        str_addf(&code, "[COPYUID %llu %.*s %.*s] ", (unsigned long long)j->uidvalidity,
                 SPAN_ARGS(str_span(&j->from_uids)), SPAN_ARGS(str_span(&j->to_uids)));
    struct fail f;
    imap_view_refresh(s, &f); /* what was moved away, or came into the mailbox itself, is told at once */
    if (!j->move)
        return imap_session_ok(s, "%.*sCopied", SPAN_ARGS(str_span(&code)));
    /* RFC 9051 6.4.8: before the EXPUNGEs that follow */
    int r = 0;
    if (code.n > 0) {
        r = conn_writez(s->c, "* OK ");
        if (r == 0)
            r = conn_write(s->c, str_span(&code));
        if (r == 0)
            r = conn_writez(s->c, "Moved\r\n");
    }
    return r != 0 ? r : imap_session_ok(s, "Moved");
}

static WAITS int copy(struct imap *s, struct imap_lex *in, bool move)
{
    struct copy_job j = {.s = s, .move = move};
    const struct imap_folder *folder;
    struct imap_set set;
    struct span name;
    struct fail f;
    if (!imap_grammar_set(in, &set) || !imap_grammar_sp(in) || !imap_grammar_astring(in, &name) || !imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_view_resolve(&s->view, &set, s->by_uid, &s->cmd, &j.idx, &j.n) < 0)
        return imap_session_bad(s, "No message has that number");
    if (imap_folder_named(s, name, &folder, &f) < 0)
        return imap_session_fail(s, &f, true);
    if (!s->by_uid && some_gone(&j)) /* RFC 2180 4.4.1 */
        return imap_session_no(s, "[EXPUNGEISSUED] Some of the messages are no longer there");
    j.to = folder->row->mailbox;
    str_init(&j.from_uids, &s->cmd);
    str_init(&j.to_uids, &s->cmd);
    return copy_all(&j, &f) < 0 ? imap_session_fail(s, &f, true) : answer(&j);
}

WAITS int imap_copy_copy(struct imap *s, struct imap_lex *in) { return copy(s, in, false); }
WAITS int imap_copy_move(struct imap *s, struct imap_lex *in) { return copy(s, in, true); }
