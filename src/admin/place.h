/* place: where the server that a command talks to keeps its things. */
#ifndef POSTEL_PLACE_H
#define POSTEL_PLACE_H

#include "admin/command.h"
#include "run/config.h"

#define PLACE_CONFIG "/etc/postel/postel.conf"

const char *place_config(const struct command_input *in); /* --config, or the default */
/* The configuration with every --set behind its text. text lives in mem, caller frees the config; NULL and *f. */
struct config *place_config_read(const struct command_input *in, const char *path, struct span *text, struct arena *mem,
                                 struct fail *f);
/* The data directory: --data, --config, $POSTEL_DATA, the default configuration if there is one, the default. Lives in
 * mem; NULL and *f. */
const char *place_data(const struct command_input *in, struct arena *mem, struct fail *f);

/* A command that works on the files of a server: run by root it becomes their owner first, for good, so that the server can
 * still use what it leaves. 0, or -1 and *f. */
int place_become_owner(const char *dir, struct fail *f);

#endif
