/* smtp_out: a client's SMTP session with one host (RFC 5321): open, send messages, close. Who is asked, when and again is
 * decided above it (src/queue, src/roles/relay*). */
#ifndef POSTEL_SMTP_OUT_H
#define POSTEL_SMTP_OUT_H

#include "base/str.h"
#include "run/ipc.h"
#include "run/tls_client.h"
#include "smtp/smtp_out_reply.h"

enum smtp_out_cap {
    SMTP_OUT_PIPELINING = 1, SMTP_OUT_8BIT = 2, SMTP_OUT_UTF8 = 4, SMTP_OUT_CHUNKING = 8, SMTP_OUT_DSN = 16,
    SMTP_OUT_STARTTLS = 32, SMTP_OUT_AUTH_PLAIN = 64, SMTP_OUT_AUTH_LOGIN = 128, SMTP_OUT_ESMTP = 256, SMTP_OUT_SIZE = 512,
};

enum smtp_out_tls {
    SMTP_OUT_TLS_NONE,   /* do not even ask: it was tried and broke the connection */
    SMTP_OUT_TLS_MAY,    /* when offered, whoever it is */
    SMTP_OUT_TLS_MUST,   /* not without what `tls` wants: DANE, MTA-STS enforce, a smart host's login */
    SMTP_OUT_TLS_DIRECT, /* the same from the first byte (port 465) */
};

/* Why something did not go: what the queue keeps. outcome: DEFERRED or FAILED; DELIVERED with the last answer. */
struct smtp_out_answer {
    enum queue_outcome outcome;
    uint32_t code;             /* 0: our own words, none of the far side's */
    char status[12];
    char text[SMTP_OUT_TEXT];
    bool maybe_sent;           /* the connection broke behind the final dot */
};

enum smtp_out_scope {
    SMTP_OUT_FINE,
    SMTP_OUT_HOST,  /* this host, or the way to it: try the next one */
    SMTP_OUT_PLAIN, /* TLS broke with SMTP_OUT_TLS_MAY: once more without */
};

struct smtp_out_want {
    struct span helo;               /* our host name, A-labels */
    enum smtp_out_tls tls;
    struct tls_client_want verify;  /* for MUST and DIRECT; MAY: its name is for SNI */
    struct span user, password;     /* of a smart host; empty: no login */
};

struct smtp_out {
    struct conn *c;
    unsigned caps;                  /* enum smtp_out_cap */
    uint64_t size_most;             /* 0: not said */
    uint32_t rcpt_most, mail_most;  /* LIMITS; 0: not said */
    uint32_t mails;                 /* sent or tried in this session */
    bool in_tls;
    char tls[100];                  /* "TLSv1.3 TLS_AES_256_GCM_SHA384, DANE"; empty: in clear */
    bool over;                      /* the connection cannot be used any more */
    struct smtp_out_mail *ahead;    /* its envelope is out, the answers are not read: nothing else can go over this session */
    struct arena mem;               /* emptied before each message */
};

/* Greets, starts TLS, logs in. Takes c, also when it fails. SMTP_OUT_FINE, or where the fault lies, with *why. */
WAITS enum smtp_out_scope smtp_out_open(struct smtp_out *s, struct conn *c, const struct smtp_out_want *want,
                                        struct smtp_out_answer *why);
/* QUIT, when the connection still stands, and frees. */
WAITS void smtp_out_close(struct smtp_out *s);
/* May this session carry one more message (the one of `ahead`)? Nothing came unasked, MAILMAX is not reached. */
bool smtp_out_ready(const struct smtp_out *s);

struct smtp_out_rcpt {
    struct span address;       /* as in an envelope: a local part keeps its quotes */
    uint32_t notify;           /* enum dsn_notify */
    struct span orcpt;         /* "rfc822;address", or empty */
    bool tried;                /* false: the server takes no more at once; send again in a transaction of its own */
    bool accepted;             /* RCPT was answered 2xx */
    bool dsn_sent;             /* the server takes care of NOTIFY */
    struct smtp_out_answer answer;
};

struct smtp_out_mail {
    struct span sender, envid;
    uint64_t size;
    uint32_t flags, ret;       /* enum envelope_flag, enum dsn_ret */
    struct smtp_out_rcpt *rcpts;
    size_t n;
    void *arg;
    /* The bytes from offset on, some at least; borrowed until the next call. 0, or -1 and *f. */
    int (*read)(void *arg, uint64_t offset, struct span *out, struct fail *f);
    /* The accepted recipients may get it now: durable when 0 comes back (REL-03). */
    int (*attempt)(void *arg, struct fail *f);
    /* What is sent behind it, or NULL: where the server allows, its envelope goes out with the end of this text, and the
     * answers to both take one round trip. s->ahead says so; then it is the next one to be sent, or the session is closed. */
    struct smtp_out_mail *next;
};

/* One transaction: every recipient gets its answer, or tried = false. The session is over when s->over says so. */
WAITS void smtp_out_send(struct smtp_out *s, struct smtp_out_mail *m);

/* ---- parts, shared by its files ---- */

/* Text of ours as an answer: code 0. */
void smtp_out_say(struct smtp_out_answer *a, enum queue_outcome outcome, const char *status, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* A reply as an answer: 2xx delivered, 4xx deferred, 5xx failed. */
void smtp_out_took(struct smtp_out_answer *a, const struct smtp_out_reply *r);
/* Reads a reply within `seconds`. 0, or -1: the session is over, and why says it ("while waiting for the answer to RCPT"). */
WAITS int smtp_out_hear(struct smtp_out *s, struct smtp_out_reply *r, int64_t seconds, const char *to,
                        struct smtp_out_answer *why);

#endif
