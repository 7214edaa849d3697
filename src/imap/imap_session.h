/* imap_session: what the files of one IMAP session share: its state, its rows and its answers (RFC 9051, RFC 3501). */
#ifndef POSTEL_IMAP_SESSION_H
#define POSTEL_IMAP_SESSION_H

#include "imap/imap_grammar.h"
#include "imap/imap_view.h"
#include "run/feed.h"
#include "run/session.h"

enum imap_state { /* bits, so that a row can allow several (RFC 9051 3) */
    IMAP_NOT_AUTHENTICATED = 1,
    IMAP_AUTHENTICATED = 2,
    IMAP_SELECTED = 4,
    IMAP_LOGOUT = 8,
};

enum imap_enabled { /* by ENABLE (RFC 9051 6.3.1) */
    IMAP_REV2 = 1,      /* IMAP4rev2: names in UTF-8, LIST and ESEARCH in the new form */
    IMAP_UTF8 = 2,      /* UTF8=ACCEPT (RFC 9755): names and headers in UTF-8 */
    IMAP_CONDSTORE = 4, /* RFC 7162 */
};

struct imap {
    struct conn *c;
    struct session_env *env;
    enum imap_state state;
    unsigned enabled;       /* enum imap_enabled */
    bool closing;
    bool by_uid;            /* the command now running came as "UID ..." */
    unsigned errors;        /* BAD in a row */
    int64_t login_until_ms;
    char trace[13];
    unsigned char handle[16];
    uint64_t account;
    struct arena mem;       /* of the session */
    struct arena cmd;       /* emptied behind every command */
    struct span user;       /* address; lives in mem */
    const struct imap_row *row;
    char tag[80];           /* of the command now running */
    struct span text;       /* the command as far as it was read; lives in cmd */
    struct imap_literal literal; /* IMAP_STREAMS rows: announced at the end of the text and not read */
    uint64_t literal_left;  /* of one that is being read */
    bool more;              /* the command goes on behind what was read: a literal of IMAP_STREAMS */
    struct imap_view view;  /* while SELECTED */
    struct feed feed;       /* from the first SELECT on */
    struct imap_surrogate *surrogate; /* the last one that was shown, or NULL */
};

/* ---- rows ---- */

enum imap_row_flag {
    IMAP_ROW_UID = 1,       /* "UID name" is there too: by_uid is set */
    IMAP_ROW_STILL = 2,     /* no EXPUNGE may be told while it runs (RFC 9051 7.5.1), except by UID */
    IMAP_ROW_WRITES = 4,    /* refused where the mailbox was opened by EXAMINE */
    IMAP_ROW_STREAMS = 8,   /* reads its literals itself, but for one that is its first argument */
    IMAP_ROW_BARE = 16,     /* takes no argument, unless by UID */
    IMAP_ROW_UID_ONLY = 32, /* only as "UID name" */
};

/* in: behind the command's name and, unless there is nothing, the space. 0, or WAIT_* when the connection is over. */
typedef int imap_command(struct imap *s, struct imap_lex *in);

struct imap_row {
    const char *name;
    unsigned states, flags;
    const char *capa;                   /* what CAPABILITY tells for it, or NULL */
    bool (*when)(const struct imap *s); /* and only if; NULL: always */
    imap_command *run;
};

const struct imap_row *imap_session_row(size_t i);  /* all there are, NULL behind the last */

/* The dialogue from greeting to close; session_fn. */
WAITS void imap_session_run(struct conn *c, struct session_env *env);

/* ---- for the commands: each runs to one of these answers ---- */

/* "tag OK text"; a response code in brackets may stand at its start. Tells first what is new in the mailbox, as far as
 * the row allows. */
WAITS int imap_session_ok(struct imap *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
WAITS int imap_session_no(struct imap *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
WAITS int imap_session_bad(struct imap *s, const char *why);    /* syntax; counts against the limit of errors */
/* "tag NO [CODE] text" (RFC 5530) for what store or scan refused. target: for a mailbox named as target, [TRYCREATE]. */
WAITS int imap_session_fail(struct imap *s, const struct fail *f, bool target);
WAITS int imap_session_untagged(struct imap *s, const char *fmt, ...) PRINTF_LIKE(2, 3); /* "* text CRLF" */

/* One line that is no command (SASL, DONE), without its CRLF, at most `most` bytes; lives in s->cmd. 0, WAIT_*, or
 * CONN_LINE_LONG. */
WAITS int imap_session_line(struct imap *s, size_t most, struct span *line);
void imap_session_deselect(struct imap *s);     /* leaves the selected mailbox, if any */

static inline struct span imap_session_handle(const struct imap *s) { return span_of(s->handle, sizeof s->handle); }
static inline bool imap_session_rev2(const struct imap *s) { return (s->enabled & IMAP_REV2) != 0; }
static inline bool imap_session_utf8(const struct imap *s) { return (s->enabled & (IMAP_REV2 | IMAP_UTF8)) != 0; }

/* IMAP_STREAMS: s->literal was announced. Accept sends "+" where the client waits for it. Then pieces come until *piece is
 * empty (borrowed until the next call), then _rest gives the text behind it up to the end of the line or to the next
 * literal, which is in s->literal then (size 0 and header 0: none). A literal that was not accepted or not read to its end
 * is read away by the session. 0 or WAIT_*. */
WAITS int imap_session_literal_accept(struct imap *s);
WAITS int imap_session_literal_read(struct imap *s, struct span *piece);
WAITS int imap_session_literal_rest(struct imap *s, struct span *text);

/* For imap_input: reads tag and name, sets s->tag, s->by_uid and s->row (NULL: unknown); 0, or -1 with in->error. */
int imap_session_begin(struct imap *s, struct span line, struct imap_lex *in);
void imap_session_capabilities(const struct imap *s, struct str *out);  /* "CAPABILITY ..." */

/* ---- the commands, by file ---- */

bool imap_login_allowed(const struct imap *s);                      /* passwords may be sent here (SEC-13) */
void imap_login_capabilities(const struct imap *s, struct str *out); /* " AUTH=..." for each mechanism possible here */
imap_command imap_login_login, imap_login_authenticate;             /* imap_login.c */
imap_command imap_id_id;                                            /* imap_id.c */
/* A command that is read and too long for where it is: of an ID the pairs that are here whole and say nothing that we note
 * lose their text, so that all 30 of RFC 2971 3.3 have room before the login. False: it is no ID, or no shorter now. */
bool imap_id_shorten(struct imap *s, struct str *text);
imap_command imap_list_list, imap_list_lsub, imap_list_namespace;   /* imap_list.c */
imap_command imap_folder_create, imap_folder_delete, imap_folder_rename, imap_folder_subscribe, imap_folder_unsubscribe;
imap_command imap_status_status;                                    /* imap_status.c */
imap_command imap_select_select, imap_select_examine, imap_select_unselect, imap_select_close;
imap_command imap_idle_idle;                                        /* imap_idle.c */

imap_command imap_append_append;                                    /* imap_append.c */
imap_command imap_copy_copy, imap_copy_move;                        /* imap_copy.c */
imap_command imap_expunge_expunge;                                  /* imap_expunge.c */
imap_command imap_fetch_fetch;                                      /* imap_fetch.c */
imap_command imap_search_search;                                    /* imap_search.c */
imap_command imap_store_store;                                      /* imap_store.c */

#endif
