/* UTF8 and LANG, and which messages a client without UTF8 cannot have (RFC 6856). */
#include "base/str.h"
#include "base/utf8.h"
#include "format/summary.h"
#include "pop3/pop3_session.h"

WAITS int pop3_utf8_utf8(struct pop3 *s, struct span args)
{
    if (s->utf8)
        return pop3_session_err(s, POP3_TEXT_UTF8_THERE);
    s->utf8 = true;
    return pop3_session_ok(s, POP3_TEXT_UTF8);
}

static WAITS int list(struct pop3 *s)
{
    int r = pop3_session_ok(s, POP3_TEXT_LANGUAGES);
    for (int i = 0; i < POP3_LANG_COUNT && r == 0; i++)
        r = conn_printf(s->c, "%.*s %.*s\r\n", SPAN_ARGS(pop3_text_lang((enum pop3_lang)i)),
                        SPAN_ARGS(pop3_text_lang_name((enum pop3_lang)i)));
    return r != 0 ? r : conn_writez(s->c, ".\r\n");
}

WAITS int pop3_utf8_lang(struct pop3 *s, struct span args)
{
    int lang;
    struct str out;
    if (args.n == 0)
        return list(s);
    /* RFC 6856 3.2: "*" may vary with the user; 7: but not before it is known that it is the user */
    if (span_eq(args, SPAN("*")))
        lang = s->state == POP3_TRANSACTION ? (int)s->own : POP3_LANG_EN;
    else
        lang = pop3_text_find(args);
    if (lang < 0)
        return pop3_session_err(s, POP3_TEXT_NO_LANGUAGE);
    s->lang = (enum pop3_lang)lang;
    str_init(&out, &s->cmd);
    str_add(&out, pop3_text_lang(s->lang));
    str_addc(&out, ' ');
    str_addz(&out, pop3_text(POP3_TEXT_LANGUAGE, s->lang));
    return pop3_session_data(s, str_span(&out));
}

/* How much of `data` is header; *ended: all of it is there. */
static struct span header_of(struct span data, bool *ended)
{
    ptrdiff_t crlf = span_find(data, SPAN("\n\r\n"));
    struct span header = crlf >= 0 ? span_sub(data, 0, (size_t)crlf) : data;
    ptrdiff_t lf = span_find(header, SPAN("\n\n"));
    *ended = crlf >= 0 || lf >= 0;
    return lf >= 0 ? span_sub(header, 0, (size_t)lf) : header;
}

static bool has_high(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] & 0x80) != 0)
            return true;
    return false;
}

/* What store knows of the message; for headers that do not end in their first window. */
static WAITS bool flagged(struct pop3 *s, uint64_t eid)
{
    struct fail f;
    struct msg_email_id id = {.eid = eid};
    struct msg_email_get in = {.handle = pop3_drop_handle(&s->drop), .ids = {&id, 1}};
    struct msg_email_get_r out;
    return IPC_CALL(ROLE_STORE, email_get, &in, &out, &s->cmd, &f) != 0 || out.emails.n != 1 ||
           (out.emails.v[0].summary_flags & (SUMMARY_UTF8 | SUMMARY_MISSING)) != 0;
}

WAITS int pop3_utf8_check(struct pop3 *s, uint64_t eid, struct span data, bool whole)
{
    bool ended;
    if (s->utf8)
        return 0;
    struct span header = header_of(data, &ended);
    if (!ended && !whole)
        return flagged(s, eid) ? -1 : 0;
    /* RFC 6856 2.1 is about UTF-8: bytes of some other charset, which never were right, UTF8 would not mend */
    return has_high(header) && utf8_valid(header) ? -1 : 0;
}
