/* pop3_session: what the files of one POP3 session share: its state and its answers (RFC 1939). */
#ifndef POSTEL_POP3_SESSION_H
#define POSTEL_POP3_SESSION_H

#include "base/clock.h"
#include "pop3/pop3_drop.h"
#include "pop3/pop3_ahead.h"
#include "pop3/pop3_keep.h"
#include "pop3/pop3_read.h"
#include "pop3/pop3_text.h"
#include "run/session.h"

enum pop3_state { /* bits, so that a row can allow several */
    POP3_AUTHORIZATION = 1,
    POP3_NAMED = 2, /* still AUTHORIZATION, USER was given */
    POP3_TRANSACTION = 4,
    POP3_ANY = 7,
};

struct pop3 {
    struct conn *c;
    struct session_env *env;
    enum pop3_state state;
    enum pop3_lang lang;    /* of what people may read */
    bool utf8;              /* RFC 6856 2: the client takes it in headers */
    bool closing;
    unsigned errors;        /* in a row */
    int64_t login_until_ms; /* for all of AUTHORIZATION */
    char trace[13];
    struct arena cmd;       /* emptied behind every command */
    struct arena user_mem;
    struct span user;       /* lives in user_mem */
    enum pop3_lang own;     /* of the account, in TRANSACTION */
    struct pop3_drop drop;  /* in TRANSACTION */
    struct pop3_ahead ahead; /* what a client reading in order wants next */
    struct pop3_keep keep;
};

/* The dialogue from greeting to close; session_fn. */
WAITS void pop3_session_run(struct conn *c, struct session_env *env);

/* ---- for the commands ---- */

WAITS int pop3_session_ok(struct pop3 *s, enum pop3_text text);
WAITS int pop3_session_ok_about(struct pop3 *s, enum pop3_text text, struct span what); /* what: takes the place of % */
WAITS int pop3_session_ok_count(struct pop3 *s, enum pop3_text text, uint64_t count);
WAITS int pop3_session_data(struct pop3 *s, struct span data);  /* "+OK" and what programs read */
/* "-ERR text", with the response code that belongs to the text (RFC 2449 8). */
WAITS int pop3_session_err(struct pop3 *s, enum pop3_text text);
WAITS int pop3_session_err_about(struct pop3 *s, enum pop3_text text, struct span what);

/* args: behind the verb. 0, or WAIT_* when the connection is over. */
typedef int pop3_command(struct pop3 *s, struct span args);
pop3_command pop3_login_user, pop3_login_pass; /* pop3_login.c */
pop3_command pop3_auth_auth;                    /* pop3_auth.c */
struct str;
void pop3_auth_list(const struct pop3 *s, struct str *out); /* " NAME" for each of them */
pop3_command pop3_utf8_utf8, pop3_utf8_lang;    /* pop3_utf8.c */
/* -1: the message that begins with `data` needs a client that knows UTF-8 (RFC 6856 4), and this one does not. */
WAITS int pop3_utf8_check(struct pop3 *s, uint64_t eid, struct span data, bool whole);
bool pop3_login_allowed(const struct pop3 *s);  /* USER and PASS may be sent here (SEC-13); in pop3_login.c */
struct sasl_dialog_result;
struct sasl_dialog pop3_auth_dialog(struct pop3 *s);
WAITS int pop3_login_done(struct pop3 *s, const struct sasl_dialog_result *r); /* the end of a login: answers */
pop3_command pop3_list_stat, pop3_list_list, pop3_list_uidl, pop3_list_dele, pop3_list_rset; /* pop3_list.c */
pop3_command pop3_retr_retr, pop3_retr_top; /* pop3_retr.c */
void pop3_retr_forget(struct pop3 *s);      /* what was read ahead */

#endif
