/* fold: the case of UTF-8 text taken out, so that what a reader takes for the same word is the same bytes. */
#ifndef POSTEL_FOLD_H
#define POSTEL_FOLD_H

#include "base/str.h"

/* Appends `in` with each character folded by itself (upper, then lower: Unicode's simple case mappings, which bring sigma
 * and final sigma, k and the Kelvin sign together). Nothing else changes: no accent goes, nothing is composed. Bytes that
 * are no UTF-8 stay as they are. Folding twice changes nothing more. O(n). */
void fold_text(struct str *out, struct span in);

#endif
