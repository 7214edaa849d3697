/* message_id: the ids of Message-ID, In-Reply-To and References (RFC 5322 3.6.4, 4.5.4). */
#ifndef POSTEL_MESSAGE_ID_H
#define POSTEL_MESSAGE_ID_H

#include "base/arena.h"

/* The next id of *rest, without <>, blanks and folding taken out; borrowed from it, or lives in mem. Empty ones are left
 * out; words outside of <> count only in a field of at most 4 KiB that holds no < at all. False at the end. */
bool message_id_next(struct span *rest, struct span *id, struct arena *mem);
uint64_t message_id_hash(struct span value, struct arena *mem); /* of the first id; 0 when there is none */

#endif
