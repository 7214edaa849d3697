#include "format/submit.h"

#include "base/limits.h"
#include "format/address.h"
#include "format/edit.h"
#include "format/header.h"

enum field { FROM, SENDER, RESENT_FROM, RESENT_SENDER, AUTHORS, BCC = AUTHORS, RESENT_BCC, RETURN_PATH, DATE, MESSAGE_ID, OTHER };

enum { AUTHORS_BYTES = 32 * 1024 };

static const char *const names[] = {
    [FROM] = "From", [SENDER] = "Sender", [RESENT_FROM] = "Resent-From", [RESENT_SENDER] = "Resent-Sender", [BCC] = "Bcc",
    [RESENT_BCC] = "Resent-Bcc", [RETURN_PATH] = "Return-Path", [DATE] = "Date", [MESSAGE_ID] = "Message-ID",
};

struct work {
    struct submit *out;
    struct str edits, authors[AUTHORS];
    unsigned froms;
    bool date, msgid;
    struct arena *mem;
};

static enum field field_of(struct span name)
{
    for (int i = 0; i < OTHER; i++)
        if (span_eq_nocase(name, span_z(names[i])))
            return (enum field)i;
    return OTHER;
}

/* False: the field holds no address, or one that is none. */
static bool add_authors(struct str *to, struct span value, struct arena *mem)
{
    struct address_reader r;
    struct address a;
    bool any = false, fine = true;
    address_begin(&r, value, mem);
    while (address_next(&r, &a)) {
        if (a.kind != ADDRESS_MAILBOX)
            continue;
        any = true;
        if (a.local.n == 0 || a.domain.n == 0 || span_find_char(a.local, '\n') >= 0 || span_find_char(a.domain, '\n') >= 0) {
            fine = false;
            continue;
        }
        str_add(to, a.local);
        str_addc(to, '@');
        str_add(to, a.domain);
        str_addc(to, '\n');
    }
    return any && fine && !r.truncated;
}

static void take(struct work *w, const struct header_field *f)
{
    enum field which = field_of(f->name);
    switch (which) {
    case FROM:
        w->froms++;
        if (!add_authors(&w->authors[FROM], f->value, w->mem))
            w->out->faults |= SUBMIT_BAD_FROM;
        break;
    case SENDER: case RESENT_FROM: case RESENT_SENDER:
        if (!add_authors(&w->authors[which], f->value, w->mem))
            w->out->faults |= SUBMIT_BAD_FROM;
        break;
    case BCC: case RESENT_BCC: case RETURN_PATH: edit_cut(&w->edits, (uint32_t)f->at, (uint32_t)f->length); break;
    case DATE: w->date = true; break;
    case MESSAGE_ID: w->msgid = true; break;
    case OTHER: break;
    }
}

/* Behind the last field. gap: no empty line follows, though a body does. */
static void add_missing(struct work *w, size_t at, bool gap, struct span date, struct span msgid)
{
    struct str fields;
    str_init(&fields, w->mem);
    if (!w->date)
        str_addf(&fields, "Date: %.*s\r\n", SPAN_ARGS(date));
    if (!w->msgid)
        str_addf(&fields, "Message-ID: %.*s\r\n", SPAN_ARGS(msgid));
    if (gap)
        str_addz(&fields, "\r\n");
    if (fields.n > 0)
        edit_insert(&w->edits, (uint32_t)at, str_span(&fields));
}

void submit_read(struct span message, struct span date, struct span msgid, struct submit *out, struct arena *mem)
{
    struct work w = {.out = out, .mem = mem};
    struct header_reader r;
    struct header_field f;
    struct str all;
    size_t end = 0, fields = 0;
    *out = (struct submit){0};
    str_init(&w.edits, mem);
    str_init(&all, mem);
    for (int i = 0; i < AUTHORS; i++)
        str_init(&w.authors[i], mem);
    header_begin(&r, message);
    while (header_next(&r, &f)) {
        take(&w, &f);
        end = f.at + f.length;
        fields++;
    }
    /* a field that we do not look at could be a second From: the header is refused, not cut */
    if (r.truncated || fields > (size_t)LIMIT(HEADER_FIELDS))
        out->faults |= SUBMIT_FULL;
    out->faults |= w.froms == 0 ? SUBMIT_NO_FROM : w.froms > 1 ? SUBMIT_MANY_FROM : 0;
    bool empty_line = span_starts(span_from(message, end), SPAN("\r\n")) || span_starts(span_from(message, end), SPAN("\n"));
    add_missing(&w, end, !empty_line && (end < message.n || !w.date || !w.msgid), date, msgid);
    for (int i = 0; i < AUTHORS; i++)
        str_add(&all, str_span(&w.authors[i]));
    if (all.n > AUTHORS_BYTES)
        out->faults |= SUBMIT_FULL;
    if (out->faults & SUBMIT_FULL) /* it is refused: what was found may be more than a frame holds */
        return;
    out->authors = str_span(&all);
    out->edits = str_span(&w.edits);
}
