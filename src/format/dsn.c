/* dsn: writes reports (see the header). Three parts: words for people, fields for programs, the message or its header.
 *
 * Only the third part holds the sender's bytes as they are; all else goes through add_clean or the texts below. */
#include "format/dsn.h"

#include "base/clock.h"
#include "base/qp.h"
#include "base/utf8.h"
#include "format/header.h"

enum { ACTIONS = 5, VALUE_MOST = 800, ID_MOST = 250, THREAD_MOST = 20 };
enum { FAILED, DELAYED, DELIVERED, RELAYED, EXPANDED }; /* enum dsn_action */

static const char *const action_names[ACTIONS] = {"failed", "delayed", "delivered", "relayed", "expanded"};
static const char *const default_status[ACTIONS] = {"5.0.0", "4.0.0", "2.0.0", "2.0.0", "2.0.0"};

struct words {
    const char *subject[ACTIONS];
    const char *about[ACTIONS]; /* with one %s: the address */
    const char *said, *reason, *until, *id, *whole, *header, *from;
};

static const struct words english = {
    {"Not delivered: ", "Not yet delivered: ", "Delivered: ", "Handed on: ", "Handed on: "},
    {"Your message to %s could not be delivered.", "Your message to %s is not delivered yet.",
     "Your message to %s is in the mailbox.", "Your message to %s was handed to the recipient's server.",
     "Your message to %s went on to several people."},
    "That server said:", "The reason:", "You need not do anything: we go on trying until", "This message's trace id here:",
    "The message is attached.", "The header of the message is attached.", "Mail Delivery System"};

static const struct words german = {
    {"Nicht zugestellt: ", "Noch nicht zugestellt: ", "Zugestellt: ", "Weitergereicht: ", "Weitergereicht: "},
    {"Ihre Nachricht an %s konnte nicht zugestellt werden.", "Ihre Nachricht an %s ist noch nicht zugestellt.",
     "Ihre Nachricht an %s liegt im Postfach.", "Ihre Nachricht an %s wurde dem Server des Empf\xc3\xa4ngers \xc3\xbc"
     "bergeben.", "Ihre Nachricht an %s ging an mehrere Personen weiter."},
    "Dieser Server sagte:", "Der Grund:", "Sie m\xc3\xbcssen nichts tun: wir versuchen es weiter bis",
    "Die Kennung dieser Nachricht hier:", "Die Nachricht ist angeh\xc3\xa4ngt.", "Der Kopf der Nachricht ist angeh\xc3\xa4ngt.",
    "Mail Delivery System"};

static const struct words *words_of(struct span lang)
{
    return span_starts_nocase(lang, SPAN("de")) ? &german : &english;
}

/* ---- what others wrote ---- */

/* SEC-10: no control characters; what is no UTF-8, or not ASCII where it must be, becomes `?`. */
static void add_clean(struct str *out, struct span s, size_t most, bool utf8)
{
    s = span_sub(s, 0, most);
    while (s.n > 0) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n == 1 && cp >= 32 && cp < 127)
            str_addc(out, (char)cp);
        else if (n > 1 && utf8 && cp >= 160 && !(cp >= 0x200e && cp <= 0x202e) && !(cp >= 0x2066 && cp <= 0x2069))
            str_add(out, span_sub(s, 0, n));
        else
            str_addc(out, n == 1 && (cp == '\t' || cp == '\r' || cp == '\n') ? ' ' : '?');
        s = span_from(s, MAX_OF(n, (size_t)1));
    }
}

void dsn_write_unitext(struct str *out, struct span s)
{
    while (s.n > 0) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n == 1 && cp > 32 && cp < 127 && cp != '\\')
            str_addc(out, (char)cp);
        else
            str_addf(out, "\\x{%02X}", n == 0 ? 0xfffdu : (unsigned)cp);
        s = span_from(s, MAX_OF(n, (size_t)1));
    }
}

/* RFC 6533 3: an address as it is, or with all that is not ASCII as \x{...}. */
static void add_address(struct str *out, struct span address, bool utf8)
{
    bool ascii = utf8_ascii(address);
    str_addz(out, ascii ? "rfc822; " : "utf-8; ");
    if (ascii || utf8) {
        add_clean(out, address, VALUE_MOST, utf8);
        return;
    }
    dsn_write_unitext(out, span_sub(address, 0, 320));
}

/* One field of the second part; folded where it may be, cut where no fold would do. */
static void field(struct str *out, const char *name, const struct str *value)
{
    struct span v = str_span(value);
    if (header_write(out, span_z(name), v) != 0 && header_write(out, span_z(name), span_sub(v, 0, 900)) != 0) {
        str_addz(out, name);
        str_addz(out, ": ?\r\n");
    }
    str_clear((struct str *)(uintptr_t)value);
}

static void date_field(struct str *out, const char *name, int64_t s, struct str *tmp)
{
    char date[32];
    clock_rfc5322(s, date);
    str_addz(tmp, date);
    field(out, name, tmp);
}

/* ---- the first part ---- */

static void add_quoted(struct str *out, struct span text)
{
    str_addz(out, "    ");
    add_clean(out, text, VALUE_MOST, true);
    str_addz(out, "\r\n");
}

static void tell_person(struct str *out, const struct words *w, const struct dsn_rcpt *r)
{
    const char *about = w->about[r->action], *hole = strstr(about, "%s");
    str_add(out, span_of(about, (size_t)(hole - about)));
    str_addc(out, '<');
    add_clean(out, r->address, 320, true);
    str_addc(out, '>');
    str_addz(out, hole + 2);
    str_addz(out, "\r\n");
    if (r->text.n > 0 || r->code != 0) {
        struct str line;
        str_init(&line, out->mem);
        str_addz(out, r->code != 0 ? w->said : w->reason);
        str_addz(out, "\r\n");
        if (r->host.n > 0)
            add_quoted(out, r->host);
        if (r->code != 0)
            str_addf(&line, "%u ", (unsigned)r->code);
        str_add(&line, r->status);
        str_addc(&line, ' ');
        str_add(&line, r->text);
        add_quoted(out, span_trim(str_span(&line)));
    }
    if (r->action == DELAYED && r->until_s > 0) {
        char date[32];
        clock_rfc5322(r->until_s, date);
        str_addf(out, "%s %s.\r\n", w->until, date);
    }
    str_addz(out, "\r\n");
}

static void person(struct str *out, const struct dsn *d, const struct words *w)
{
    struct str text;
    str_init(&text, out->mem);
    for (size_t i = 0; i < d->n; i++)
        tell_person(&text, w, &d->rcpts[i]);
    str_addz(&text, d->whole ? w->whole : w->header);
    str_addf(&text, "\r\n%s %.*s\r\n", w->id, SPAN_ARGS(d->trace));
    str_addz(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    qp_encode(out, str_span(&text));
}

/* ---- the second part ---- */

static void status_of(struct str *out, const struct dsn_rcpt *r)
{
    bool good = r->status.n >= 5 && r->status.n < 12 && r->status.p[1] == '.';
    for (size_t i = 0; i < r->status.n; i++)
        good &= (r->status.p[i] >= '0' && r->status.p[i] <= '9') || r->status.p[i] == '.';
    if (r->action == FAILED && r->code >= 400 && r->code < 500)
        str_addz(out, "4.4.7"); /* RFC 3463 3.5: it was tried for as long as we try */
    else if (good)
        str_add(out, r->status);
    else
        str_addz(out, default_status[r->action]);
}

/* "name [ip]" to the name. */
static struct span name_of(struct span host)
{
    struct span rest = host;
    return span_split(&rest, ' ');
}

static void program_rcpt(struct str *out, const struct dsn *d, const struct dsn_rcpt *r, struct str *tmp)
{
    str_addz(out, "\r\n");
    if (r->orcpt.n > 0) {
        add_clean(tmp, r->orcpt, VALUE_MOST, d->utf8);
        field(out, "Original-Recipient", tmp);
    }
    add_address(tmp, r->address, d->utf8);
    field(out, "Final-Recipient", tmp);
    str_addz(tmp, action_names[r->action]);
    field(out, "Action", tmp);
    status_of(tmp, r);
    field(out, "Status", tmp);
    if (r->host.n > 0) {
        str_addz(tmp, "dns; ");
        add_clean(tmp, name_of(r->host), 255, false);
        field(out, "Remote-MTA", tmp);
    }
    if (r->code != 0) {
        str_addf(tmp, "smtp; %u ", (unsigned)r->code);
        add_clean(tmp, r->status, 20, false);
        str_addc(tmp, ' ');
        add_clean(tmp, r->text, VALUE_MOST, d->utf8);
        field(out, "Diagnostic-Code", tmp);
    }
    date_field(out, "Last-Attempt-Date", r->at_s, tmp);
    if (r->action == DELAYED && r->until_s > 0)
        date_field(out, "Will-Retry-Until", r->until_s, tmp);
}

static void program(struct str *out, const struct dsn *d)
{
    struct str tmp;
    str_init(&tmp, out->mem);
    /* RFC 6533 4: the global form holds UTF-8; it goes only to who sent with SMTPUTF8 */
    str_addz(out, d->utf8 ? "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                          : "Content-Type: message/delivery-status\r\n\r\n");
    str_addz(&tmp, "dns; ");
    add_clean(&tmp, d->hostname, 255, false);
    field(out, "Reporting-MTA", &tmp);
    if (d->envid.n > 0) { /* RFC 3464 2.2.1 */
        add_clean(&tmp, d->envid, VALUE_MOST, false);
        field(out, "Original-Envelope-Id", &tmp);
    }
    date_field(out, "Arrival-Date", d->arrived_s, &tmp);
    for (size_t i = 0; i < d->n; i++)
        program_rcpt(out, d, &d->rcpts[i], &tmp);
}

/* ---- the third part ---- */

static void original(struct str *out, const struct dsn *d)
{
    const char *type = d->utf8 ? (d->whole ? "message/global" : "message/global-headers")
                               : (d->whole ? "message/rfc822" : "text/rfc822-headers");
    str_addf(out, "Content-Type: %s\r\n%s\r\n", type, d->eight_bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    str_add(out, d->original);
    if (d->original.n < 2 || d->original.p[d->original.n - 1] != '\n')
        str_addz(out, "\r\n");
}

/* ---- the whole ---- */

static uint32_t worst(const struct dsn *d)
{
    uint32_t at = ACTIONS - 1;
    for (size_t i = 0; i < d->n; i++)
        at = MIN_OF(at, d->rcpts[i].action);
    return at;
}

static void subject(struct str *out, const struct dsn *d, const struct words *w, struct str *tmp)
{
    uint32_t action = worst(d);
    str_addz(tmp, w->subject[action]);
    for (size_t i = 0; i < d->n; i++) {
        if (d->rcpts[i].action == action) {
            add_clean(tmp, d->rcpts[i].address, 320, d->utf8);
            break;
        }
    }
    if (d->n > 1)
        str_addz(tmp, ", ...");
    field(out, "Subject", tmp);
}

/* An id that can stand in a field as it is; what is none would make this report belong to another message. */
static bool good_id(struct span id, bool utf8)
{
    bool good = id.n > 0 && id.n <= ID_MOST && (utf8_ascii(id) || (utf8 && utf8_valid(id)));
    for (size_t i = 0; i < id.n; i++)
        good &= (unsigned char)id.p[i] > 32 && id.p[i] != 127 && id.p[i] != '<' && id.p[i] != '>';
    return good;
}

/* RFC 3834 3.1.5, RFC 5322 3.6.4: a report answers the message that it is about. */
static void thread(struct str *out, const struct dsn *d, struct str *tmp)
{
    if (d->n_thread == 0 || !good_id(d->thread[d->n_thread - 1], d->utf8))
        return;
    str_addf(tmp, "<%.*s>", SPAN_ARGS(d->thread[d->n_thread - 1]));
    field(out, "In-Reply-To", tmp);
    for (size_t i = d->n_thread > THREAD_MOST ? d->n_thread - THREAD_MOST : 0; i < d->n_thread; i++)
        if (good_id(d->thread[i], d->utf8))
            str_addf(tmp, tmp->n > 0 ? " <%.*s>" : "<%.*s>", SPAN_ARGS(d->thread[i]));
    field(out, "References", tmp);
}

static void head(struct str *out, const struct dsn *d, const struct words *w)
{
    struct str tmp;
    str_init(&tmp, out->mem);
    date_field(out, "Date", d->now_s, &tmp);
    str_addf(&tmp, "%s <MAILER-DAEMON@", w->from);
    add_clean(&tmp, d->hostname, 255, false);
    str_addc(&tmp, '>');
    field(out, "From", &tmp);
    str_addc(&tmp, '<');
    add_clean(&tmp, d->to, 320, d->utf8);
    str_addc(&tmp, '>');
    field(out, "To", &tmp);
    subject(out, d, w, &tmp);
    str_addf(&tmp, "<%.*s@", SPAN_ARGS(d->id));
    add_clean(&tmp, d->hostname, 255, false);
    str_addc(&tmp, '>');
    field(out, "Message-ID", &tmp);
    thread(out, d, &tmp);
    str_addz(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"); /* RFC 3834 5 */
    /* RFC 6522 3: the report's type is that of its second part */
    str_addf(out, "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%.*s\"\r\n\r\n", SPAN_ARGS(d->boundary));
}

void dsn_write(struct str *out, const struct dsn *d)
{
    const struct words *w = words_of(d->lang);
    head(out, d, w);
    str_addf(out, "--%.*s\r\n", SPAN_ARGS(d->boundary));
    person(out, d, w);
    str_addf(out, "\r\n--%.*s\r\n", SPAN_ARGS(d->boundary));
    program(out, d);
    str_addf(out, "\r\n--%.*s\r\n", SPAN_ARGS(d->boundary));
    original(out, d);
    str_addf(out, "\r\n--%.*s--\r\n", SPAN_ARGS(d->boundary));
}
