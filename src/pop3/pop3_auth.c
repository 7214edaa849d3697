/* AUTH (RFC 5034): POP3's words for what login/sasl_dialog does. */
#include "base/limits.h"
#include "base/str.h"
#include "login/sasl_dialog.h"
#include "pop3/pop3_session.h"

void pop3_auth_list(const struct pop3 *s, struct str *out)
{
    sasl_dialog_list(s->c, " ", out);
}

/* "+ challenge" (RFC 5034 4: with its space also when nothing follows) and the client's line. */
static WAITS int exchange(void *arg, struct span challenge, struct span *line)
{
    struct pop3 *s = arg;
    int64_t left = s->login_until_ms - clock_mono_ms();
    int r = left > 0 ? conn_write(s->c, SPAN("+ ")) : WAIT_TIMEOUT;
    if (r == 0)
        r = conn_write(s->c, challenge);
    if (r == 0)
        r = conn_write(s->c, SPAN("\r\n"));
    if (r != 0)
        return r;
    conn_limit(s->c, left);
    r = conn_line(s->c, SASL_DIALOG_LINE, line); /* RFC 5034 4: longer than a command may be */
    if (r == 0 && line->n >= 2 && line->p[line->n - 2] == '\r')
        line->n -= 2;
    return r;
}

struct sasl_dialog pop3_auth_dialog(struct pop3 *s)
{
    return (struct sasl_dialog){.c = s->c, .service = s->env->service, .mem = &s->cmd, .until_ms = s->login_until_ms,
                                .exchange = exchange, .arg = s};
}

WAITS int pop3_auth_auth(struct pop3 *s, struct span args)
{
    struct span initial = args, mech = span_split(&initial, ' ');
    struct sasl_dialog d = pop3_auth_dialog(s);
    struct sasl_dialog_result result;
    if (args.n == 0)
        return pop3_session_err(s, POP3_TEXT_MECHANISM);
    arena_done(&s->user_mem);
    s->user = SPAN("");
    s->state = POP3_AUTHORIZATION;
    int r = sasl_dialog_run(&d, mech, initial, &result);
    return r != 0 ? r : pop3_login_done(s, &result);
}
