/* The model reads the input from its first octet to its last, one command after the other, and writes down what must be
 * answered and stored. Where the session has states, chunks and buffers, it looks into the whole input instead. */
#include "smtp/smtp_model.h"

#include "base/base64.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "login/login_name.h"
#include "run/net.h"
#include "smtp/smtp_grammar.h"
#include "smtp/smtp_in_testing.h"

enum state { NEW, GREETED, MAIL, RCPT, BDAT }; /* RFC 5321 4.1.4 */

struct reach { struct msg_rcpt_check_r answer; }; /* of an accepted RCPT, for LMTP */

struct model {
    struct smtp_model *out;
    struct arena *mem;
    enum service_id service;
    bool loopback, tls_possible;
    /* the connection */
    struct span in;         /* what is not read yet, marks included */
    struct str flight;
    bool tls, login, over;
    enum state state;
    unsigned errors, idle;
    int code;
    /* the transaction */
    struct span sender;
    uint64_t size;
    uint32_t flags, ret;
    struct span envid;
    VEC(struct reach) reach;
    VEC(struct msg_ingest_target) targets;
    VEC(struct msg_ingest_remote) remotes;
    VEC(struct msg_ingest_note) notes;
    struct str chunks;      /* BDAT: all octets so far */
    uint64_t taken;
};

/* ---- input --------------------------------------------------------------------------------------------------------------- */

/* What was read so far goes out together; then what the client does. An end of file in TLS is a broken TLS: it may take with
 * it the replies that are under way. */
static void end_flight(struct model *m, enum session_then then)
{
    struct smtp_model *o = m->out;
    bool wait = then != SESSION_END || m->tls;
    o->flights[o->n++] = (struct session_flight){.bytes = str_span(&m->flight), .then = then,
                                                 .heard = wait ? smtp_model_heard : NULL, .n = o->replies};
    str_init(&m->flight, m->mem);
}

/* Everything that is left is said, and nothing of it is heard. */
static void give_up(struct model *m)
{
    for (size_t i = 0; i < m->in.n; i++)
        if (m->in.p[i] != SMTP_MODEL_TLS && m->in.p[i] != SMTP_MODEL_CLEAR)
            str_addc(&m->flight, m->in.p[i]);
    m->in = SPAN_NONE;
    m->over = true;
}

/* The next octet, or -1 at the end. */
static int next(struct model *m)
{
    while (m->in.n > 0) {
        unsigned char c = (unsigned char)m->in.p[0];
        m->in = span_from(m->in, 1);
        if (c == SMTP_MODEL_CLEAR && m->tls && m->out->n < SMTP_MODEL_FLIGHTS - 1) {
            end_flight(m, SESSION_CLEAR);
            give_up(m);
            return -1;
        }
        if (c == SMTP_MODEL_CLEAR || c == SMTP_MODEL_TLS)
            continue;
        str_addc(&m->flight, (char)c);
        return c;
    }
    m->over = true;
    return -1;
}

/* Up to and with the next LF; false: the input ends before. */
static bool next_line(struct model *m, struct str *line)
{
    int c = 0;
    str_init(line, m->mem);
    while (c != '\n' && (c = next(m)) >= 0)
        str_addc(line, (char)c);
    return c == '\n';
}

/* ---- answers ------------------------------------------------------------------------------------------------------------- */

static void reply(struct model *m, int code)
{
    str_addf(&m->out->codes, m->out->replies++ > 0 ? " %d" : "%d", code);
    m->code = code;
}

static void reset(struct model *m)
{
    m->sender = m->envid = SPAN_NONE;
    m->size = m->taken = m->flags = m->ret = 0;
    m->reach.n = m->targets.n = m->remotes.n = m->notes.n = 0;
    str_init(&m->chunks, m->mem);
    if (m->state != NEW)
        m->state = GREETED;
}

static bool submits(const struct model *m)
{
    return m->service == SERVICE_submission || m->service == SERVICE_submissions || m->service == SERVICE_sendmail;
}

/* ---- MAIL and RCPT ------------------------------------------------------------------------------------------------------- */

static int syntax_code(ptrdiff_t error)
{
    return error == SMTP_8BIT ? 553 : error == SMTP_PARAM_UNKNOWN ? 555 : 501;
}

static unsigned extensions(const struct model *m)
{
    return SMTP_EXT_CORE | SMTP_EXT_UTF8 | (submits(m) ? SMTP_EXT_AUTH | SMTP_EXT_DSN : 0);
}

static struct span written(const struct smtp_path *p)
{
    return p->domain.n == 0 ? p->local : span_of(p->local.p, (size_t)(p->domain.p + p->domain.n - p->local.p));
}

static struct span unquoted(struct model *m, const struct smtp_path *p)
{
    struct str s;
    str_init(&s, m->mem);
    smtp_grammar_address(&s, p);
    return str_span(&s);
}

static bool own(struct span address)
{
    return span_eq_nocase(address, SPAN("bob@example.test")) || smtp_in_testing_owns(address);
}

static struct span decoded(struct model *m, void (*decode)(struct str *, struct span), struct span text)
{
    struct str s;
    str_init(&s, m->mem);
    if (text.n > 0)
        decode(&s, text);
    return str_span(&s);
}

static void run_mail(struct model *m, struct span args)
{
    struct smtp_path path;
    struct smtp_params p;
    ptrdiff_t r = smtp_grammar_mail(args, extensions(m), &path, &p);
    if (r < 0)
        return reply(m, syntax_code(r));
    if (p.size > (uint64_t)LIMIT(MESSAGE_BYTES))
        return reply(m, 552);
    if (m->login && !path.null && !own(unquoted(m, &path)))
        return reply(m, 550);
    m->sender = written(&path);
    m->size = p.size;
    m->flags = (p.utf8 ? ENVELOPE_SMTPUTF8 : 0) | (p.body == SMTP_BODY_8BITMIME ? ENVELOPE_8BIT : 0) |
               (m->login ? ENVELOPE_VERIFIED : 0);
    m->ret = p.ret;
    m->envid = decoded(m, smtp_param_xtext, p.envid);
    m->state = MAIL;
    reply(m, 250);
}

static void add_remote(struct model *m, struct msg_ingest_remote r)
{
    for (size_t i = 0; i < m->remotes.n; i++)
        if (span_eq(m->remotes.v[i].address, r.address) && span_eq(m->remotes.v[i].via, r.via))
            return;
    *VEC_PUSH(&m->remotes) = r;
}

/* A recipient elsewhere, of a login; the code. */
static int elsewhere(struct model *m, const struct smtp_path *path, struct msg_ingest_remote r)
{
    char domain[LOGIN_NAME_DOMAIN], local[LOGIN_NAME_LOCAL];
    struct span address = unquoted(m, path);
    size_t d = login_name_fold_domain(path->domain, domain);
    size_t l = login_name_fold_local(span_sub(address, 0, (size_t)span_rfind_char(address, '@')), local);
    r.domain = path->domain;
    if (path->domain.p[0] != '[') {
        r.domain = arena_copy(m->mem, span_of(domain, d));
        if (span_eq(r.domain, SPAN("null.example")))
            return 556;
        if (!span_eq(r.domain, SPAN("other.example")) && !span_eq(r.domain, SPAN("slow.example")) &&
            !span_eq(r.domain, SPAN("bare.example")))
            return 550;
    }
    if (span_eq(span_of(local, l), SPAN("enough")))
        return 450;
    add_remote(m, r);
    return 250;
}

/* RFC 3461 5.2.7: what is reported when our part ends, and what others are still to report. */
static void add_local(struct model *m, const struct msg_rcpt_check_r *answer, struct span address, struct span orcpt,
                      uint32_t notify)
{
    bool many = answer->flags & RCPT_EXPANDED, success = notify & DSN_SUCCESS;
    if (success && (many || answer->forwards.n == 0))
        *VEC_PUSH(&m->notes) = (struct msg_ingest_note){address, many ? DSN_EXPANDED : DSN_DELIVERED, orcpt};
    if (many && success)
        notify = notify == DSN_SUCCESS ? DSN_NEVER : notify ^ DSN_SUCCESS;
    for (uint32_t i = 0; i < answer->targets.n; i++) {
        size_t at = 0;
        while (at < m->targets.n && m->targets.v[at].account != answer->targets.v[i].account)
            at++;
        if (at == m->targets.n)
            *VEC_PUSH(&m->targets) = (struct msg_ingest_target){.account = answer->targets.v[i].account};
    }
    for (uint32_t i = 0; i < answer->forwards.n; i++)
        add_remote(m, (struct msg_ingest_remote){answer->forwards.v[i].address, answer->forwards.v[i].domain, notify, orcpt,
                                                 answer->forwards.v[i].via});
    *VEC_PUSH(&m->reach) = (struct reach){*answer};
}

static int recipient(struct model *m, struct span args)
{
    struct smtp_path path;
    struct smtp_params p;
    struct msg_rcpt_check_r answer;
    unsigned char ip[16], here[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7};
    unsigned ext = extensions(m) & ~(m->flags & ENVELOPE_SMTPUTF8 ? 0u : SMTP_EXT_UTF8);
    ptrdiff_t r = smtp_grammar_rcpt(args, ext, &path, &p);
    if (r < 0)
        return syntax_code(r);
    if (span_find_char(path.local, '@') >= 0)
        return 550;
    if (m->loopback)
        memcpy(here + 12, "\x7f\0\0\1", 4);
    struct span ask = unquoted(m, &path);
    bool literal = path.domain.n > 0 && path.domain.p[0] == '[', ours = false;
    struct span text = literal ? span_sub(path.domain, 1, path.domain.n - 2) : SPAN_NONE;
    if (literal && net_address(span_from(text, span_starts_nocase(text, SPAN("IPv6:")) ? 5 : 0), ip) == 0)
        ours = memcmp(ip, here, 16) == 0;
    if (ours) /* RFC 5321 4.1.3, 4.5.1 */
        ask = span_eq_nocase(path.local, SPAN("postmaster")) ? path.local : SPAN("nobody@mx.example.test");
    smtp_in_testing_rcpt(ask, &answer);
    struct span orcpt = decoded(m, smtp_param_orcpt, p.orcpt);
    if (answer.status == RCPT_NOT_OURS && m->login && !ours)
        return elsewhere(m, &path, (struct msg_ingest_remote){.address = written(&path), .notify = p.notify, .orcpt = orcpt});
    if (answer.status != RCPT_OK)
        return 550;
    for (uint32_t i = 0; i < answer.targets.n; i++)
        if (m->size > (uint64_t)smtp_in_testing_room(answer.targets.v[i].account))
            return 452;
    add_local(m, &answer, written(&path), orcpt, p.notify);
    return 250;
}

static void run_rcpt(struct model *m, struct span args)
{
    int code = recipient(m, args);
    if (code == 250)
        m->state = RCPT;
    reply(m, code);
}

/* ---- the end of a message ------------------------------------------------------------------------------------------------ */

/* SEC-02: an LF without CR in front, a CR without LF behind, a NUL. Where it is, or -1. whole: no more is to come. */
static ptrdiff_t first_bad(struct span s, bool whole)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 0 || (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) ||
            (s.p[i] == '\r' && (i + 1 < s.n ? s.p[i + 1] != '\n' : whole)))
            return (ptrdiff_t)i;
    return -1;
}

/* enum envelope_flag: what the message needs of the hosts on its way, whatever was said of it. */
static uint32_t needs(const struct model *m, struct span text)
{
    bool utf8 = !utf8_ascii(m->sender);
    for (size_t i = 0; i < m->remotes.n; i++)
        utf8 = utf8 || !utf8_ascii(m->remotes.v[i].address);
    return (m->flags & ~(uint32_t)ENVELOPE_8BIT & ~(utf8 ? 0 : (uint32_t)ENVELOPE_SMTPUTF8)) |
           (smtp_in_testing_flags(text) != 0 ? ENVELOPE_8BIT : 0);
}

/* Stores it for these targets; 0 or the code. */
static int ingest(struct model *m, const struct msg_ingest_target *v, size_t n, bool all, struct span text)
{
    struct fail f;
    struct msg_ingest in = {.sender = m->sender, .envelope_flags = needs(m, text), .envid = m->envid, .ret = m->ret,
                            .handle = m->login ? SPAN("0123456789abcdef") : SPAN_NONE, .targets = {(void *)(uintptr_t)v, (uint32_t)n}};
    if (all) {
        in.remotes.v = m->remotes.v;
        in.remotes.n = (uint32_t)m->remotes.n;
        in.notes.v = m->notes.v;
        in.notes.n = (uint32_t)m->notes.n;
    }
    if (smtp_in_testing_keeps(&in, &f) < 0)
        return f.kind == FAIL_TEMP ? 452 : 550;
    smtp_in_testing_line(&m->out->stored, &in, text);
    return 0;
}

/* RFC 6409 6.1, SEC-15: the code that the From fields call for, or 0. */
static int authors(const struct model *m, struct span text)
{
    size_t n = 0;
    bool good = true;
    while (text.n > 0) {
        struct span line = span_trim(span_split(&text, '\n'));
        if (!span_starts(line, SPAN("From: ")))
            continue;
        n++;
        struct span author = span_from(line, 6);
        good = good && (span_eq_nocase(author, m->sender) || own(author));
    }
    return n != 1 ? 554 : good ? 0 : 550;
}

/* RFC 2033 4.2: one that cannot have it keeps it from nobody else. */
static void store_each(struct model *m, struct span text, int all)
{
    VEC(uint64_t) has = {0};
    bool split = all == 452 || all == 550;
    split = split && m->reach.n > 1 && m->remotes.n == 0;
    for (size_t i = 0; i < m->reach.n; i++) {
        const struct msg_rcpt_check_r *a = &m->reach.v[i].answer;
        VEC(struct msg_ingest_target) v = {0};
        int code = all;
        for (uint32_t k = 0; k < a->targets.n; k++) {
            size_t at = 0;
            while (at < has.n && has.v[at] != a->targets.v[k].account)
                at++;
            if (at == has.n)
                *VEC_PUSH(&v) = (struct msg_ingest_target){.account = a->targets.v[k].account};
        }
        if (split && (code = v.n == 0 ? 0 : ingest(m, v.v, v.n, false, text)) == 0)
            for (size_t k = 0; k < v.n; k++)
                *VEC_PUSH(&has) = v.v[k].account;
        reply(m, code == 0 ? 250 : code);
        VEC_FREE(&v);
    }
    VEC_FREE(&has);
}

/* bad, big: what is wrong with it. last: it was to end here. */
static void finish(struct model *m, struct span text, bool bad, bool big, bool last)
{
    int code = bad ? 550 : big ? 552 : m->login ? authors(m, text) : 0;
    bool mailbox = false;
    if (code == 0) {
        code = ingest(m, m->targets.v, m->targets.n, true, text);
        mailbox = code != 0;
    }
    if (code == 0)
        m->errors = m->idle = 0;
    if (m->service == SERVICE_lmtp && last && (code == 0 || mailbox))
        store_each(m, text, code);
    else if (m->service == SERVICE_lmtp && last)
        for (size_t i = 0; i < m->reach.n; i++)
            reply(m, code);
    else
        reply(m, code == 0 ? 250 : code);
    if (bad)
        give_up(m);
    reset(m);
}

static void run_data(struct model *m)
{
    struct str text;
    bool line = true; /* at the start of one */
    str_init(&text, m->mem);
    reply(m, 354);
    struct str raw;
    str_init(&raw, m->mem);
    for (int c; (c = next(m)) >= 0;) {
        str_addc(&raw, (char)c);
        struct span s = str_span(&raw);
        if (first_bad(s, false) >= 0)
            return finish(m, SPAN_NONE, true, false, true);
        line = s.n == 3 || (s.n >= 5 && span_eq(span_sub(s, s.n - 5, 2), SPAN("\r\n")));
        if (line && s.n >= 3 && span_eq(span_from(s, s.n - 3), SPAN(".\r\n")))
            break;
    }
    if (m->over)
        return;
    for (size_t i = 0; i + 3 < raw.n; i++) /* RFC 5321 4.5.2 */
        if (raw.p[i] != '.' || (i > 0 && raw.p[i - 1] != '\n'))
            str_addc(&text, raw.p[i]);
    finish(m, str_span(&text), false, text.n > (size_t)LIMIT(MESSAGE_BYTES), true);
}

/* RFC 3030 2: the octets of a BDAT that does not belong here. */
static void swallow(struct model *m, struct span args)
{
    uint64_t size;
    bool last;
    if (smtp_grammar_bdat(args, &size, &last) < 0)
        return give_up(m);
    while (size > 0 && next(m) >= 0)
        size--;
}

static void run_bdat(struct model *m, struct span args)
{
    uint64_t size;
    bool last;
    if (smtp_grammar_bdat(args, &size, &last) < 0) {
        reply(m, 501);
        return give_up(m);
    }
    bool big = size > (uint64_t)LIMIT(MESSAGE_BYTES) - m->taken;
    for (uint64_t i = 0; i < size; i++) {
        int c = next(m);
        if (c < 0)
            return;
        str_addc(&m->chunks, (char)c);
    }
    struct span all = str_span(&m->chunks);
    bool held = all.n > 0 && all.p[all.n - 1] == '\r'; /* a CR whose LF may still come */
    bool bad = first_bad(all, last) >= 0;
    m->taken = all.n - held;
    big = big || m->taken > (uint64_t)LIMIT(MESSAGE_BYTES);
    if (last || bad || big) {
        if (!bad && !big && all.n > 0 && all.p[all.n - 1] != '\n')
            str_addz(&m->chunks, "\r\n");
        return finish(m, str_span(&m->chunks), bad, big, last);
    }
    m->state = BDAT;
    reply(m, 250);
}

/* ---- AUTH and STARTTLS --------------------------------------------------------------------------------------------------- */

static bool has_mech(struct span name)
{
    static const char *const names[] = {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (span_eq_nocase(name, span_z(names[i])))
            return true;
    return false;
}

static void run_auth(struct model *m, struct span args)
{
    struct span text = args, name = span_split(&text, ' ');
    struct msg_sasl_r out = {0};
    struct str bytes, line;
    if (m->login)
        return reply(m, 503);
    if (name.n == 0)
        return reply(m, 501);
    if (!has_mech(name))
        return reply(m, 504);
    if (!m->tls && !m->loopback)
        return reply(m, 538);
    if (span_ends_nocase(name, SPAN("-PLUS")) && !m->tls) /* RFC 5802 6 */
        return reply(m, 504);
    if (span_eq(text, SPAN("=")))
        return reply(m, 501);
    for (;;) {
        str_init(&bytes, m->mem);
        if (span_eq(text, SPAN("*")) || base64_decode(&bytes, text) < 0)
            return reply(m, 501);
        struct msg_sasl ask = {.dialog = out.dialog, .response = str_span(&bytes)};
        smtp_in_testing_sasl(&ask, &out);
        if (out.state != SASL_MORE)
            break;
        reply(m, 334);
        if (!next_line(m, &line))
            return;
        text = str_span(&line);
        if (text.n > (size_t)LIMIT(SASL_LINE)) {
            reply(m, 500);
            return give_up(m);
        }
        text.n -= text.n >= 2 && text.p[text.n - 2] == '\r' ? 2 : 0;
    }
    m->login = out.state == SASL_OK;
    reply(m, out.state == SASL_OK ? 235 : out.state == SASL_BUSY ? 454 : out.state == SASL_SYNTAX ? 501 : 535);
}

static void run_starttls(struct model *m)
{
    if (!m->tls_possible)
        return reply(m, 454);
    reply(m, 220);
    /* SEC-04: only a handshake may come now */
    if (m->in.n == 0 || m->in.p[0] != SMTP_MODEL_TLS || m->out->n >= SMTP_MODEL_FLIGHTS - 1)
        return give_up(m);
    m->in = span_from(m->in, 1);
    end_flight(m, SESSION_TLS);
    m->tls = true;
    m->login = false;
    m->state = NEW;
    reset(m);
    m->state = NEW;
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

/* EHLO, HELO, LHLO */
static void run_hello(struct model *m, struct span args)
{
    struct span name;
    if (smtp_grammar_helo(args, &name) < 0 || name.n >= 256)
        return reply(m, 501);
    m->state = GREETED;
    reset(m);
    reply(m, 250);
}

static void run_quit(struct model *m)
{
    reply(m, 221);
    if (m->tls) /* what is sent behind it could take the reply with it */
        m->in = SPAN_NONE;
    give_up(m);
}

enum verb { EHLO, HELO, LHLO, MAIL_, RCPT_, DATA, BDAT_, RSET, VRFY, EXPN, HELP, NOOP, QUIT, STARTTLS, AUTH, NONE };
static const char *const verbs[] = {"EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
                                    "VRFY", "EXPN", "HELP", "NOOP", "QUIT", "STARTTLS", "AUTH"};

static enum verb verb_of(const struct model *m, struct span word)
{
    size_t v = 0;
    while (v < NONE && !span_eq_nocase(word, span_z(verbs[v])))
        v++;
    bool lmtp = m->service == SERVICE_lmtp;
    bool there = v == EHLO || v == HELO ? !lmtp
                 : v == LHLO            ? lmtp
                 : v == AUTH            ? submits(m) && m->service != SERVICE_sendmail
                 : v == STARTTLS        ? m->service != SERVICE_submissions && m->service != SERVICE_sendmail
                                        : true;
    return there ? (enum verb)v : NONE;
}

/* What is wrong with it here: a code, or 0. */
static int refusal(const struct model *m, enum verb v, struct span args)
{
    bool wants_login = v == MAIL_ || v == RCPT_ || v == DATA || v == BDAT_ || v == VRFY || v == EXPN;
    bool no_args = v == DATA || v == RSET || v == QUIT || v == STARTTLS;
    bool here = v == MAIL_ || v == AUTH ? m->state == GREETED
                : v == RCPT_            ? m->state == MAIL || m->state == RCPT
                : v == DATA             ? m->state == RCPT
                : v == BDAT_            ? m->state == RCPT || m->state == BDAT
                                        : true;
    if (wants_login && submits(m) && !m->login)
        return 530;
    if (!here)
        return 503;
    if (no_args && args.n > 0)
        return 501;
    return v == STARTTLS && m->tls ? 503 : 0;
}

static void run(struct model *m, enum verb v, struct span args)
{
    switch (v) {
    case EHLO: case HELO: case LHLO: return run_hello(m, args);
    case MAIL_: return run_mail(m, args);
    case RCPT_: return run_rcpt(m, args);
    case DATA: return run_data(m);
    case BDAT_: return run_bdat(m, args);
    case RSET: reset(m); return reply(m, 250);
    case VRFY: return reply(m, args.n == 0 ? 501 : 252);
    case EXPN: return reply(m, 502);
    case HELP: return reply(m, 214);
    case NOOP: return reply(m, 250);
    case QUIT: return run_quit(m);
    case STARTTLS: return run_starttls(m);
    case AUTH: return run_auth(m, args);
    case NONE: break;
    }
}

static void command(struct model *m, struct span line)
{
    struct span word, args;
    if (smtp_grammar_command(line, &word, &args) < 0)
        return reply(m, 500);
    enum verb v = verb_of(m, word);
    if (v == NONE)
        return reply(m, 500);
    int wrong = refusal(m, v, args);
    if (wrong != 0) {
        reply(m, wrong);
        if (v == BDAT_)
            swallow(m, args);
        return;
    }
    if (v != MAIL_ && v != RCPT_ && v != DATA && v != BDAT_ && v != QUIT && v != STARTTLS)
        m->idle++;
    run(m, v, args);
}

/* What a command cost (REL-07). */
static void account(struct model *m)
{
    if (m->code >= 500)
        m->errors++;
    else if (m->code >= 400 && m->code != 452)
        m->idle++;
    if (m->errors < LIMIT(SMTP_ERRORS_HARD) && m->idle <= LIMIT(SMTP_IDLE_COMMANDS))
        return;
    reply(m, 421);
    give_up(m);
}

static void turn(struct model *m)
{
    struct str line;
    if (!next_line(m, &line))
        return;
    struct span s = str_span(&line);
    size_t most = (size_t)LIMIT(SMTP_LINE);
    if (submits(m) && !m->login) /* RFC 4954 4: an initial response is as long as any */
        most = MAX_OF(most, (size_t)LIMIT(SASL_LINE));
    if (s.n > most) {
        reply(m, 500);
    } else {
        s.n -= s.n >= 2 && s.p[s.n - 2] == '\r' ? 2 : 0;
        command(m, s);
    }
    if (!m->over)
        account(m);
}

void smtp_model_run(enum service_id service, bool loopback, bool tls, struct span input, struct smtp_model *out,
                    struct arena *mem)
{
    struct model m = {.out = out, .mem = mem, .service = service, .loopback = loopback, .tls_possible = tls,
                      .login = service == SERVICE_sendmail, .in = input};
    *out = (struct smtp_model){0};
    str_init(&out->codes, mem);
    str_init(&out->stored, mem);
    str_init(&m.flight, mem);
    reset(&m);
    reply(&m, 220);
    while (!m.over)
        turn(&m);
    end_flight(&m, SESSION_END);
    VEC_FREE(&m.reach);
    VEC_FREE(&m.targets);
    VEC_FREE(&m.remotes);
    VEC_FREE(&m.notes);
}
