/* sasl_dialog: a login as every protocol has it: which mechanisms a connection may use, and the exchange of lines with the
 * client, each step of which auth decides (RFC 4422). The protocol keeps its words; nothing else differs. */
#ifndef POSTEL_SASL_DIALOG_H
#define POSTEL_SASL_DIALOG_H

#include "run/conn.h"
#include "run/ipc.h"
#include "run/service.h"

struct sasl_dialog {
    struct conn *c;
    enum service_id service;
    struct arena *mem;      /* of the command: results live there */
    int64_t until_ms;       /* monotonic: the login's end; nothing waits longer */
    /* Sends one line with `challenge`, base64 or empty, in front of it what the protocol has there (SMTP "334 ", IMAP and
     * POP3 "+ "), and reads the client's, which may have SASL_DIALOG_LINE octets. 0 and *line without its CRLF, good until
     * the next exchange; WAIT_*; or CONN_LINE_LONG. */
    WAITS int (*exchange)(void *arg, struct span challenge, struct span *line);
    void *arg;
};

#define SASL_DIALOG_LINE ((size_t)LIMIT(SASL_LINE)) /* RFC 4954 4: 12,288 octets, CRLF included */

/* How it ended, and what SMTP says then (RFC 4954 4, 6). */
enum sasl_dialog_end {
    SASL_DIALOG_IN,         /* 235 2.7.0 */
    SASL_DIALOG_REFUSED,    /* 535 5.7.8: one answer, whatever was wrong (SEC-13); the wait of SEC-14 is over */
    SASL_DIALOG_LATER,      /* 454 4.7.0: throttled, or auth is away */
    SASL_DIALOG_NO_MECH,    /* 504 5.5.4: none of that name here */
    SASL_DIALOG_NO_TLS,     /* 538 5.7.11: it needs TLS */
    SASL_DIALOG_SYNTAX,     /* 501 5.5.2: not what the mechanism allows */
    SASL_DIALOG_BASE64,     /* 501 5.5.2: not base64 */
    SASL_DIALOG_CANCELLED,  /* 501 5.7.0: the client sent "*" */
    SASL_DIALOG_LONG,       /* 500 5.5.6, and close: where the line ends is not known */
};

struct sasl_dialog_result {
    enum sasl_dialog_end end;
    struct span handle, address, lang; /* with SASL_DIALOG_IN: 16 bytes; the account's own address and language */
    uint64_t account;
};

/* May anybody log in here: in TLS, or between loopback ends where server.cleartext_loopback says so (SEC-13)? */
bool sasl_dialog_allowed(const struct conn *c);
/* Appends `before` and the name of each mechanism that this connection may use, strongest first: "AUTH" + " SCRAM-SHA-256"
 * ..., " AUTH=SCRAM-SHA-256"... Nothing where none may be used. */
void sasl_dialog_list(const struct conn *c, const char *before, struct str *out);

/* AUTH and AUTHENTICATE. mech: as the client wrote it. initial: its initial response, base64; "=": an empty one (RFC 4954
 * 4); p NULL: none. 0 and *out, or WAIT_*: the connection is over. */
WAITS int sasl_dialog_run(const struct sasl_dialog *d, struct span mech, struct span initial,
                          struct sasl_dialog_result *out);
/* A name and a password that the protocol has commands for (LOGIN, USER and PASS). No exchange. */
WAITS int sasl_dialog_password(const struct sasl_dialog *d, struct span name, struct span password,
                               struct sasl_dialog_result *out);

#endif
