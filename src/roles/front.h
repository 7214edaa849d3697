/* front: what front-mx and front-user share: connections come in, are counted, become sessions, and end in order. */
#ifndef POSTEL_FRONT_H
#define POSTEL_FRONT_H

#include "run/role.h"
#include "run/session.h"

struct front_service {
    enum service_id id;
    session_fn *run;
    const char *busy; /* the whole line for a connection above the limits; not said where TLS comes first */
};

/* For role_def: begin calls the first with a table that lives on; accepted and stop are the others. */
int front_begin(const struct front_service *services, size_t n, struct fail *f);
void front_accepted(enum service_id service, int fd, const struct conn_addr *peer, const struct conn_addr *local);
/* A connection of the sendmail command, from auth (uid_login): the socket in it is taken. */
void front_uid_login(const struct ipc_peer *peer, const void *in);
void front_stop(void);
void front_peer(const struct ipc_peer *peer, struct ipc_chan *ch); /* for role_on_peer: front_begin asks for it */

#endif
