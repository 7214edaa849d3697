/* imap_crlf: line ends of a message that a client brings (SEC-03): a lone LF becomes CRLF, a bare CR and NUL are refused. */
#ifndef POSTEL_IMAP_CRLF_H
#define POSTEL_IMAP_CRLF_H

#include "base/span.h"

struct imap_crlf { /* all zero is the start */
    bool cr;    /* the last byte was a CR */
    bool owed;  /* the LF of a lone LF whose CR was given */
    bool bad;
};

/* The next run of good bytes out of *in, which it shortens; borrowed from *in or static. False when *in is used up, or at
 * what is refused (bad is set). */
bool imap_crlf_next(struct imap_crlf *c, struct span *in, struct span *run);
/* No more will come: 0, or -1 when the last byte was a CR. */
int imap_crlf_end(const struct imap_crlf *c);

#endif
