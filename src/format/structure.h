/* structure: the IMAP BODYSTRUCTURE of a message (RFC 9051 7.5.2). */
#ifndef POSTEL_STRUCTURE_H
#define POSTEL_STRUCTURE_H

#include "format/mime_walk.h"

/* Appends the text for the first n parts of the tree (1 <= n <= t->n); the rest is not mentioned. Parts numbered from
 * the front are a tree of their own, so any n gives a valid text. What was not looked into, or has none of its parts
 * within n, shows as application/octet-stream; a multipart without any part as text/plain.
 * tmp: for what is needed meanwhile; it is reset again and again. */
void structure_write(struct imap_text *w, const struct mime_tree *t, uint32_t n, struct arena *tmp);

#endif
