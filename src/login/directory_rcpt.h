/* directory_rcpt: from a recipient's address to the accounts that get the mail (RFC 5321 3.9, 4.5.1). */
#ifndef POSTEL_DIRECTORY_RCPT_H
#define POSTEL_DIRECTORY_RCPT_H

#include "login/directory_cache.h"

/* What RCPT asks: address as the grammar accepted it, not folded. Fills status and targets of *out: targets live in
 * mem, their spans are borrowed from the cache until it changes. Inline in the loop: no SQL, about a microsecond. */
void directory_rcpt_check(struct directory_cache *c, struct span address, struct arena *mem, struct msg_rcpt_check_r *out);
/* Would an alias `address` with these targets run in a circle, or beyond limits alias_depth and alias_targets? */
bool directory_rcpt_loops(struct directory_cache *c, struct span address, struct span targets);

#endif
