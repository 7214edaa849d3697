/* Header by header, then the rest: everything goes through once. */
#include "admin/sendmail_text.h"

#include "base/clock.h"
#include "base/rand.h"
#include "format/address.h"
#include "format/header.h"
#include "format/header_name.h"

/* Line ends as mail has them; what else could be taken for one is refused. */
static int to_crlf(struct sendmail_text *t, struct str *out, struct fail *f)
{
    struct span rest = t->raw;
    while (rest.n > 0) {
        struct span line = span_split(&rest, '\n');
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (span_find_char(line, '\r') >= 0 || span_find_char(line, 0) >= 0)
            return fail_perm(f, "5.6.0", "The message holds a NUL, or a CR inside a line");
        for (size_t i = 0; i < line.n; i++)
            t->eight_bit |= (unsigned char)line.p[i] >= 0x80;
        str_add(out, line);
        str_addz(out, "\r\n");
    }
    return 0;
}

static void take_addresses(struct sendmail_text *t, struct span value)
{
    struct address_reader r;
    struct address a;
    address_begin(&r, value, t->mem);
    while (address_next(&r, &a)) {
        struct str whole;
        if (a.kind != ADDRESS_MAILBOX || a.local.n == 0)
            continue;
        str_init(&whole, t->mem);
        str_add(&whole, a.local);
        str_addc(&whole, '@');
        str_add(&whole, a.domain.n > 0 ? a.domain : t->domain);
        *VEC_PUSH(&t->to) = str_span(&whole);
    }
}

/* RFC 5322 3.2.4: a display name that is no atom is quoted. */
static void add_name(struct str *v, struct span name)
{
    if (name.n == 0)
        return;
    str_addc(v, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\')
            str_addc(v, '\\');
        if ((unsigned char)name.p[i] >= 32)
            str_addc(v, name.p[i]);
    }
    str_addz(v, "\" ");
}

static int add_from(struct sendmail_text *t, struct span name)
{
    struct str from;
    str_init(&from, t->mem);
    add_name(&from, name);
    str_addf(&from, "<%.*s>", SPAN_ARGS(t->sender));
    return header_write(&t->out, SPAN("From"), str_span(&from));
}

/* "From: root (Cron Daemon)": the user alone, without a domain. */
static bool is_user_alone(struct sendmail_text *t, struct span value, struct span *name)
{
    struct address_reader r;
    struct address a, second;
    address_begin(&r, value, t->mem);
    if (t->user.n == 0 || t->sender.n == 0 || !address_next(&r, &a) || a.kind != ADDRESS_MAILBOX || a.domain.n > 0
        || !span_eq(a.local, t->user) || address_next(&r, &second))
        return false;
    *name = t->name.n > 0 ? t->name : a.name;
    return true;
}

/* RFC 6409 8: what a message must have. */
static int add_missing(struct sendmail_text *t, const bool *seen, struct fail *f)
{
    char date[32], id[13];
    struct op_id op = rand_op_id();
    clock_rfc5322(t->now_s, date);
    rand_trace_id(&op, id);
    struct span msgid = arena_printf(t->mem, "<%s@%.*s>", id, SPAN_ARGS(t->host));
    if ((!seen[HEADER_FROM] && add_from(t, t->name) != 0) ||
        (!seen[HEADER_DATE] && header_write(&t->out, SPAN("Date"), span_z(date)) != 0) ||
        (!seen[HEADER_MESSAGE_ID] && header_write(&t->out, SPAN("Message-ID"), msgid) != 0))
        return fail_perm(f, "5.6.0", "The sender makes no From field: %.60s", arena_z(t->mem, t->sender));
    return 0;
}

int sendmail_text_make(struct sendmail_text *t, struct fail *f)
{
    struct str text;
    struct header_reader r;
    struct header_field field;
    bool seen[HEADER_NAME_COUNT] = {false};
    str_init(&text, t->mem);
    str_init(&t->out, t->mem);
    if (to_crlf(t, &text, f) < 0)
        return -1;
    header_begin(&r, str_span(&text));
    while (header_next(&r, &field)) {
        enum summary_header name = header_name_find(field.name);
        seen[name] = true;
        if (t->recipients && (name == HEADER_TO || name == HEADER_CC || name == HEADER_BCC))
            take_addresses(t, field.value);
        struct span display;
        if (name == HEADER_FROM && is_user_alone(t, field.value, &display))
            seen[name] = add_from(t, display) == 0;
        else if (name != HEADER_BCC)
            str_add(&t->out, span_sub(str_span(&text), field.at, field.length));
    }
    size_t body = r.at;
    if (add_missing(t, seen, f) < 0)
        return -1;
    str_addz(&t->out, "\r\n"); /* the reader is behind the empty line, or there was none */
    str_add(&t->out, span_from(str_span(&text), body));
    return 0;
}
