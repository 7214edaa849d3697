/* STORE (RFC 9051 6.4.6): flags and keywords of messages. The view learns what became of them from the change feed, as it
 * does of other sessions' changes; what remains is to tell it, or not (.SILENT). */
#include "base/rand.h"
#include "imap/imap_session.h"
#include "run/ipc.h"

enum { RANGES = 2000, WAS_CHANGED = 128 };

struct store_job {
    struct imap *s;
    struct imap_range *idx;
    uint32_t n;
    enum flags_mode mode;
    bool silent, gone;
    struct imap_flags flags;
    unsigned char *expect;  /* per message: flags that this command leads to, WAS_CHANGED */
};

static bool read_mode(struct imap_lex *in, struct store_job *j)
{
    struct span word;
    j->mode = imap_grammar_may(in, '+') ? FLAGS_ADD : imap_grammar_may(in, '-') ? FLAGS_REMOVE : FLAGS_REPLACE;
    if (!imap_grammar_word(in, &word))
        return false;
    j->silent = span_eq_nocase(word, SPAN("FLAGS.SILENT"));
    if (!j->silent && !span_eq_nocase(word, SPAN("FLAGS")))
        return imap_grammar_bad(in, "STORE sets FLAGS, +FLAGS or -FLAGS");
    if (!imap_grammar_sp(in) || !imap_grammar_flags(in, &j->flags))
        return false;
    return !j->flags.any || imap_grammar_bad(in, "\\* is no flag");
}

static void expect(struct store_job *j)
{
    const struct imap_view *v = &j->s->view;
    size_t at = 0;
    for (uint32_t k = 0; k < j->n; k++)
        at += j->idx[k].last - j->idx[k].first + 1;
    j->expect = arena_alloc(&j->s->cmd, at + 1);
    at = 0;
    for (uint32_t k = 0; k < j->n; k++)
        for (uint32_t i = j->idx[k].first; i <= j->idx[k].last; i++) {
            const struct imap_message *m = &v->v[i];
            uint32_t is = m->flags, set = j->flags.flags;
            is = j->mode == FLAGS_ADD ? is | set : j->mode == FLAGS_REMOVE ? is & ~set : set;
            j->expect[at++] = (unsigned char)(is | (m->changed ? WAS_CHANGED : 0u));
            j->gone |= m->gone;
        }
}

static WAITS int write_flags(struct store_job *j, struct fail *f)
{
    struct imap *s = j->s;
    struct arena mem;
    uint32_t next = 0;
    int r = 0;
    arena_init(&mem);
    struct msg_uid_range *uids = arena_alloc(&mem, RANGES * sizeof *uids);
    while (r == 0 && next != UINT32_MAX && j->n > 0) {
        struct op_id op = rand_op_id();
        struct msg_flags_set in = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                                   .mailbox = s->view.mailbox, .mode = j->mode, .flags = j->flags.flags,
                                   .keywords = j->flags.keywords};
        struct msg_flags_set_r out;
        in.uids.v = uids;
        in.uids.n = imap_view_uids(&s->view, j->idx, j->n, uids, RANGES, &next);
        if (in.uids.n > 0)
            r = IPC_CALL(ROLE_STORE, flags_set, &in, &out, &mem, f);
    }
    arena_done(&mem);
    return r;
}

/* Others may have changed the same messages meanwhile: what is not as this command alone would have left it stays to be
 * told (RFC 3501 6.4.6). */
static void hush(struct store_job *j)
{
    struct imap_view *v = &j->s->view;
    size_t at = 0;
    for (uint32_t k = 0; k < j->n; k++)
        for (uint32_t i = j->idx[k].first; i <= j->idx[k].last; i++) {
            struct imap_message *m = &v->v[i];
            if (j->expect[at++] == m->flags && m->changed && !m->gone) {
                m->changed = 0;
                v->n_changed--;
            }
        }
}

static WAITS int tell(struct store_job *j)
{
    int r = 0;
    for (uint32_t k = 0; k < j->n; k++)
        for (uint32_t i = j->idx[k].first; i <= j->idx[k].last && r == 0; i++)
            if (!j->s->view.v[i].gone)
                r = imap_view_tell_flags(j->s, i, j->s->by_uid);
    return r;
}

WAITS int imap_store_store(struct imap *s, struct imap_lex *in)
{
    struct store_job j = {.s = s};
    struct imap_set set;
    struct fail f;
    int r = 0;
    if (!imap_grammar_set(in, &set) || !imap_grammar_sp(in) || !read_mode(in, &j) || !imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_view_resolve(&s->view, &set, s->by_uid, &s->cmd, &j.idx, &j.n) < 0)
        return imap_session_bad(s, "No message has that number");
    expect(&j);
    if (write_flags(&j, &f) < 0 || imap_view_refresh(s, &f) < 0)
        return imap_session_fail(s, &f, false);
    if (j.silent)
        hush(&j);
    else
        r = tell(&j);
    if (r != 0)
        return r;
    if (j.gone && !s->by_uid) /* RFC 2180 4.2.2 */
        return imap_session_no(s, "[EXPUNGEISSUED] Some of the messages are no longer there");
    return imap_session_ok(s, "Stored");
}
