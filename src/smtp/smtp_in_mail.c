/* MAIL and RCPT: who sends, and to whom. Nothing is accepted here that DATA could not deliver: unknown recipients are
 * refused on the spot (SEC-19), and mail for other domains always (SEC-15). */
#include "base/limits.h"
#include "base/log.h"
#include "smtp/smtp_in_rcpt.h"
#include "smtp/smtp_in_session.h"

/* What all targets of a message may take in the frame of ingest: body and summary have their own share (ipc.h). */
enum { TARGET_ROOM = 96 * 1024, TARGET_FIXED = 28 };

/* How bad syntax is answered: RFC 3463 3.2 has codes of their own for sender and recipient. */
static const struct {
    int code;
    const char *mail, *rcpt, *text;
} syntax[] = {
    [-SMTP_BAD_SYNTAX] = {501, "5.5.4", "5.5.4", "An address in angle brackets is wanted"},
    [-SMTP_BAD_ADDRESS] = {501, "5.1.7", "5.1.3", "That is no address"},
    [-SMTP_TOO_LONG] = {501, "5.1.7", "5.1.3", "The address is longer than RFC 5321 allows"},
    [-SMTP_8BIT] = {553, "5.6.7", "5.6.7", "Only ASCII addresses are understood"}, /* RFC 6531 3.5 */
    [-SMTP_PARAM_BAD] = {501, "5.5.4", "5.5.4", "A parameter has a bad value"},
    [-SMTP_PARAM_UNKNOWN] = {555, "5.5.4", "5.5.4", "Unknown parameter"},
};

/* The path without its brackets and route, as it was written. */
static struct span path_text(const struct smtp_path *p)
{
    return p->domain.n == 0 ? p->local : span_of(p->local.p, (size_t)(p->domain.p + p->domain.n - p->local.p));
}

WAITS int smtp_in_mail_from(struct smtp_in *s, struct span args)
{
    struct smtp_path path;
    struct smtp_params params;
    ptrdiff_t r = smtp_grammar_mail(args, &path, &params);
    if (r < 0)
        return smtp_in_session_reply(s, syntax[-r].code, syntax[-r].mail, "%s", syntax[-r].text);
    if (params.has_size && params.size > (uint64_t)LIMIT(MESSAGE_BYTES)) /* RFC 1870 6.1 */
        return smtp_in_session_reply(s, 552, "5.3.4", "The limit is %lld bytes", (long long)LIMIT(MESSAGE_BYTES));
    struct smtp_in_tx *tx = &s->tx;
    tx->op = rand_op_id();
    rand_trace_id(&tx->op, tx->trace);
    tx->sender = arena_copy(&tx->mem, path_text(&path));
    tx->begun_ms = clock_mono_ms();
    s->state = SMTP_IN_MAIL;
    return smtp_in_session_reply(s, 250, "2.1.0", "Ok");
}

/* ---- RCPT ------------------------------------------------------------------------------------------------------------ */

static const struct refusal {
    int code;
    const char *enhanced, *text;
} refusals[] = {
    [RCPT_OK] = {250, "2.1.5", "Ok"},
    [RCPT_NO_USER] = {550, "5.1.1", "No such user here"},
    [RCPT_NOT_OURS] = {550, "5.7.1", "Relaying denied"},
    [RCPT_DISABLED] = {550, "5.2.1", "The mailbox is disabled"},
    [RCPT_LOOP] = {550, "5.4.6", "The alias runs in a circle or names too many"},
};
static const struct refusal too_many = {452, "4.5.3", "Too many recipients, send them another copy"};
static const struct refusal too_wide = {550, "5.2.4", "The alias names too many"};
static const struct refusal not_now = {451, "4.3.0", "Recipients cannot be checked now"};

static bool has_target(const struct smtp_in_tx *tx, uint64_t account)
{
    for (size_t i = 0; i < tx->targets.n; i++)
        if (tx->targets.v[i].account == account)
            return true;
    return false;
}

/* An account is a target once, however many of the recipients come down to it (REL-02). */
static const struct refusal *add_targets(struct smtp_in_tx *tx, const struct msg_rcpt_check_r *answer)
{
    size_t bytes = 0, before = tx->targets.n;
    for (uint32_t i = 0; i < answer->targets.n; i++)
        bytes += TARGET_FIXED + answer->targets.v[i].address.n + answer->targets.v[i].lang.n;
    if (tx->target_bytes + bytes > TARGET_ROOM)
        return before == 0 ? &too_wide : &too_many;
    for (uint32_t i = 0; i < answer->targets.n; i++) {
        const struct msg_rcpt_target *t = &answer->targets.v[i];
        if (has_target(tx, t->account))
            continue;
        *VEC_PUSH(&tx->targets) = (struct msg_ingest_target){
            .account = t->account, .address = arena_copy(&tx->mem, t->address), .lang = arena_copy(&tx->mem, t->lang)};
    }
    tx->target_bytes += bytes;
    return &refusals[RCPT_OK];
}

static WAITS const struct refusal *check(struct smtp_in *s, const struct smtp_path *path)
{
    struct smtp_in_tx *tx = &s->tx;
    struct msg_rcpt_check_r answer;
    struct fail f;
    struct str address;
    str_init(&address, &s->cmd);
    smtp_grammar_address(&address, path);
    if (tx->rcpts >= LIMIT(SMTP_RCPTS) || tx->rcpt_bytes + address.n > (size_t)LIMIT(SMTP_RCPT_BYTES))
        return &too_many;
    /* SEC-15: an @ inside quotes is no account of ours, and nobody else shall look for a second domain in it */
    if (span_find_char(path->local, '@') >= 0)
        return &refusals[RCPT_NO_USER];
    if (smtp_in_rcpt_check(str_span(&address), &answer, &s->cmd, &f) < 0)
        return &not_now;
    if (answer.status >= COUNT_OF(refusals) || (answer.status == RCPT_OK && answer.targets.n == 0))
        return &not_now;
    if (answer.status != RCPT_OK)
        return &refusals[answer.status];
    const struct refusal *r = add_targets(tx, &answer);
    if (r == &refusals[RCPT_OK])
        tx->rcpt_bytes += address.n;
    return r;
}

WAITS int smtp_in_mail_to(struct smtp_in *s, struct span args)
{
    struct smtp_in_tx *tx = &s->tx;
    struct smtp_path path;
    struct smtp_params params;
    ptrdiff_t used = smtp_grammar_rcpt(args, &path, &params);
    if (used < 0)
        return smtp_in_session_reply(s, syntax[-used].code, syntax[-used].rcpt, "%s", syntax[-used].text);
    if (++tx->tried > 10 * LIMIT(SMTP_RCPTS)) /* a 452 costs nothing, but not for ever */
        return smtp_in_session_bye(s, "4.7.0", "Too many recipients");
    const struct refusal *r = check(s, &path);
    if (r->code != 250) {
        LOG(LOG_INFO, "smtp.rcpt", L_ID(span_z(tx->trace)), L_Z("ip", conn_peer(s->c)->text),
            L_SPAN("from", tx->sender), L_SPAN("to", path_text(&path)), L_INT("code", r->code), L_Z("why", r->enhanced));
        return smtp_in_session_reply(s, r->code, r->enhanced, "%s", r->text);
    }
    /* RFC 5321 7.2: the trace field names a recipient only when there is one */
    tx->only = ++tx->rcpts == 1 ? arena_copy(&tx->mem, path_text(&path)) : SPAN_NONE;
    s->state = SMTP_IN_RCPT;
    return smtp_in_session_reply(s, r->code, r->enhanced, "%s", r->text);
}
