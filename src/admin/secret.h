/* secret: passwords from a terminal or from standard input, never from the command line, which everybody can read. */
#ifndef POSTEL_SECRET_H
#define POSTEL_SECRET_H

#include "admin/command.h"
#include "base/arena.h"
#include "base/fail.h"

/* With --password-stdin the first line of standard input; else asked twice on the terminal, echo off, for `address`.
 * what: a remark for the prompt, or "". The result lives in mem. 0, or -1 with *f. */
int secret_read(const struct command_input *in, const char *address, const char *what, struct arena *mem,
                struct span *out, struct fail *f);

#endif
