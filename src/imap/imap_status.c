/* STATUS (RFC 9051 6.3.11) and the same for LIST (RFC 5819). */
#include "imap/imap_status.h"

#include "imap/imap_name.h"

enum { MESSAGES, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, SIZE, RECENT };

static const char *const items[] = {"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "RECENT"};

bool imap_status_items(struct imap_lex *in, unsigned *out)
{
    *out = 0;
    if (!imap_grammar_open(in))
        return false;
    do {
        size_t i = 0;
        while (i < COUNT_OF(items) && !imap_grammar_may_word(in, span_z(items[i])))
            i++;
        if (i == COUNT_OF(items))
            return imap_grammar_bad(in, "there is no such item of STATUS");
        *out |= 1u << i;
    } while (imap_grammar_may(in, ' '));
    return imap_grammar_close(in);
}

static uint64_t value(const struct msg_mailbox_row *row, size_t item)
{
    switch (item) {
    case MESSAGES: return row->total;
    case UIDNEXT: return row->uidnext;
    case UIDVALIDITY: return row->uidvalidity;
    case UNSEEN: return row->unseen;
    case DELETED: return row->deleted;
    case SIZE: return row->size;
    default: return 0; /* RECENT (RFC 3501): we keep no such flag */
    }
}

WAITS int imap_status_tell(struct imap *s, const struct imap_folder *is, unsigned what)
{
    struct str line;
    bool first = true;
    str_init(&line, &s->cmd);
    str_addz(&line, "* STATUS ");
    imap_name_add(&line, is->path, imap_session_utf8(s));
    str_addz(&line, " (");
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        if (!(what & 1u << i))
            continue;
        str_addf(&line, "%s%s %llu", first ? "" : " ", items[i], (unsigned long long)value(is->row, i));
        first = false;
    }
    str_addz(&line, ")\r\n");
    return conn_write(s->c, str_span(&line));
}

WAITS int imap_status_status(struct imap *s, struct imap_lex *in)
{
    const struct imap_folder *is;
    struct span wire;
    struct fail f = {0};
    unsigned what = 0;
    imap_grammar_astring(in, &wire);
    imap_grammar_sp(in);
    imap_status_items(in, &what);
    if (!imap_grammar_end(in))
        return imap_session_bad(s, in->error);
    if (imap_folder_named(s, wire, &is, &f) < 0)
        return imap_session_fail(s, &f, false);
    int r = imap_status_tell(s, is, what);
    return r != 0 ? r : imap_session_ok(s, "STATUS done");
}
