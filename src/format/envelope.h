/* envelope: the IMAP ENVELOPE of a message header (RFC 9051 7.5.2). */
#ifndef POSTEL_ENVELOPE_H
#define POSTEL_ENVELOPE_H

#include "format/header_name.h"
#include "format/imap_text.h"

struct envelope_value {
    struct span value;
    struct envelope_value *next;
};

/* The fields that it is made of, gathered while the header is read; borrow from the message. Start zeroed. */
struct envelope {
    struct span text[HEADER_IN_REPLY_TO + 1];                            /* by enum summary_header; p NULL: absent */
    struct envelope_value *first[HEADER_BCC + 1], **last[HEADER_BCC + 1]; /* each From, To... in order */
};

void envelope_take(struct envelope *e, enum summary_header name, struct span value, struct arena *mem);
/* Appends "(...)". tmp: for what is needed meanwhile; it is reset again and again. */
void envelope_write(struct imap_text *w, const struct envelope *e, struct arena *tmp);

#endif
