/* preview: the first words of a message (RFC 8970 3.3). */
#ifndef POSTEL_PREVIEW_H
#define POSTEL_PREVIEW_H

#include "format/mime_walk.h"

enum { PREVIEW_CHARS = 200 };

/* UTF-8, at most PREVIEW_CHARS characters, blanks folded, nothing invisible; of the first text part that has any text
 * and is no attachment. Empty when there is none. Lives in mem. */
struct span preview_make(struct span message, const struct mime_tree *t, struct arena *mem);

#endif
