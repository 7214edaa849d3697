/* role_accept: the listening sockets of a role: of services, and the control socket of the command line. */
#ifndef POSTEL_ROLE_ACCEPT_H
#define POSTEL_ROLE_ACCEPT_H

#include "run/role.h"

/* Take a listening, nonblocking socket. Nothing is accepted before role_accept_begin. */
void role_accept_service(int fd, enum service_id service);
void role_accept_admin(int fd);     /* peers of uid 0 or our own get a channel as ROLE_ADMIN */
int role_accept_begin(const struct role_def *def, struct fail *f);
void role_accept_end(void);         /* closes them all */

#endif
