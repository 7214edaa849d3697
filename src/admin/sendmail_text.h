/* sendmail_text: what a program gives to sendmail, made into a message as SMTP carries it. */
#ifndef POSTEL_SENDMAIL_TEXT_H
#define POSTEL_SENDMAIL_TEXT_H

#include "base/fail.h"
#include "base/str.h"
#include "base/vec.h"

struct sendmail_text {
    /* asked for */
    struct span raw;      /* lines that end in LF or CRLF */
    struct span sender;   /* for a From that is missing */
    struct span name;     /* its display name, or empty */
    struct span user;     /* a From that is this name alone, as cron writes it, means `sender`; or empty */
    struct span host;     /* for a Message-ID that is missing */
    struct span domain;   /* behind recipients of the header that have none */
    int64_t now_s;
    bool recipients;      /* -t: To, Cc and Bcc say to whom */
    /* made; lives in mem */
    struct arena *mem;
    struct str out;       /* CRLF lines, dots as they are */
    VEC(struct span) to;  /* addresses of the header; free with VEC_FREE */
    bool eight_bit;
};

/* Bcc is taken out, From, Date and Message-ID are added where they are missing, a text without header gets one. 0, or -1
 * with FAIL_PERM: a NUL or a lone CR, which no mail may have (SEC-03). */
int sendmail_text_make(struct sendmail_text *t, struct fail *f);

#endif
