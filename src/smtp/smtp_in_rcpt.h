/* smtp_in_rcpt: what auth says about a recipient, remembered by this front for a moment (limit rcpt_cache_ms). */
#ifndef POSTEL_SMTP_IN_RCPT_H
#define POSTEL_SMTP_IN_RCPT_H

#include "run/ipc.h"

/* Asks for `address`, from memory when the answer is fresh and the directory has not changed since. out: lives in mem.
 * 0, or -1 with *f when auth did not answer. */
WAITS int smtp_in_rcpt_check(struct span address, struct msg_rcpt_check_r *out, struct arena *mem, struct fail *f);
void smtp_in_rcpt_forget(void); /* empties the memory */

#endif
