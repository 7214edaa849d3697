/* downgrade_address: address lists in ASCII (RFC 6857 3.1.5 to 3.1.8). */
#ifndef POSTEL_DOWNGRADE_ADDRESS_H
#define POSTEL_DOWNGRADE_ADDRESS_H

#include "base/str.h"

/* Appends the list: addresses that are ASCII as they stand, domains as A-labels, and an address that ASCII cannot name as
 * an empty group called like it. s: unfolded UTF-8. */
void downgrade_address_list(struct str *out, struct span s, struct arena *mem);

#endif
