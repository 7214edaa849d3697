/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 6.3.2, 6.3.3, 6.4.1, 6.4.2). */
#include "base/rand.h"
#include "imap/imap_folder.h"
#include "imap/imap_name.h"

enum { RANGES = 4000 };

/* RFC 3501 7.1: [UNSEEN n], the first one; rev2 has no such code. */
static WAITS int tell_unseen(struct imap *s)
{
    for (uint32_t i = 0; i < s->view.n; i++)
        if (!(s->view.v[i].flags & FLAG_SEEN))
            return imap_session_untagged(s, "OK [UNSEEN %u] First unseen", i + 1);
    return 0;
}

static WAITS int tell_name(struct imap *s, struct span path)
{
    struct str line;
    str_init(&line, &s->cmd);
    str_addz(&line, "* LIST () \"/\" ");
    imap_name_add(&line, path, true);
    str_addz(&line, "\r\n");
    return conn_write(s->c, str_span(&line));
}

static WAITS int tell_mailbox(struct imap *s, struct span path)
{
    struct imap_view *v = &s->view;
    bool rev2 = imap_session_rev2(s);
    int r = imap_view_tell_words(s);
    if (r == 0)
        r = imap_session_untagged(s, v->readonly ? "OK [PERMANENTFLAGS ()] Nothing can be changed"
                                                 : "OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Kept");
    if (r == 0)
        r = imap_session_untagged(s, "%u EXISTS", v->n);
    if (r == 0 && !rev2)
        r = imap_session_untagged(s, "0 RECENT"); /* RFC 3501 7.3.2; nobody can rely on it, RFC 9051 dropped it */
    if (r == 0 && !rev2)
        r = tell_unseen(s);
    if (r == 0)
        r = imap_session_untagged(s, "OK [UIDVALIDITY %llu] UIDs are valid", (unsigned long long)v->uidvalidity);
    if (r == 0)
        r = imap_session_untagged(s, "OK [UIDNEXT %llu] The next UID", (unsigned long long)v->uidnext);
    if (r == 0 && rev2)
        r = tell_name(s, path); /* RFC 9051 6.3.2: the name as it really is */
    return r;
}

static WAITS int open_mailbox(struct imap *s, struct imap_lex *in, bool readonly)
{
    const struct imap_folder *is;
    struct span wire;
    struct fail f = {0};
    int r = 0;
    imap_grammar_astring(in, &wire);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (s->state == IMAP_SELECTED) {
        imap_session_deselect(s); /* RFC 9051 6.3.2: whether or not the new one can be opened */
        r = imap_session_untagged(s, "OK [CLOSED] The mailbox before is closed");
    }
    if (r != 0)
        return r;
    if (imap_folder_named(s, wire, &is, &f) < 0)
        return imap_session_fail(s, &f, false);
    if (imap_view_open(s, is->row, &f) < 0) {
        imap_view_done(&s->view);
        return imap_session_fail(s, &f, false);
    }
    s->view.readonly = readonly;
    r = tell_mailbox(s, is->path);
    s->state = IMAP_SELECTED; /* not before: news of it begin here */
    if (r != 0)
        return r;
    return imap_session_ok(s, "[%s] %s done", readonly ? "READ-ONLY" : "READ-WRITE", s->row->name);
}

WAITS int imap_select_select(struct imap *s, struct imap_lex *in)
{
    return open_mailbox(s, in, false);
}

WAITS int imap_select_examine(struct imap *s, struct imap_lex *in)
{
    return open_mailbox(s, in, true);
}

WAITS int imap_select_unselect(struct imap *s, struct imap_lex *in)
{
    imap_session_deselect(s);
    return imap_session_ok(s, "UNSELECT done");
}

/* The messages that have \Deleted, from *next on, as ranges; those not told yet as well. */
static uint32_t deleted(const struct imap_view *v, struct msg_uid_range *out, uint32_t *next)
{
    uint32_t n = 0;
    bool joined = false;
    for (; *next < v->n; ++*next) {
        const struct imap_message *m = &v->v[*next];
        bool is = !m->gone && (m->flags & FLAG_DELETED);
        if (is && joined) {
            out[n - 1].last = m->uid;
        } else if (is) {
            if (n == RANGES)
                break;
            out[n++] = (struct msg_uid_range){m->uid, m->uid};
        }
        joined = is;
    }
    return n;
}

WAITS int imap_select_close(struct imap *s, struct imap_lex *in)
{
    struct fail f = {0};
    int r = s->view.readonly ? 0 : imap_view_refresh(s, &f);
    struct msg_uid_range *v = arena_alloc(&s->cmd, RANGES * sizeof *v);
    for (uint32_t next = 0; r == 0 && !s->view.readonly && !s->view.lost && next < s->view.n;) {
        struct op_id op = rand_op_id();
        struct msg_expunge_r out;
        struct msg_expunge ex = {.handle = imap_session_handle(s), .op = span_of(op.b, sizeof op.b),
                                 .mailbox = s->view.mailbox, .flags = EXPUNGE_ONLY_DELETED};
        ex.uids.v = v;
        ex.uids.n = deleted(&s->view, v, &next);
        if (ex.uids.n > 0)
            r = IPC_CALL(ROLE_STORE, expunge, &ex, &out, &s->cmd, &f);
    }
    imap_session_deselect(s); /* and nothing of what went is told (RFC 9051 6.4.1) */
    return r == 0 ? imap_session_ok(s, "CLOSE done") : imap_session_fail(s, &f, false);
}
