/* What lies in the maildrop: STAT, LIST, UIDL, and the marks DELE and RSET. Numbers count from 1 and never move. */
#include "pop3/pop3_list.h"

#include "base/str.h"
#include "pop3/pop3_grammar.h"

struct pop3_item *pop3_list_item(struct pop3 *s, struct span *args)
{
    uint64_t n;
    if (pop3_grammar_number(args, &n) < 0 || n == 0 || n > s->drop.items.n || s->drop.items.v[n - 1].deleted)
        return NULL;
    return &s->drop.items.v[n - 1];
}

static WAITS int none(struct pop3 *s)
{
    return pop3_session_err(s, POP3_TEXT_NO_MESSAGE);
}

WAITS int pop3_list_stat(struct pop3 *s, struct span args)
{
    struct str out;
    str_init(&out, &s->cmd);
    str_addu(&out, s->drop.items.n - s->drop.deleted);
    str_addc(&out, ' ');
    str_addu(&out, s->drop.octets);
    return pop3_session_data(s, str_span(&out));
}

typedef void row_fn(struct str *out, const struct pop3_drop *d, size_t i);

static void list_row(struct str *out, const struct pop3_drop *d, size_t i)
{
    str_addu(out, i + 1);
    str_addc(out, ' ');
    str_addu(out, d->items.v[i].size);
}

/* RFC 1939 7: unique for ever in this mailbox: UIDVALIDITY and UID are that by IMAP's rules */
static void uidl_row(struct str *out, const struct pop3_drop *d, size_t i)
{
    str_addu(out, i + 1);
    str_addc(out, ' ');
    str_addu(out, d->uidvalidity);
    str_addc(out, '.');
    str_addu(out, d->items.v[i].uid);
}

static WAITS int rows(struct pop3 *s, struct span args, row_fn *row)
{
    struct str out;
    str_init(&out, &s->cmd);
    if (args.n > 0) {
        struct pop3_item *item = pop3_list_item(s, &args);
        if (item == NULL || args.n > 0)
            return none(s);
        row(&out, &s->drop, (size_t)(item - s->drop.items.v));
        return pop3_session_data(s, str_span(&out));
    }
    int r = pop3_session_ok_count(s, POP3_TEXT_MESSAGES, s->drop.items.n - s->drop.deleted);
    for (size_t i = 0; i < s->drop.items.n && r == 0; i++) {
        if (s->drop.items.v[i].deleted)
            continue;
        row(&out, &s->drop, i);
        str_addz(&out, "\r\n");
        if (out.n < 4000 && i + 1 < s->drop.items.n)
            continue;
        r = conn_write(s->c, str_span(&out));
        str_clear(&out);
    }
    if (r == 0)
        r = conn_write(s->c, str_span(&out)); /* when the last ones were deleted */
    return r != 0 ? r : conn_writez(s->c, ".\r\n");
}

WAITS int pop3_list_list(struct pop3 *s, struct span args)
{
    return rows(s, args, list_row);
}

WAITS int pop3_list_uidl(struct pop3 *s, struct span args)
{
    return rows(s, args, uidl_row);
}

WAITS int pop3_list_dele(struct pop3 *s, struct span args)
{
    struct pop3_item *item = pop3_list_item(s, &args);
    if (item == NULL || args.n > 0)
        return none(s);
    pop3_drop_delete(&s->drop, item);
    return pop3_session_ok(s, POP3_TEXT_DELETED);
}

WAITS int pop3_list_rset(struct pop3 *s, struct span args)
{
    pop3_drop_undelete(&s->drop);
    return pop3_session_ok_count(s, POP3_TEXT_MESSAGES, s->drop.items.n);
}
