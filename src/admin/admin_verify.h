/* The commands that look after a store: verify. */
#ifndef POSTEL_ADMIN_VERIFY_H
#define POSTEL_ADMIN_VERIFY_H

#include "admin/command.h"

int admin_verify(const struct command_input *in);

#endif
