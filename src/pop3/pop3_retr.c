/* RETR and TOP: a message to the client, window by window. */
#include "pop3/pop3_grammar.h"
#include "pop3/pop3_list.h"

struct sending {
    struct pop3_stuff stuff;
    struct pop3_top top;
    bool cut;   /* TOP */
    bool ended; /* all that TOP wants is out */
    char last;  /* byte that was sent */
};

static WAITS int send_window(struct pop3 *s, struct sending *w, struct span data)
{
    if (w->cut) {
        size_t n = pop3_grammar_top(&w->top, data);
        w->ended = n < data.n || (w->top.body && w->top.left == 0);
        data.n = n;
    }
    if (data.n > 0)
        w->last = data.p[data.n - 1];
    while (data.n > 0) {
        struct span out;
        size_t n = pop3_grammar_stuff(&w->stuff, data, &out);
        int r = conn_write(s->c, out);
        if (r != 0)
            return r;
        data = span_from(data, n);
    }
    return 0;
}

/* Fetches and sends the rest. Once +OK is out there is no way to say -ERR: the connection ends instead. */
static WAITS int send_rest(struct pop3 *s, struct pop3_read *read, struct sending *w, struct span data)
{
    struct fail f;
    int r = 0;
    while (r == 0 && data.n > 0) {
        r = send_window(s, w, data);
        if (r != 0 || w->ended)
            break;
        arena_done(&s->cmd);
        if (pop3_read_next(read, &s->drop, &data, &s->cmd, &f) < 0)
            return WAIT_CLOSED;
    }
    return r != 0 ? r : conn_writez(s->c, w->last == '\n' || w->last == 0 ? ".\r\n" : "\r\n.\r\n");
}

void pop3_retr_forget(struct pop3 *s)
{
    pop3_ahead_stop(&s->ahead);
}

static WAITS int send_message(struct pop3 *s, size_t at, struct sending *w)
{
    struct pop3_read read = {0};
    struct span data;
    struct fail f = {0};
    int r;
    bool here = !w->cut && pop3_ahead_take(&s->ahead, &s->drop, at, &data);
    if (!here && (pop3_read_start(&read, &s->drop, &s->drop.items.v[at], w->cut ? 1 : POP3_READ_FLYING, &f) < 0 ||
                  pop3_read_next(&read, &s->drop, &data, &s->cmd, &f) < 0)) {
        /* another session removed it, or store does not answer */
        r = pop3_session_err(s, f.kind == FAIL_PERM ? POP3_TEXT_GONE : POP3_TEXT_UNREADABLE);
    } else if (pop3_utf8_check(s, s->drop.items.v[at].eid, data, data.n == s->drop.items.v[at].size) < 0) {
        r = pop3_session_err(s, POP3_TEXT_NEEDS_UTF8);
    } else {
        if (!w->cut)
            pop3_ahead_more(&s->ahead, &s->drop, at);
        r = w->cut ? pop3_session_ok(s, POP3_TEXT_TOP)
                   : pop3_session_ok_count(s, POP3_TEXT_OCTETS, s->drop.items.v[at].size);
        if (r == 0)
            r = send_rest(s, &read, w, data);
        if (r == 0 && !w->cut)
            pop3_keep_fetched(&s->keep, &s->drop, at);
    }
    pop3_read_stop(&read);
    return r;
}

WAITS int pop3_retr_retr(struct pop3 *s, struct span args)
{
    struct pop3_item *item = pop3_list_item(s, &args);
    if (item == NULL || args.n > 0)
        return pop3_session_err(s, POP3_TEXT_NO_MESSAGE);
    struct sending w = {0};
    return send_message(s, (size_t)(item - s->drop.items.v), &w);
}

WAITS int pop3_retr_top(struct pop3 *s, struct span args)
{
    struct pop3_item *item = pop3_list_item(s, &args);
    struct sending w = {.cut = true};
    if (item == NULL)
        return pop3_session_err(s, POP3_TEXT_NO_MESSAGE);
    if (pop3_grammar_number(&args, &w.top.left) < 0 || args.n > 0)
        return pop3_session_err(s, POP3_TEXT_HOW_MANY);
    return send_message(s, (size_t)(item - s->drop.items.v), &w);
}
