/* Submission: the checks that make a refusal now, with words, of what would become a bounce later. */
#include "smtp/smtp_in_submit.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "queue/queue_route.h"
#include "run/config.h"
#include "run/scanner.h"
#include "smtp/smtp_in_domain.h"

void smtp_in_submit_note(struct smtp_in *s, struct span address, int code, const char *status, const char *text)
{
    struct msg_event_note note = {
        .handle = span_of(s->handle, sizeof s->handle),
        .trace = span_z(s->tx.trace[0] != 0 ? s->tx.trace : s->trace),
        .kind = EVENT_REFUSED,
        .sender = s->tx.sender,
        .address = address,
        .code = (uint32_t)code,
        .status = span_z(status),
        .text = span_z(text),
    };
    ipc_post_to(ROLE_STORE, MSG_ID_event_note, &note);
}

/* ---- who ---------------------------------------------------------------------------------------------------------------- */

WAITS int smtp_in_submit_identity(struct smtp_in *s, struct span address, struct fail *f)
{
    struct msg_identity in = {.handle = span_of(s->handle, sizeof s->handle), .address = address};
    struct msg_identity_r out;
    if (span_eq_nocase(address, s->user))
        return 0;
    if (IPC_CALL(ROLE_AUTH, identity, &in, &out, &s->cmd, f) < 0)
        return fail_temp(f, "4.3.0", "Your addresses cannot be looked up now, try again soon");
    if (out.own == 1)
        return 0;
    return fail_perm(f, "5.7.1", "%.60s is not yours: send as %.60s, or let an alias lead to you",
                     arena_z(&s->cmd, address), arena_z(&s->cmd, s->user));
}

/* ---- to whom ------------------------------------------------------------------------------------------------------------ */

/* A domain with a route of its own need not be in DNS: mail for it goes where the route says. */
static bool has_route(const struct smtp_in *s, struct span domain)
{
    static struct queue_routes routes; /* of the configuration, which stays as it is while the process lives */
    static struct arena mem;
    static bool read;
    struct queue_hop hop;
    struct fail f;
    if (!read) {
        arena_init(&mem);
        read = true;
        if (queue_route_parse(&routes, config_text(CONFIG_relay_routes), config_text(CONFIG_relay_smarthost),
                              (uint16_t)config_count(CONFIG_relay_port), &mem, &f) < 0)
            LOG(LOG_WARN, "smtp.routes", L_Z("why", f.text)); /* relay does not start with them */
    }
    queue_route_find(&routes, SPAN_NONE, s->tx.sender, domain, &hop);
    return !hop.mx && !hop.login;
}

static WAITS int domain_takes_mail(struct smtp_in *s, struct span domain, int *code, struct fail *f)
{
    char near[64] = "";
    const char *z = arena_z(&s->cmd, domain);
    if (s->tx.no_dns || has_route(s, domain))
        return 0;
    enum smtp_in_domain is = smtp_in_domain_ask(domain, &s->cmd);
    s->tx.no_dns = is == SMTP_IN_DOMAIN_UNKNOWN;
    if (is == SMTP_IN_DOMAIN_OK || is == SMTP_IN_DOMAIN_UNKNOWN)
        return 0;
    struct span own = span_from(s->user, (size_t)(span_rfind_char(s->user, '@') + 1));
    struct span guess = smtp_in_domain_suggest(domain, own);
    if (guess.n > 0 && guess.n < sizeof near - 20)
        snprintf(near, sizeof near, ". Did you mean %.*s?", SPAN_ARGS(guess));
    *code = is == SMTP_IN_DOMAIN_NULL_MX ? 556 : 550;
    if (is == SMTP_IN_DOMAIN_NULL_MX) /* RFC 7504 4, RFC 7505 4.1 */
        return fail_perm(f, "5.1.10", "The domain %.60s takes no mail%s", z, near);
    return fail_perm(f, "5.1.2", "There is no domain %.60s for mail%s", z, near);
}

static WAITS int limits_allow(struct smtp_in *s, struct span folded, int *code, struct fail *f)
{
    static const char *const why[] = {
        [SEND_MESSAGES] = "That is as many messages as one day allows",
        [SEND_NEW_RCPTS] = "That is as many new recipients as one day allows",
    };
    struct msg_send_check in = {.handle = span_of(s->handle, sizeof s->handle), .address = folded};
    struct msg_send_check_r out;
    char when[32];
    *code = 450;
    if (IPC_CALL(ROLE_STORE, send_check, &in, &out, &s->cmd, f) < 0)
        return fail_temp(f, "4.3.0", "It cannot be looked up now how much you sent, try again soon");
    if (out.refused == SEND_OK || out.refused >= COUNT_OF(why))
        return 0;
    clock_rfc3339(out.again_ms, when);
    return fail_temp(f, "4.7.1", "%s, try again after %.10s %.5s UTC", why[out.refused], when, when + 11);
}

WAITS int smtp_in_submit_remote(struct smtp_in *s, struct span folded, struct span domain, int *code, struct fail *f)
{
    if (domain.n == 0) {
        *code = 550;
        return fail_perm(f, "5.1.2", "That is no domain for mail");
    }
    if (domain.p[0] != '[' && domain_takes_mail(s, domain, code, f) < 0)
        return -1;
    return limits_allow(s, folded, code, f);
}

WAITS const char *smtp_in_submit_unknown(struct smtp_in *s, struct span address, const char *plain)
{
    struct msg_rcpt_near in = {.handle = span_of(s->handle, sizeof s->handle), .address = address};
    struct msg_rcpt_near_r out;
    struct fail f;
    if (IPC_CALL(ROLE_AUTH, rcpt_near, &in, &out, &s->cmd, &f) < 0 || out.address.n == 0 || !utf8_ascii(out.address))
        return plain;
    return arena_z(&s->cmd, arena_printf(&s->cmd, "%s. Did you mean %.*s?", plain, SPAN_ARGS(out.address)));
}

/* ---- what --------------------------------------------------------------------------------------------------------------- */

static int faultless(const struct msg_scan_submit_r *m, struct fail *f)
{
    static const struct { uint32_t fault; const char *text; } rows[] = {
        {SUBMIT_FULL, "The header of the message is too large"},
        {SUBMIT_NO_FROM, "The message has no From field: say who you are"},
        {SUBMIT_MANY_FROM, "The message has more than one From field"},
        {SUBMIT_BAD_FROM, "The From field of the message holds no address"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (m->faults & rows[i].fault)
            return fail_perm(f, "5.6.0", "%s", rows[i].text); /* RFC 6409 6.1 */
    return 0;
}

/* SEC-15: every address that the message gives for its author. */
static WAITS int authors_are_own(struct smtp_in *s, struct span authors, struct fail *f)
{
    while (authors.n > 0) {
        struct span author = span_split(&authors, '\n');
        if (!span_eq_nocase(author, s->tx.sender) && smtp_in_submit_identity(s, author, f) < 0)
            return -1;
    }
    return 0;
}

WAITS int smtp_in_submit_read(struct smtp_in *s, struct msg_scan_submit_r *out, struct fail *f)
{
    struct smtp_in_tx *tx = &s->tx;
    char date[32];
    clock_rfc5322(clock_now_s(), date);
    struct msg_scan_submit ask = {
        .size = tx->text.body.size,
        .body = body_bytes(&tx->text.body),
        .file = tx->text.body.fd,
        .date = span_z(date),
        .msgid = arena_printf(&tx->mem, "<%s@%.*s>", tx->trace, SPAN_ARGS(config_text(CONFIG_server_hostname))),
    };
    if (scanner_submit(&ask, out, span_z(tx->trace), &tx->mem, f) < 0)
        return -1;
    return faultless(out, f) < 0 ? -1 : authors_are_own(s, out->authors, f);
}
