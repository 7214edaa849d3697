/* envelope: gathers header fields and writes them as IMAP's ENVELOPE. */
#include "format/envelope.h"

#include "format/address.h"
#include "format/header.h"

void envelope_take(struct envelope *e, enum summary_header name, struct span value, struct arena *mem)
{
    if (name == HEADER_OTHER || name > HEADER_IN_REPLY_TO)
        return;
    if (name > HEADER_BCC) {
        if (e->text[name].p == NULL)
            e->text[name] = value;
        return;
    }
    /* All occurrences, as if they were one: whoever checks one and shows another can be led by the nose. */
    struct envelope_value *v = arena_zalloc(mem, sizeof *v);
    v->value = value;
    if (e->first[name] == NULL)
        e->first[name] = v;
    else
        *e->last[name] = v;
    e->last[name] = &v->next;
}

static void text(struct imap_text *w, struct span value, struct arena *tmp)
{
    if (value.p == NULL)
        imap_text_raw(w, "NIL");
    else
        imap_text_string(w, header_unfold(imap_text_clip(w, value), tmp));
}

static struct span or_nil(struct span s) { return s.n > 0 ? s : SPAN_NONE; }

static void address(struct imap_text *w, const struct address *a)
{
    imap_text_raw(w, "(");
    switch (a->kind) {
    case ADDRESS_GROUP:
        imap_text_raw(w, "NIL NIL ");
        imap_text_string(w, a->name);
        imap_text_raw(w, " NIL");
        break;
    case ADDRESS_GROUP_END:
        imap_text_raw(w, "NIL NIL NIL NIL");
        break;
    case ADDRESS_MAILBOX:
        imap_text_nstring(w, or_nil(a->name));
        imap_text_raw(w, " ");
        imap_text_nstring(w, or_nil(a->route));
        imap_text_raw(w, " ");
        imap_text_string(w, a->local);
        imap_text_raw(w, " ");
        imap_text_string(w, a->domain); /* never NIL: that would make it a group */
        break;
    }
    imap_text_raw(w, ")");
}

/* One field's addresses; *open: the list's parenthesis is written. */
static void field(struct imap_text *w, struct span value, size_t from, bool *open, struct arena *tmp)
{
    struct address_reader r;
    struct address a;
    bool in_group = false;
    arena_reset(tmp);
    if (w->list_max < SIZE_MAX / 4 && value.n > 4 * w->list_max) {
        value.n = 4 * w->list_max;
        w->cut = true;
    }
    address_begin(&r, value, tmp);
    while (!w->over && address_next(&r, &a)) {
        if (w->out.n - from > w->list_max && a.kind != ADDRESS_GROUP_END) {
            w->cut = true;
            break;
        }
        if (!*open)
            imap_text_raw(w, "(");
        *open = true;
        in_group = a.kind == ADDRESS_GROUP || (in_group && a.kind != ADDRESS_GROUP_END);
        address(w, &a);
    }
    w->cut = w->cut || r.truncated;
    if (in_group)
        address(w, &(struct address){.kind = ADDRESS_GROUP_END});
}

static bool list(struct imap_text *w, const struct envelope *e, enum summary_header name, struct arena *tmp)
{
    bool open = false;
    size_t from = w->out.n;
    for (struct envelope_value *v = e->first[name]; v != NULL && !w->over; v = v->next)
        field(w, v->value, from, &open, tmp);
    if (open)
        imap_text_raw(w, ")");
    return open;
}

void envelope_write(struct imap_text *w, const struct envelope *e, struct arena *tmp)
{
    imap_text_raw(w, "(");
    text(w, e->text[HEADER_DATE], tmp);
    imap_text_raw(w, " ");
    text(w, e->text[HEADER_SUBJECT], tmp);
    for (unsigned name = HEADER_FROM; name <= HEADER_BCC; name++) {
        imap_text_raw(w, " ");
        if (list(w, e, name, tmp))
            continue;
        /* RFC 9051 7.5.2: Sender and Reply-To default to From */
        if ((name == HEADER_SENDER || name == HEADER_REPLY_TO) && list(w, e, HEADER_FROM, tmp))
            continue;
        imap_text_raw(w, "NIL");
    }
    imap_text_raw(w, " ");
    text(w, e->text[HEADER_IN_REPLY_TO], tmp);
    imap_text_raw(w, " ");
    text(w, e->text[HEADER_MESSAGE_ID], tmp);
    imap_text_raw(w, ")");
}
