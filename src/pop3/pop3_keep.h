/* pop3_keep: an account may have fetched mail removed after some days (RFC 2449 6.7; `postel account set --pop3-keep`).
 *
 * At QUIT a message goes when all of this holds: the account keeps fetched mail for n days, and not for ever; CAPA told n in
 * this session (before the login: the least n of anybody, with USER); an earlier session that ended with QUIT fetched it whole
 * with RETR; and it came into the INBOX more than n days ago. What is not so is left alone, however old it is.
 */
#ifndef POSTEL_POP3_KEEP_H
#define POSTEL_POP3_KEEP_H

#include "base/str.h"
#include "pop3/pop3_drop.h"

#define POP3_KEEP_KEY_DAYS "pop3/keep_days"    /* the account's value of that name: decimal; none: for ever */
#define POP3_KEEP_KEY_FETCHED "pop3/fetched"   /* "UIDVALIDITY UID:UID,UID:UID..." of what was fetched, while days are set */

struct pop3_keep {
    uint32_t days;          /* 0: for ever */
    bool told;              /* CAPA was answered in this session */
    unsigned char *fetched; /* a bit for each item of the drop; NULL: none yet */
};

/* Reads the account's days, after the login. When store does not answer: for ever, for this session. */
WAITS void pop3_keep_open(struct pop3_keep *k, const struct pop3_drop *d);
/* Notes that the item of that index was sent whole. */
void pop3_keep_fetched(struct pop3_keep *k, const struct pop3_drop *d, size_t at);
/* At QUIT, behind pop3_drop_update: removes, and notes what was fetched. 0, or -1 with *f (nothing of it is lost). */
WAITS int pop3_keep_update(struct pop3_keep *k, const struct pop3_drop *d, struct fail *f);
/* The argument of EXPIRE. in: in TRANSACTION. Counts as told. */
void pop3_keep_tell(struct pop3_keep *k, bool in, struct str *out);
void pop3_keep_done(struct pop3_keep *k);

#endif
