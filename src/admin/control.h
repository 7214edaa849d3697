/* control: a command's talk with the running server, at the control socket of one of its roles. */
#ifndef POSTEL_CONTROL_H
#define POSTEL_CONTROL_H

#include "admin/command.h"
#include "base/fail.h"
#include "run/ipc.h"

struct control {
    const struct command_input *in;
    enum role_kind to;      /* whose socket it is */
    struct arena mem;
    struct fail fail;
    bool plain;             /* --plain */
};

/* 0, or -1 with c->fail. */
typedef int control_fn(struct control *c);

/* Connects, runs fn in a coroutine of a loop made for it, prints why it failed. Gives the exit status. */
int control_run(const struct command_input *in, enum role_kind to, control_fn *fn);
/* A call within fn; in, out: of the message `id`. A server that goes away meanwhile is an error that says so. */
WAITS int control_call(struct control *c, enum msg_id id, const void *in, void *out);
/* From now on calls go to another role, at its socket. 0, or -1 with c->fail. */
int control_turn(struct control *c, enum role_kind to);
int control_say(const struct command_input *in, const struct fail *f); /* prints it on stderr, escaped; gives 1 */

#endif
