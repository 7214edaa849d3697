/* imap_input: reads whole commands: lines and the literals in them, within the limits (SEC-07). */
#ifndef POSTEL_IMAP_INPUT_H
#define POSTEL_IMAP_INPUT_H

#include "imap/imap_session.h"

/* The next command into s->text; with a literal that the row reads itself, s->literal and s->more are set. *wrong: it is
 * not one that can be run, what to say (s->tag is known where there was one). 0 or WAIT_*. */
WAITS int imap_input_command(struct imap *s, const char **wrong);
/* Reads away what of the command was not read. 0 or WAIT_*. */
WAITS int imap_input_skip(struct imap *s);

#endif
