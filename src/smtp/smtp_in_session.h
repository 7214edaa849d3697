/* smtp_in_session: what the files of one SMTP, submission or LMTP session share: its state, its transaction, its replies. */
#ifndef POSTEL_SMTP_IN_SESSION_H
#define POSTEL_SMTP_IN_SESSION_H

#include "base/clock.h"
#include "run/session.h"
#include "run/body.h"
#include "smtp/smtp_data.h"
#include "smtp/smtp_grammar.h"
#include "smtp/smtp_in_pack.h"

enum smtp_in_state { /* bits, so that a row can allow several */
    SMTP_IN_NEW = 1,     /* no HELO or EHLO yet, or forgotten by STARTTLS */
    SMTP_IN_GREETED = 2,
    SMTP_IN_MAIL = 4,    /* a reverse-path was accepted */
    SMTP_IN_RCPT = 8,    /* and at least one recipient */
    SMTP_IN_BDAT = 16,   /* and a chunk that was not the last */
    SMTP_IN_ANY = 31,
};

/* The message that is coming in. */
struct smtp_in_text {
    bool open;           /* body must be dropped */
    struct smtp_data reader;
    struct body body;
    uint64_t taken;      /* of the client's own bytes */
    struct fail fail;    /* why the rest is only swallowed; FAIL_NONE while all is well */
    int64_t swallow_until_ms;
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
    uint64_t size;       /* that MAIL announced (RFC 1870) */
    uint32_t flags;      /* enum envelope_flag */
    bool no_dns;         /* an answer did not come: no further one is waited for in this transaction */
    uint32_t ret;        /* enum dsn_ret */
    struct span envid;
    struct smtp_in_pack pack; /* what the recipients come down to */
    struct smtp_in_text text;
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
    unsigned mails;      /* transactions begun */
    char trace[13];      /* of the session, where there is no transaction */
    char helo[256];
    size_t helo_n;
    bool login;          /* then handle names the session at the other roles, and user is the account's address */
    unsigned char handle[16];
    struct span user;
    struct arena mem;    /* of the login */
    struct arena cmd;    /* emptied behind every command */
    struct smtp_in_tx tx;
};

/* The dialogue with another server, a mail program or a local agent, from greeting to close; session_fn. Which of them,
 * env->service says: smtp (RFC 5321), submission and submissions (RFC 6409, RFC 8314), lmtp (RFC 2033), sendmail (submission, with
 * a login before the first word). */
WAITS void smtp_in_session_run(struct conn *c, struct session_env *env);

/* ---- for the commands ---- */

static inline bool smtp_in_submits(const struct smtp_in *s)
{
    return s->env->service == SERVICE_submission || s->env->service == SERVICE_submissions || s->env->service == SERVICE_sendmail;
}

/* Queues one reply line "CODE ENHANCED text" (RFC 2034) and notes its code. 0 or WAIT_*. */
WAITS int smtp_in_session_reply(struct smtp_in *s, int code, const char *enhanced, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same for a failure that came from elsewhere: its own code and text, 4xx or 5xx by its kind. */
WAITS int smtp_in_session_fail(struct smtp_in *s, const struct fail *f);
/* 421, and the session ends behind it. */
WAITS int smtp_in_session_bye(struct smtp_in *s, const char *enhanced, const char *why);
void smtp_in_session_reset(struct smtp_in *s);       /* no transaction; state GREETED unless NEW */
void smtp_in_session_progress(struct smtp_in *s);    /* a message was stored: errors and idle commands are forgiven */
void smtp_in_session_forget(struct smtp_in *s);      /* RFC 3207 4.2: as if nobody had said anything; no login either */
/* The next line without its line end. 0, WAIT_*, or CONN_LINE_LONG: it has more than `max` octets. */
WAITS int smtp_in_session_read(struct smtp_in *s, size_t max, struct span *line);

/* The commands. args: behind the verb. 0, or WAIT_* when the connection is over. */
typedef int smtp_in_command(struct smtp_in *s, struct span args);
smtp_in_command smtp_in_hello_ehlo, smtp_in_hello_helo, smtp_in_hello_lhlo, smtp_in_hello_starttls; /* smtp_in_hello.c */
unsigned smtp_in_hello_ext(const struct smtp_in *s);   /* enum smtp_ext: what this service announces */
smtp_in_command smtp_in_mail_run;                     /* smtp_in_mail.c */
smtp_in_command smtp_in_to_run;                       /* smtp_in_to.c */
smtp_in_command smtp_in_data_data, smtp_in_data_bdat; /* smtp_in_data.c */
smtp_in_command smtp_in_auth_run;                     /* smtp_in_auth.c */
WAITS int smtp_in_data_swallow(struct smtp_in *s, struct span args); /* the octets of a BDAT out of place. 0 or WAIT_* */

/* smtp_in_deliver.c: our trace field in front of what comes. 0 or -1 with *f. */
WAITS int smtp_in_deliver_begin(struct smtp_in *s, struct fail *f);
/* Nothing more of the message will be taken: has it read and kept, and answers (REL-01). last: it is whole, or was to end
 * here: then LMTP hears about each recipient. 0 or WAIT_*. */
WAITS int smtp_in_deliver_end(struct smtp_in *s, bool last);

#endif
