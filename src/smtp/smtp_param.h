/* smtp_param: the parameters behind the path of MAIL and RCPT (RFC 5321 4.1.1.11): spans in, structs of spans out. */
#ifndef POSTEL_SMTP_PARAM_H
#define POSTEL_SMTP_PARAM_H

#include "base/str.h"

/* Which extensions are in force: a parameter of another one is unknown (RFC 5321 4.1.1.11). */
enum smtp_ext {
    SMTP_EXT_CORE = 1, /* SIZE, BODY */
    SMTP_EXT_UTF8 = 2, /* SMTPUTF8: of the server for MAIL, of the transaction for RCPT */
    SMTP_EXT_DSN = 4,  /* RET, ENVID, NOTIFY, ORCPT */
    SMTP_EXT_AUTH = 8, /* AUTH= */
};

enum smtp_command { SMTP_MAIL = 1, SMTP_RCPT = 2 };
enum smtp_body_type { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

/* Spans are borrowed from the line. */
struct smtp_params {
    bool has_size;
    uint64_t size;            /* RFC 1870 3: what the client thinks the message has */
    enum smtp_body_type body; /* RFC 6152 2 */
    bool utf8;                /* RFC 6531 3.4 */
    uint32_t ret;             /* enum dsn_ret, RFC 3461 4.3 */
    uint32_t notify;          /* enum dsn_notify, 0 = not given, RFC 3461 4.1 */
    struct span envid;        /* xtext, RFC 3461 4.4 */
    struct span orcpt;        /* type ";" xtext, RFC 3461 4.2; p NULL = not given */
    unsigned seen;            /* bits of the rows met */
};

/* Reads all of `in`, which begins behind the path's ">". p: zeroed by the caller. 0 or a negative enum smtp_error. */
int smtp_param_take(struct span in, enum smtp_command on, unsigned ext, struct smtp_params *p);
/* Appends what an xtext of accepted parameters says (RFC 3461 4): +HH taken out. */
void smtp_param_xtext(struct str *out, struct span xtext);
/* Appends an accepted orcpt as "type;address" without its encoding (of a utf-8 address that is RFC 6533 3's own). */
void smtp_param_orcpt(struct str *out, struct span orcpt);

#endif
