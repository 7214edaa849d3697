/* dsn: delivery status notifications (RFC 3464, 6522, 6533): what became of a message, for people and for programs. */
#ifndef POSTEL_DSN_H
#define POSTEL_DSN_H

#include "base/str.h"

/* What is told of one recipient. Nothing in here need be clean: what could break the report's form is replaced. */
struct dsn_rcpt {
    uint32_t action;            /* enum dsn_action (ipc_table.h): failed, delayed, delivered, relayed, expanded */
    struct span address;
    struct span orcpt;          /* "rfc822;address" as the sender gave it, or empty */
    struct span status;         /* RFC 3463, or empty */
    uint32_t code;              /* the far side's last reply, 0: there was none, text is our own reason */
    struct span text, host;     /* its words; "name [ip]" of the far side, or empty */
    int64_t at_s, until_s;      /* of the last attempt; how long we go on, 0: not at all */
};

struct dsn {
    struct span hostname, lang, to; /* lang: "de" or anything else; to: who gets it */
    struct span id, boundary;   /* left side of the Message-ID; both of letters, digits, "=_." */
    struct span envid;          /* of the sender's, or empty */
    struct span trace;          /* of the message */
    const struct span *thread;  /* message ids without <>, oldest first: what the message refers to, and its own */
    size_t n_thread;            /* 0: it has none of its own */
    int64_t now_s, arrived_s;
    bool utf8;                  /* the reader knows SMTPUTF8: addresses as they are (RFC 6533), else escaped */
    bool whole, eight_bit;      /* `original` is the whole message, else its header; has bytes above 127 */
    struct span original;
    const struct dsn_rcpt *rcpts;
    size_t n;
};

/* The whole report. Lines end in CRLF; no line of ours is above 998 octets. */
void dsn_write(struct str *out, const struct dsn *d);

/* RFC 6533 3: an address with all that is not ASCII, a blank or a backslash as \x{...}. */
void dsn_write_unitext(struct str *out, struct span address);

#endif
