/* directory_rcpt: from a recipient's address to the accounts that get the mail (RFC 5321 3.9, 4.5.1). */
#ifndef POSTEL_DIRECTORY_RCPT_H
#define POSTEL_DIRECTORY_RCPT_H

#include "login/directory_cache.h"

/* What RCPT asks: address as the grammar accepted it, not folded. Fills *out but for its generation: lists live in mem,
 * their spans are borrowed from the cache until it changes. Inline in the loop: no SQL, about a microsecond. */
void directory_rcpt_check(struct directory_cache *c, struct span address, struct arena *mem, struct msg_rcpt_check_r *out);
/* Would an alias `address` with these targets run in a circle, or beyond limits alias_depth and alias_targets? */
bool directory_rcpt_loops(struct directory_cache *c, struct span address, struct span targets);
/* Is `address` this account's own: does it lead to it alone (SEC-15)? */
bool directory_rcpt_owns(struct directory_cache *c, uint64_t account, struct span address);
/* What srs_make answers. 0, or -1: `via` is in no domain of ours. A sender of ours stays as it is: its domain's SPF has us.
 * One whose rewritten form would be too long gives way to the account that gets the reports: no bounce gets lost. */
int directory_rcpt_srs(struct directory_cache *c, struct span sender, struct span via, struct arena *mem,
                       struct msg_srs_make_r *out, struct fail *f);

#endif
