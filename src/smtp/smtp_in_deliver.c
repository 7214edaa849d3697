/* The end of a message: has it read by scan and kept by store, and says 250 only then (REL-01). */
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "format/received.h"
#include "format/summary.h"
#include "run/config.h"
#include "run/scanner.h"
#include "run/shared.h"
#include "smtp/smtp_in_session.h"
#include "smtp/smtp_in_submit.h"

/* ---- our trace field --------------------------------------------------------------------------------------------------- */

/* RFC 3848, RFC 6531 4.3: how it came in, in one word. */
static struct span protocol(const struct smtp_in *s, struct arena *mem)
{
    bool utf8 = s->tx.flags & ENVELOPE_SMTPUTF8;
    if (s->env->service != SERVICE_lmtp && !s->esmtp)
        return SPAN("SMTP");
    return arena_printf(mem, "%s%s%s%s", utf8 ? "UTF8" : "",
                        s->env->service == SERVICE_lmtp ? "LMTP" : utf8 ? "SMTP" : "ESMTP", conn_tls(s->c) ? "S" : "",
                        s->login ? "A" : "");
}

WAITS int smtp_in_deliver_begin(struct smtp_in *s, struct fail *f)
{
    struct str field;
    struct span host = config_text(CONFIG_server_hostname);
    str_init(&field, &s->cmd);
    struct received r = {
        /* where our own people write from is nobody's business */
        .helo = s->login ? host : span_of(s->helo, s->helo_n),
        .peer = s->login ? SPAN_NONE : span_z(conn_peer(s->c)->text),
        .by = host,
        .protocol = protocol(s, &s->cmd),
        .tls = conn_tls_info(s->c, &s->cmd),
        .id = span_z(s->tx.trace),
        .rcpt = s->tx.only,
        .time_s = clock_now_s(),
    };
    received_write(&field, &r); /* RFC 5321 4.4 */
    return body_add(&s->tx.text.body, str_span(&field), f);
}

/* ---- scan and store ---------------------------------------------------------------------------------------------------- */

/* What scan says about the message: for a submission with the repairs that it needs. */
static WAITS int read_it(struct smtp_in *s, struct msg_scan_submit_r *sum, struct fail *f)
{
    struct smtp_in_tx *tx = &s->tx;
    const struct body *body = &tx->text.body;
    if (s->login) {
        if (smtp_in_submit_read(s, sum, f) < 0)
            return -1;
    } else {
        struct msg_summarize ask = {.size = body->size, .body = body_bytes(body), .file = body->fd};
        struct msg_summarize_r r;
        if (scanner_summarize(&ask, &r, span_z(tx->trace), &tx->mem, f) < 0)
            return -1;
        *sum = (struct msg_scan_submit_r){
            .flags = r.flags, .hops = r.hops, .msgid_hash = r.msgid_hash, .date_s = r.date_s, .headers = r.headers,
            .envelope = r.envelope, .structure = r.structure, .preview = r.preview, .refs = r.refs};
    }
    /* RFC 5321 6.3; one of them is ours */
    if (sum->hops > 0 && sum->hops - 1 > LIMIT(HOPS))
        return fail_perm(f, "5.4.6", "Too many hops: this mail runs in a circle");
    return 0;
}

/* What the message really needs of the hosts on its way: a client that says SMTPUTF8 or BODY with everything it sends must
 * not keep it from those that can do neither. */
static uint32_t needs(const struct smtp_in_tx *tx, const struct smtp_in_rcpts *rcpts, uint32_t summary)
{
    bool utf8 = (summary & (SUMMARY_UTF8 | SUMMARY_UTF8_PARTS)) || !utf8_ascii(tx->sender);
    for (size_t i = 0; i < rcpts->n_remotes && !utf8; i++)
        utf8 = !utf8_ascii(rcpts->remotes[i].address);
    uint32_t flags = tx->flags & ~(uint32_t)(ENVELOPE_SMTPUTF8 | ENVELOPE_8BIT);
    return flags | (utf8 ? tx->flags & ENVELOPE_SMTPUTF8 : 0) | (summary & SUMMARY_8BIT ? ENVELOPE_8BIT : 0);
}

static void fill(const struct smtp_in *s, const struct msg_scan_submit_r *sum, const struct smtp_in_rcpts *rcpts,
                 struct msg_ingest *ask)
{
    const struct smtp_in_tx *tx = &s->tx;
    const struct body *body = &tx->text.body;
    bool spool = body->place == BODY_SPOOL;
    *ask = (struct msg_ingest){
        .op = span_of(tx->op.b, sizeof tx->op.b),
        .sender = tx->sender,
        .size = body->size,
        .body = body_bytes(body),
        .file = spool ? -1 : body->fd,
        .spool = spool,
        .received_ms = clock_now_ms(),
        .summary_flags = sum->flags,
        .msgid_hash = sum->msgid_hash,
        .date_s = sum->date_s,
        .headers = sum->headers,
        .envelope = sum->envelope,
        .structure = sum->structure,
        .preview = sum->preview,
        .refs = sum->refs,
        .handle = s->login ? span_of(s->handle, sizeof s->handle) : SPAN_NONE,
        .edits = sum->edits,
        .envelope_flags = needs(tx, rcpts, sum->flags),
        .envid = tx->envid,
        .ret = tx->ret,
        .service = s->env->service,
    };
    ask->targets.v = rcpts->targets;
    ask->targets.n = rcpts->n_targets;
    ask->remotes.v = rcpts->remotes;
    ask->remotes.n = rcpts->n_remotes;
    ask->notes.v = rcpts->notes;
    ask->notes.n = rcpts->n_notes;
}

static WAITS int deliver(struct smtp_in *s, const struct smtp_in_rcpts *rcpts, struct msg_ingest *ask, struct fail *f)
{
    struct smtp_in_tx *tx = &s->tx;
    struct msg_scan_submit_r sum;
    struct msg_ingest_r out;
    if (body_finish(&tx->text.body, &tx->mem, f) < 0 || read_it(s, &sum, f) < 0)
        return -1;
    fill(s, &sum, rcpts, ask);
    ask->peer = arena_printf(&tx->mem, "%.*s [%s]", (int)s->helo_n, s->helo, conn_peer(s->c)->text);
    ask->tls = conn_tls_info(s->c, &tx->mem);
    ask->login = s->login ? s->user : SPAN_NONE;
    return IPC_CALL(ROLE_STORE, ingest, ask, &out, &tx->mem, f);
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

static void log_end(const struct smtp_in *s, const struct fail *f)
{
    const struct smtp_in_tx *tx = &s->tx;
    bool good = f->kind == FAIL_NONE;
    LOG(LOG_INFO, good ? "smtp.stored" : "smtp.refused", L_ID(span_z(tx->trace)), L_Z("ip", conn_peer(s->c)->text),
        L_SPAN("from", tx->sender), L_SPAN("user", s->login ? s->user : SPAN("-")), L_INT("rcpts", tx->rcpts),
        L_INT("size", (int64_t)tx->text.taken), L_INT("ms", clock_mono_ms() - tx->begun_ms),
        L_Z("why", good ? "ok" : f->code));
}

static WAITS int answer(struct smtp_in *s, const struct fail *f)
{
    if (f->kind == FAIL_NONE)
        return smtp_in_session_reply(s, 250, "2.0.0", "Ok, stored as %s", s->tx.trace);
    if (s->tx.text.reader.state == SMTP_DATA_BAD)
        return smtp_in_session_reply(s, 550, f->code, "%s", f->text);
    return smtp_in_session_fail(s, f);
}

/* One recipient alone, when all together were refused: what is wrong with one mailbox must not keep the others from
 * their copy (RFC 2033 4.2). ask: of all; has[i]: target i has its copy. */
static WAITS int deliver_one(struct smtp_in *s, const struct smtp_in_rcpts *rcpts, const struct smtp_in_to *to,
                             struct msg_ingest *ask, bool *has, struct fail *f)
{
    struct smtp_in_tx *tx = &s->tx;
    struct msg_ingest_r out;
    struct op_id op = rand_op_id();
    ask->op = span_of(op.b, sizeof op.b);
    ask->notes.n = ask->remotes.n = 0;
    ask->targets.v = arena_alloc(&tx->mem, to->n * sizeof *ask->targets.v);
    ask->targets.n = 0;
    const uint32_t *reach = rcpts->reach + to->first;
    for (size_t i = 0; i < to->n; i++)
        if (!has[reach[i]])
            ask->targets.v[ask->targets.n++] = rcpts->targets[reach[i]];
    if (ask->targets.n > 0 && IPC_CALL(ROLE_STORE, ingest, ask, &out, &tx->mem, f) < 0)
        return -1;
    for (size_t i = 0; i < to->n; i++)
        has[reach[i]] = true;
    return 0;
}

/* RFC 2033 4.2: an answer for each recipient that was accepted, in their order. */
static WAITS int answer_each(struct smtp_in *s, const struct smtp_in_rcpts *rcpts, struct msg_ingest *ask,
                             const struct fail *all)
{
    /* 5.2.2 and the like are about a mailbox, anything else is about the message or about us. A spool belongs to its one
     * op, and mail to elsewhere goes with everything or not at all. */
    bool split = all->kind != FAIL_NONE && all->code[1] == '.' && all->code[2] == '2' && ask->op.n > 0 && !ask->spool &&
                 rcpts->n_tos > 1 && rcpts->n_remotes == 0;
    bool *has = arena_zalloc(&s->tx.mem, rcpts->n_targets + 1);
    int r = 0;
    for (size_t i = 0; i < rcpts->n_tos && r == 0; i++) {
        struct fail f = *all;
        if (split && deliver_one(s, rcpts, &rcpts->tos[i], ask, has, &f) == 0)
            f.kind = FAIL_NONE;
        r = answer(s, &f);
    }
    return r;
}

WAITS int smtp_in_deliver_end(struct smtp_in *s, bool last)
{
    struct smtp_in_text *t = &s->tx.text;
    struct smtp_in_rcpts rcpts;
    struct msg_ingest ask = {0};
    if (t->reader.state == SMTP_DATA_BAD) { /* SEC-02: nothing behind it is read */
        s->closing = true;
        s->env->linger = SESSION_LINGER + (size_t)LIMIT(MESSAGE_BYTES);
    }
    struct fail f; /* what a second try made good may have left its mark in it */
    smtp_in_pack_open(&s->tx.pack, &s->tx.mem, &rcpts);
    if (t->fail.kind == FAIL_NONE && deliver(s, &rcpts, &ask, &f) < 0)
        t->fail = f;
    log_end(s, &t->fail);
    if (t->fail.kind == FAIL_NONE) {
        counter_add(COUNTER_MESSAGES_IN, 1);
        smtp_in_session_progress(s);
    } else if (s->login) {
        smtp_in_submit_note(s, SPAN_NONE, t->fail.kind == FAIL_PERM ? 550 : 450, t->fail.code, t->fail.text);
    }
    if (s->env->service == SERVICE_lmtp && last)
        return answer_each(s, &rcpts, &ask, &t->fail);
    return answer(s, &t->fail);
}
