/* smtp_out_reply: what a server answers, read strictly and within bounds (RFC 5321 4.2, 4.5.3.1.5). */
#ifndef POSTEL_SMTP_OUT_REPLY_H
#define POSTEL_SMTP_OUT_REPLY_H

#include "run/conn.h"

enum {
    SMTP_OUT_GARBAGE = -20, /* what came is no reply: nothing behind it can be trusted */
    SMTP_OUT_LINE = 2048,   /* RFC 5321 4.5.3.1.5 has 512; some write more */
    SMTP_OUT_TEXT = 400,    /* of a reply's words that are kept */
};

struct smtp_out_reply {
    int code;        /* 200..599; 0: none came */
    char status[12]; /* "5.1.1" (RFC 2034); "X.0.0" of the code's class when the server says none */
    char text[SMTP_OUT_TEXT]; /* the words, lines joined by a space, printable; invalid bytes are '?' */
    size_t n;
};

/* One line without its end: "250-words", "250 words", "250". 0, or -1 when it is none. */
int smtp_out_reply_line(struct span line, int *code, bool *more, struct span *words);
/* Begins a reply and adds a line's words to it. */
void smtp_out_reply_begin(struct smtp_out_reply *r);
void smtp_out_reply_add(struct smtp_out_reply *r, int code, struct span words);

/* Called with the words of each line behind the first, for EHLO. */
typedef void smtp_out_reply_fn(void *arg, struct span words);

/* The next reply; what was written before is sent first. 0 and *r, or WAIT_*, or SMTP_OUT_GARBAGE: also more than limit
 * relay_reply_lines of them. each: NULL allowed. */
WAITS int smtp_out_reply_read(struct conn *c, struct smtp_out_reply *r, smtp_out_reply_fn *each, void *arg);

#endif
