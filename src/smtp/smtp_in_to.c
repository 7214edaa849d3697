/* RCPT: to whom. Nothing is accepted here that the end of data could not deliver: unknown recipients and full mailboxes
 * are refused on the spot (SEC-19), and mail for other domains unless somebody has logged in (SEC-15). */
#include "base/limits.h"
#include "base/log.h"
#include "login/login_name.h"
#include "run/config.h"
#include "run/net.h"
#include "smtp/smtp_in_rcpt.h"
#include "smtp/smtp_in_room.h"
#include "smtp/smtp_in_submit.h"

enum { ROOM_ASKED = 8 }; /* of a longer list each mailbox's quota is seen at the end only */
enum { VIA_TOLD = 4096 };  /* bytes of recipients: behind them the trace does not say which name led to a mailbox */

struct refusal { int code; const char *enhanced, *text; };

static const struct refusal refusals[] = {
    [RCPT_OK] = {250, "2.1.5", "Ok"},
    [RCPT_NO_USER] = {550, "5.1.1", "No such user here"},
    [RCPT_NOT_OURS] = {550, "5.7.1", "Relaying denied"},
    [RCPT_DISABLED] = {550, "5.2.1", "The mailbox is disabled"},
    [RCPT_LOOP] = {550, "5.4.6", "The alias runs in a circle or names too many"},
};
static const struct refusal ok = {250, "2.1.5", "Ok"};
static const struct refusal too_many = {452, "4.5.3", "Too many recipients, send them another copy"};
static const struct refusal too_wide = {550, "5.2.4", "The alias names too many"};
static const struct refusal not_now = {451, "4.3.0", "Recipients cannot be checked now"};
static const struct refusal full = {452, "4.2.2", "The mailbox has no room for that now"}; /* RFC 5321 4.2.3 */

/* Bad syntax; RFC 3463 3.2 has codes of their own for the recipient. */
static const struct refusal syntax[] = {
    [-SMTP_BAD_SYNTAX] = {501, "5.5.4", "An address in angle brackets is wanted"},
    [-SMTP_BAD_ADDRESS] = {501, "5.1.3", "That is no address"},
    [-SMTP_TOO_LONG] = {501, "5.1.3", "The address is longer than RFC 5321 allows"},
    [-SMTP_8BIT] = {553, "5.6.7", "An address that is not ASCII wants SMTPUTF8"}, /* RFC 6531 3.5 */
    [-SMTP_PARAM_BAD] = {501, "5.5.4", "A parameter has a bad value"},
    [-SMTP_PARAM_UNKNOWN] = {555, "5.5.4", "Unknown parameter"},
};

/* One RCPT on its way. */
struct rcpt {
    struct smtp_path path;
    struct smtp_params params;
    struct span text;     /* the path as written, without its brackets and route */
    struct span address;  /* as others compare it */
    struct span orcpt;    /* decoded */
    struct refusal said;  /* room for a refusal with words of its own */
};

/* ---- what it comes down to ---------------------------------------------------------------------------------------------- */

/* SEC-07: a stranger's recipients are held in little. Somebody who has logged in may have more of us, and one recipient
 * alone is as wide as the alias that its owner made: then the frame of ingest is the limit. */
static size_t most(const struct smtp_in *s)
{
    return s->login || s->tx.rcpts == 0 ? SIZE_MAX : (size_t)LIMIT(SMTP_RCPT_HELD);
}

/* RFC 3461 5.2.7.3 (c): behind an alias with several targets nobody else says that all went well. */
static uint32_t notify_behind(uint32_t notify, bool expanded)
{
    if (!expanded || !(notify & DSN_SUCCESS))
        return notify;
    return notify == DSN_SUCCESS ? DSN_NEVER : notify & ~(uint32_t)DSN_SUCCESS;
}

/* Whom the sender hears from when our part ends here. */
static bool add_note(struct smtp_in *s, const struct rcpt *to, const struct msg_rcpt_check_r *answer)
{
    bool expanded = answer->flags & RCPT_EXPANDED;
    if (!(to->params.notify & DSN_SUCCESS) || (!expanded && answer->forwards.n > 0))
        return true; /* RFC 3461 5.2.7.2: the other side of a simple forward will say it */
    return smtp_in_pack_note(&s->tx.pack, most(s),
                             &(struct msg_ingest_note){.address = to->text,
                                                       .action = expanded ? DSN_EXPANDED : DSN_DELIVERED,
                                                       .orcpt = to->orcpt});
}

static bool add_all(struct smtp_in *s, const struct rcpt *to, const struct msg_rcpt_check_r *answer)
{
    struct smtp_in_pack *pack = &s->tx.pack;
    uint32_t notify = notify_behind(to->params.notify, answer->flags & RCPT_EXPANDED);
    bool good = (s->env->service != SERVICE_lmtp || smtp_in_pack_to(pack, most(s))) && add_note(s, to, answer);
    for (uint32_t i = 0; i < answer->targets.n && good; i++) {
        const struct msg_rcpt_target *t = &answer->targets.v[i];
        bool tell = pack->n < VIA_TOLD && !span_eq_nocase(t->address, to->address);
        good = smtp_in_pack_target(pack, most(s), t, tell ? to->text : SPAN_NONE);
    }
    for (uint32_t i = 0; i < answer->forwards.n && good; i++) {
        const struct msg_rcpt_forward *f = &answer->forwards.v[i];
        struct msg_ingest_remote r = {.address = f->address, .domain = f->domain, .notify = notify, .orcpt = to->orcpt,
                                      .via = f->via.n > 0 ? f->via : to->text};
        good = smtp_in_pack_remote(pack, most(s), &r);
    }
    return good;
}

/* All that the recipient comes down to, or nothing of it. */
static const struct refusal *add(struct smtp_in *s, const struct rcpt *to, const struct msg_rcpt_check_r *answer)
{
    struct smtp_in_pack before = s->tx.pack;
    if (add_all(s, to, answer))
        return &ok;
    smtp_in_pack_undo(&s->tx.pack, &before);
    return s->tx.rcpts == 0 ? &too_wide : &too_many;
}

/* ---- may it come in ------------------------------------------------------------------------------------------------------ */

/* RFC 5321 4.2.3, SEC-19: a full mailbox, or one that is too full for what MAIL announced. */
static WAITS bool have_room(const struct smtp_in *s, const struct msg_rcpt_check_r *answer)
{
    if (answer->targets.n > ROOM_ASKED)
        return true;
    for (uint32_t i = 0; i < answer->targets.n; i++) {
        int64_t bytes = smtp_in_room_of(answer->targets.v[i].account);
        if (bytes <= 0 || (uint64_t)bytes < s->tx.size)
            return false;
    }
    return true;
}

/* A recipient elsewhere, of somebody who has logged in. */
static WAITS const struct refusal *submit(struct smtp_in *s, struct rcpt *to)
{
    char domain[LOGIN_NAME_DOMAIN], local[LOGIN_NAME_LOCAL];
    struct fail f;
    bool literal = to->path.domain.p[0] == '[';
    ptrdiff_t at = span_rfind_char(to->address, '@');
    size_t d = literal ? 0 : login_name_fold_domain(to->path.domain, domain);
    size_t l = login_name_fold_local(span_sub(to->address, 0, (size_t)at), local);
    struct span where = literal ? to->path.domain : span_of(domain, d);
    struct span folded = arena_printf(&s->cmd, "%.*s@%.*s", (int)l, local, SPAN_ARGS(where));
    if (smtp_in_submit_remote(s, folded, where, &to->said.code, &f) < 0) {
        to->said.enhanced = arena_z(&s->cmd, span_z(f.code));
        to->said.text = arena_z(&s->cmd, span_z(f.text));
        return &to->said;
    }
    struct msg_ingest_remote r = {.address = to->text, .domain = where, .notify = to->params.notify, .orcpt = to->orcpt};
    return smtp_in_pack_remote(&s->tx.pack, most(s), &r) ? &ok : &too_many;
}

/* RFC 5321 4.1.3: an address literal of ours. Where nobody has a domain only postmaster and the host's own are known. */
static struct span our_literal(struct smtp_in *s, struct span address, struct span literal)
{
    const struct conn_addr *here = conn_local(s->c);
    struct span ip = span_sub(literal, 1, literal.n - 2);
    unsigned char bytes[16];
    if (span_starts_nocase(ip, SPAN("IPv6:")))
        ip = span_from(ip, 5);
    if (net_address(ip, bytes) < 0 || memcmp(bytes, here->ip, 16) != 0)
        return address;
    struct span local = span_sub(address, 0, (size_t)span_rfind_char(address, '@'));
    if (span_eq_nocase(local, SPAN("postmaster"))) /* RFC 5321 4.5.1 */
        return local;
    return arena_printf(&s->cmd, "%.*s@%.*s", SPAN_ARGS(local), SPAN_ARGS(config_text(CONFIG_server_hostname)));
}

static WAITS const struct refusal *check(struct smtp_in *s, struct rcpt *to)
{
    struct smtp_in_tx *tx = &s->tx;
    struct msg_rcpt_check_r answer;
    struct fail f;
    if (tx->rcpts >= LIMIT(SMTP_RCPTS) || tx->rcpt_bytes + to->address.n > (size_t)LIMIT(SMTP_RCPT_BYTES))
        return &too_many;
    /* SEC-15: an @ inside quotes is no account of ours, and nobody else shall look for a second domain in it */
    if (span_find_char(to->path.local, '@') >= 0)
        return &refusals[RCPT_NO_USER];
    struct span ask = to->address;
    if (to->path.domain.n > 0 && to->path.domain.p[0] == '[')
        ask = our_literal(s, ask, to->path.domain);
    if (smtp_in_rcpt_check(ask, &answer, &s->cmd, &f) < 0 || answer.status >= COUNT_OF(refusals))
        return &not_now;
    if (answer.status == RCPT_NOT_OURS && ask.p != to->address.p)
        return &refusals[RCPT_NO_USER];
    if (answer.status == RCPT_NOT_OURS && s->login)
        return submit(s, to);
    if (answer.status == RCPT_NO_USER && s->login) { /* nobody else is told who there is */
        to->said = refusals[RCPT_NO_USER];
        to->said.text = smtp_in_submit_unknown(s, ask, to->said.text);
        return &to->said;
    }
    if (answer.status != RCPT_OK)
        return &refusals[answer.status];
    if (answer.targets.n + answer.forwards.n == 0)
        return &not_now;
    return have_room(s, &answer) ? add(s, to, &answer) : &full;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------- */

static void prepare(struct smtp_in *s, struct rcpt *to)
{
    struct str address, orcpt;
    const struct smtp_path *p = &to->path;
    to->text = p->domain.n == 0 ? p->local : span_of(p->local.p, (size_t)(p->domain.p + p->domain.n - p->local.p));
    str_init(&address, &s->cmd);
    smtp_grammar_address(&address, p);
    to->address = str_span(&address);
    if (to->params.orcpt.n == 0)
        return;
    str_init(&orcpt, &s->cmd);
    smtp_param_orcpt(&orcpt, to->params.orcpt);
    to->orcpt = str_span(&orcpt);
}

static void refused(struct smtp_in *s, const struct rcpt *to, const struct refusal *r)
{
    LOG(LOG_INFO, "smtp.rcpt", L_ID(span_z(s->tx.trace)), L_Z("ip", conn_peer(s->c)->text),
        L_SPAN("from", s->tx.sender), L_SPAN("to", to->text), L_INT("code", r->code), L_Z("why", r->enhanced));
    if (s->login)
        smtp_in_submit_note(s, to->text, r->code, r->enhanced, r->text);
}

WAITS int smtp_in_to_run(struct smtp_in *s, struct span args)
{
    struct smtp_in_tx *tx = &s->tx;
    struct rcpt to = {0};
    unsigned ext = smtp_in_hello_ext(s) & ~(unsigned)SMTP_EXT_UTF8;
    if (tx->flags & ENVELOPE_SMTPUTF8)
        ext |= SMTP_EXT_UTF8;
    ptrdiff_t used = smtp_grammar_rcpt(args, ext, &to.path, &to.params);
    if (used < 0)
        return smtp_in_session_reply(s, syntax[-used].code, syntax[-used].enhanced, "%s", syntax[-used].text);
    if (++tx->tried > 10 * LIMIT(SMTP_RCPTS)) /* a 452 costs nothing, but not for ever */
        return smtp_in_session_bye(s, "4.7.0", "Too many recipients");
    prepare(s, &to);
    const struct refusal *r = check(s, &to);
    if (r->code != 250) {
        refused(s, &to, r);
    } else {
        tx->rcpt_bytes += to.address.n;
        /* RFC 5321 7.2: the trace field names a recipient only when there is one */
        tx->only = ++tx->rcpts == 1 && !to.path.utf8 ? arena_copy(&tx->mem, to.text) : SPAN_NONE;
        s->state = SMTP_IN_RCPT;
    }
    return smtp_in_session_reply(s, r->code, r->enhanced, "%s", r->text);
}
