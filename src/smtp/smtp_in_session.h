/* smtp_in_session: what the files of one SMTP session share: its state, its transaction, its replies. */
#ifndef POSTEL_SMTP_IN_SESSION_H
#define POSTEL_SMTP_IN_SESSION_H

#include "base/clock.h"
#include "base/vec.h"
#include "run/session.h"
#include "run/body.h"
#include "smtp/smtp_grammar.h"

enum smtp_in_state { /* bits, so that a row can allow several */
    SMTP_IN_NEW = 1,     /* no HELO or EHLO yet, or forgotten by STARTTLS */
    SMTP_IN_GREETED = 2,
    SMTP_IN_MAIL = 4,    /* a reverse-path was accepted */
    SMTP_IN_RCPT = 8,    /* and at least one recipient */
    SMTP_IN_ANY = 15,
};

/* The one transaction; smtp_in_session_reset empties it on every way out (SEC-05). */
struct smtp_in_tx {
    struct arena mem;
    struct op_id op;
    char trace[13];      /* of op: the id that people see */
    struct span sender;  /* as written, without <>; lives in mem */
    struct span only;    /* the one recipient while there is one, for Received; lives in mem */
    unsigned rcpts, tried;
    size_t rcpt_bytes;   /* of the accepted recipients' addresses */
    size_t target_bytes; /* that the targets take in the frame */
    VEC(struct msg_ingest_target) targets; /* one per account; their spans live in mem */
    int64_t begun_ms;
};

struct smtp_in {
    struct conn *c;
    struct session_env *env;
    enum smtp_in_state state;
    bool esmtp, closing;
    int code;            /* of the last reply */
    unsigned errors;     /* since the last message that was stored */
    unsigned idle;       /* commands without progress since then */
    char trace[13];      /* of the session, where there is no transaction */
    char helo[256];
    size_t helo_n;
    struct arena cmd;    /* emptied behind every command */
    struct smtp_in_tx tx;
};

/* The dialogue with another server from greeting to close (RFC 5321); session_fn. */
WAITS void smtp_in_session_run(struct conn *c, struct session_env *env);

/* ---- for the commands ---- */

/* Queues one reply line "CODE ENHANCED text" (RFC 2034) and notes its code. 0 or WAIT_*. */
WAITS int smtp_in_session_reply(struct smtp_in *s, int code, const char *enhanced, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same for a failure that came from elsewhere: its own code and text, 4xx or 5xx by its kind. */
WAITS int smtp_in_session_fail(struct smtp_in *s, const struct fail *f);
/* 421, and the session ends behind it. */
WAITS int smtp_in_session_bye(struct smtp_in *s, const char *enhanced, const char *why);
void smtp_in_session_reset(struct smtp_in *s);       /* no transaction; state GREETED unless NEW */
void smtp_in_session_progress(struct smtp_in *s);    /* a message was stored: errors and idle commands are forgiven */

/* The commands. args: behind the verb. 0, or WAIT_* when the connection is over. */
typedef int smtp_in_command(struct smtp_in *s, struct span args);
smtp_in_command smtp_in_mail_from, smtp_in_mail_to; /* smtp_in_mail.c */
smtp_in_command smtp_in_data_run;                   /* smtp_in_data.c */

#endif
