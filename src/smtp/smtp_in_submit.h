/* smtp_in_submit: what our own people may send, and what is done for them (RFC 6409): whose name they use, where it can
 * go, what their message lacks. For sessions with a login only. */
#ifndef POSTEL_SMTP_IN_SUBMIT_H
#define POSTEL_SMTP_IN_SUBMIT_H

#include "smtp/smtp_in_session.h"

/* May this login send as `address` (local@domain as others compare it; SEC-15)? 0, or -1 with *f saying what to do. */
WAITS int smtp_in_submit_identity(struct smtp_in *s, struct span address, struct fail *f);
/* May a message go to this address elsewhere? folded: local@domain in one spelling, domain: of it, A-labels or a literal.
 * 0, or -1 with *code (450, 550, 556) and *f: a domain that cannot take mail, or enough for today. */
WAITS int smtp_in_submit_remote(struct smtp_in *s, struct span folded, struct span domain, int *code, struct fail *f);
/* What to say of an address of ours that is nobody's: whom the sender may have meant, where that is to be had. */
WAITS const char *smtp_in_submit_unknown(struct smtp_in *s, struct span address, const char *plain);
/* Has scan read the message and say what it lacks; its authors must be the login. out: lives in tx.mem. */
WAITS int smtp_in_submit_read(struct smtp_in *s, struct msg_scan_submit_r *out, struct fail *f);
/* A refusal goes into the account's story (EVENT_REFUSED). address: the recipient it was about, or none. */
void smtp_in_submit_note(struct smtp_in *s, struct span address, int code, const char *status, const char *text);

#endif
