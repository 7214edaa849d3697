/* admin_sendmail: the sendmail command that other programs know (cron, mailx): reads a message, hands it to the server. */
#ifndef POSTEL_ADMIN_SENDMAIL_H
#define POSTEL_ADMIN_SENDMAIL_H

#include <stdbool.h>

bool admin_sendmail_called(int argc, char **argv); /* as "sendmail", or as "postel sendmail" */
int admin_sendmail_main(int argc, char **argv);    /* exit status as sysexits.h has it */

#endif
