/* IDLE (RFC 9051 6.3.13, RFC 2177): what changes in the mailbox is told as soon as store has it. */
#include "base/clock.h"
#include "base/limits.h"
#include "imap/imap_session.h"

enum { DONE_LINE = 1024, RETRY_MS = 500 };

/* All that is known now. *behind: store could not be asked, again later. */
static WAITS int tell(struct imap *s, bool *behind)
{
    struct fail f;
    *behind = false;
    if (s->state != IMAP_SELECTED)
        return conn_flush(s->c);
    if (!feed_is_open(&s->feed) && feed_open(&s->feed, s->account, imap_session_handle(s), &f) < 0)
        *behind = true;
    else if (s->feed.modseq > s->view.modseq && imap_view_refresh(s, &f) < 0)
        *behind = true;
    int r = imap_view_tell(s, true);
    return r == 0 ? conn_flush(s->c) : r;
}

static bool news(const struct imap *s)
{
    return s->state == IMAP_SELECTED && (s->feed.stale || s->feed.modseq > s->view.modseq);
}

/* Until the client says something. The arena is empty while it sleeps: a session in IDLE holds as little as it can. */
static WAITS int idle(struct imap *s)
{
    int64_t until = clock_mono_ms() + LIMIT(IMAP_IDLE_S) * 1000;
    bool input = false, behind;
    int r = 0;
    while (r == 0 && !input && !s->view.lost) {
        r = tell(s, &behind);
        if (r != 0 || s->view.lost || (!behind && news(s)))
            continue;
        arena_done(&s->cmd);
        int64_t left = until - clock_mono_ms();
        conn_limit(s->c, MAX_OF(behind ? MIN_OF(left, (int64_t)RETRY_MS) : left, (int64_t)0));
        s->env->idle = true;
        r = conn_wait(s->c, &input);
        s->env->idle = false;
        if (r == WAIT_TIMEOUT && behind && clock_mono_ms() < until)
            r = 0;
    }
    return r;
}

WAITS int imap_idle_idle(struct imap *s, struct imap_lex *in)
{
    struct span line;
    struct fail f;
    int r = conn_writez(s->c, "+ idling\r\n");
    if (s->state == IMAP_SELECTED && r == 0)
        imap_view_refresh(s, &f); /* if not now, then with the first news */
    s->feed.waiter = coro_self();
    if (r == 0)
        r = idle(s);
    s->feed.waiter = NULL;
    if (r == 0 && s->view.lost && s->state == IMAP_SELECTED)
        return 0; /* the dialogue takes leave */
    if (r == 0)
        r = imap_session_line(s, DONE_LINE, &line);
    if (r == CONN_LINE_LONG) {
        s->closing = true;
        return imap_session_bad(s, "IDLE ends with DONE");
    }
    if (r != 0)
        return r;
    return span_eq_nocase(line, SPAN("DONE")) ? imap_session_ok(s, "IDLE done") : imap_session_bad(s, "IDLE ends with DONE");
}
