/* The commands that look after a store: backup and restore. */
#ifndef POSTEL_ADMIN_BACKUP_H
#define POSTEL_ADMIN_BACKUP_H

#include "admin/command.h"

int admin_backup(const struct command_input *in);
int admin_restore(const struct command_input *in);

#endif
