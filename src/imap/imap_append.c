/* APPEND (RFC 9051 6.3.12) with APPENDUID (RFC 4315 3). The message streams from the connection into memory, a memfd or
 * store's spool as it comes; then scan reads it, and store takes it. */
#include "base/clock.h"
#include "base/limits.h"
#include "imap/imap_crlf.h"
#include "imap/imap_folder.h"
#include "run/body.h"
#include "run/scanner.h"

struct append_job {
    struct imap *s;
    uint64_t mailbox;
    struct imap_flags flags;
    int64_t internal_ms;
    struct op_id op;
    struct body body;
    struct imap_crlf crlf;
    bool utf8;              /* came as UTF8 (~{n}...) */
    struct fail fail;       /* kind FAIL_NONE: all is well so far */
};

/* What the connection brings is taken to its end even when the message is refused: the client is sending it already. */
static WAITS int take_literal(struct append_job *j)
{
    struct imap *s = j->s;
    struct span piece, run;
    int r = imap_session_literal_accept(s);
    while (r == 0) {
        r = imap_session_literal_read(s, &piece);
        if (r != 0 || piece.n == 0)
            break;
        while (j->fail.kind == FAIL_NONE && imap_crlf_next(&j->crlf, &piece, &run))
            body_add(&j->body, run, &j->fail);
        if (j->crlf.bad && j->fail.kind == FAIL_NONE)
            fail_perm(&j->fail, "5.6.0", "The message holds a bare CR or a NUL");
    }
    if (r == 0 && imap_crlf_end(&j->crlf) < 0 && j->fail.kind == FAIL_NONE)
        fail_perm(&j->fail, "5.6.0", "The message ends in a bare CR");
    if (j->body.size > (uint64_t)LIMIT(MESSAGE_BYTES) && j->fail.kind == FAIL_NONE) /* line ends made it grow */
        fail_perm(&j->fail, "5.3.4", "The message is larger than this server takes");
    return r;
}

static WAITS int store_it(struct append_job *j, struct arena *mem, struct msg_append_r *out)
{
    struct imap *s = j->s;
    struct msg_summarize_r sum;
    if (body_finish(&j->body, mem, &j->fail) < 0)
        return -1;
    struct msg_summarize ask = {.size = j->body.size, .body = body_bytes(&j->body), .file = j->body.fd};
    if (scanner_summarize(&ask, &sum, span_z(s->trace), mem, &j->fail) < 0)
        return -1;
    struct msg_append in = {.handle = imap_session_handle(s), .op = span_of(j->op.b, sizeof j->op.b),
                            .mailbox = j->mailbox, .size = j->body.size, .body = body_bytes(&j->body),
                            .file = j->body.place == BODY_MEMFD ? j->body.fd : -1,
                            .spool = j->body.place == BODY_SPOOL, .flags = j->flags.flags,
                            .keywords = j->flags.keywords, .internal_ms = j->internal_ms, .summary_flags = sum.flags,
                            .msgid_hash = sum.msgid_hash, .date_s = sum.date_s, .headers = sum.headers,
                            .envelope = sum.envelope, .structure = sum.structure, .preview = sum.preview,
                            .refs = sum.refs};
    return IPC_CALL(ROLE_STORE, append, &in, out, mem, &j->fail);
}

static WAITS int append_message(struct append_job *j)
{
    struct imap *s = j->s;
    struct span rest;
    struct msg_append_r out;
    int r = take_literal(j);
    if (r == 0)
        r = imap_session_literal_rest(s, &rest);
    if (r != 0)
        return r;
    if (!span_eq(rest, j->utf8 ? SPAN(")") : SPAN("")) || s->literal.header > 0) /* RFC 3502 is not offered: one message */
        return imap_session_bad(s, "behind the message the command ends");
    if (j->fail.kind != FAIL_NONE)
        return imap_session_fail(s, &j->fail, true);
    struct arena mem;
    arena_init(&mem);
    int stored = store_it(j, &mem, &out);
    arena_done(&mem);
    if (stored < 0)
        return imap_session_fail(s, &j->fail, true);
    if (s->state == IMAP_SELECTED && s->view.mailbox == j->mailbox)
        imap_view_refresh(s, &j->fail); /* RFC 9051 6.3.12: the EXISTS comes at once */
    return imap_session_ok(s, "[APPENDUID %llu %llu] Appended", (unsigned long long)out.uidvalidity,
                           (unsigned long long)out.uid);
}

/* Behind the mailbox: [flags SP] [date-time SP], and then the literal; or, as RFC 6855 4 had it and Thunderbird does once
 * UTF8=ACCEPT is enabled, UTF8 SP "(" literal8 ")". */
static bool read_options(struct imap *s, struct imap_lex *in, struct append_job *j)
{
    j->internal_ms = clock_now_ms();
    if (in->at.n > 0 && in->at.p[0] == '(' && (!imap_grammar_flag_list(in, &j->flags) || !imap_grammar_sp(in)))
        return false;
    if (in->at.n > 0 && in->at.p[0] == '"' && (!imap_grammar_date_time(in, &j->internal_ms) || !imap_grammar_sp(in)))
        return false;
    j->utf8 = imap_grammar_may_word(in, SPAN("UTF8"));
    if (j->utf8 && (!imap_grammar_sp(in) || !imap_grammar_may(in, '('))) /* it is closed behind the literal */
        return imap_grammar_bad(in, "behind UTF8 the message comes in parentheses");
    if (j->flags.any)
        return imap_grammar_bad(in, "\\* is no flag");
    if (s->literal.header == 0)
        return imap_grammar_bad(in, "a message comes as a literal");
    return imap_grammar_end(in);
}

/* RFC 9755 4 wants a header with 8-bit bytes refused unless UTF8=ACCEPT is enabled. Not so here, on purpose: programs that
 * carry mailboxes over know nothing of it, and would lose old mail whose headers were never right; what they bring is kept
 * as it is, and shown to such clients as a surrogate. */
WAITS int imap_append_append(struct imap *s, struct imap_lex *in)
{
    struct append_job j = {.s = s, .op = rand_op_id()};
    const struct imap_folder *folder;
    struct span name;
    struct fail f;
    if (!imap_grammar_astring(in, &name) || !imap_grammar_sp(in) || !read_options(s, in, &j))
        return imap_session_bad(s, in->error);
    if (s->literal.binary && !j.utf8)
        return imap_session_no(s, "[UNKNOWN-CTE] Binary literals are not taken");
    if (s->literal.size > (uint64_t)LIMIT(MESSAGE_BYTES))
        return imap_session_no(s, "[TOOBIG] The message is larger than this server takes"); /* RFC 7889 4 */
    if (s->literal.size == 0)
        return imap_session_no(s, "An empty message is none");
    if (imap_folder_named(s, name, &folder, &f) < 0)
        return imap_session_fail(s, &f, true);
    if (!body_room())
        return imap_session_no(s, "[LIMIT] Too many messages are on their way in, try again");
    j.mailbox = folder->row->mailbox;
    body_init(&j.body, &j.op);
    int r = append_message(&j);
    body_drop(&j.body);
    return r;
}
