/* EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3, 6.4.9). What is gone is told with the answer, as if another session had done it. */
#include "base/rand.h"
#include "imap/imap_session.h"
#include "run/ipc.h"

enum { RANGES = 2000 };

static WAITS int expunge(struct imap *s, struct msg_uid_range *v, uint32_t n, struct fail *f)
{
    struct arena mem;
    struct op_id op = rand_op_id();
    struct msg_expunge in = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b), .mailbox = s->view.mailbox,
                             .flags = EXPUNGE_ONLY_DELETED};
    struct msg_expunge_r out;
    in.uids.v = v;
    in.uids.n = n;
    arena_init(&mem);
    int r = n > 0 ? IPC_CALL(ROLE_STORE, expunge, &in, &out, &mem, f) : 0;
    arena_done(&mem);
    return r;
}

/* RFC 9051 6.4.9: all that have a UID in the set, also one that came since this session was last told of any. */
static WAITS int expunge_set(struct imap *s, struct imap_lex *in, struct fail *f)
{
    struct imap_set set;
    struct msg_uid_range *uids;
    int r = 0;
    if (!imap_grammar_set(in, &set) || !imap_grammar_end(in))
        return 1;
    uint32_t n = imap_view_set(&s->view, &set, &s->cmd, &uids);
    for (uint32_t at = 0; at < n && r == 0; at += RANGES)
        r = expunge(s, uids + at, MIN_OF(n - at, (uint32_t)RANGES), f);
    return r;
}

WAITS int imap_expunge_expunge(struct imap *s, struct imap_lex *in)
{
    struct fail f;
    struct msg_uid_range all = {1, UINT32_MAX};
    int r;
    if (s->by_uid) {
        r = expunge_set(s, in, &f);
    } else {
        if (!imap_grammar_end(in))
            return imap_session_bad(s, in->error);
        r = expunge(s, &all, 1, &f);
    }
    if (r > 0)
        return imap_session_bad(s, in->error != NULL ? in->error : "That is no set of UIDs");
    if (r == 0)
        r = imap_view_refresh(s, &f); /* not to wait for the feed: the client wants to know now */
    return r < 0 ? imap_session_fail(s, &f, false) : imap_session_ok(s, "Expunged");
}
