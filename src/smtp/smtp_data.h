/* smtp_data: reads the text behind DATA: takes the dots out and finds the one end there is (RFC 5321 4.5.2, SEC-02); and
 * the text of BDAT, which has no dots to take out and ends where its octets end (RFC 3030). */
#ifndef POSTEL_SMTP_DATA_H
#define POSTEL_SMTP_DATA_H

#include "base/span.h"

enum smtp_data_state {
    SMTP_DATA_LINE,   /* at the start of a line */
    SMTP_DATA_TEXT,   /* inside one */
    SMTP_DATA_CR,     /* a CR that must see its LF */
    SMTP_DATA_DOT,    /* a dot at the start of a line */
    SMTP_DATA_DOT_CR, /* and a CR behind it */
    SMTP_DATA_END,    /* CRLF.CRLF was read: the rest is commands */
    SMTP_DATA_BAD,    /* a bare CR, a bare LF or a NUL: nothing behind it may be taken for anything */
};

struct smtp_data {
    enum smtp_data_state state; /* all zero is the start, behind the CRLF of the DATA command */
    bool chunked;               /* BDAT: a dot is a dot, and END is not reached */
};

/* Reads some of `in` and gives in *out what of it belongs to the message: borrowed from `in`, or static. Returns how
 * many bytes were used: at least 1 unless `in` is empty or the state is END or BAD. Call until all is used. */
size_t smtp_data_take(struct smtp_data *d, struct span in, struct span *out);
/* All chunks are read. What the message still lacks: nothing, or the line end of its last line (a message of lines is
 * what every other way out expects). A CR that saw no LF makes the state BAD. */
struct span smtp_data_last(struct smtp_data *d);

#endif
