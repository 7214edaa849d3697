/* master_listen: the sockets that master binds: of every service, and the control sockets of store and auth. */
#ifndef POSTEL_MASTER_LISTEN_H
#define POSTEL_MASTER_LISTEN_H

#include "run/service.h"

struct master_listener {
    int fd;
    enum service_id service;
    char where[108]; /* the address that it got, "127.0.0.1:2025", or a path */
};

int master_listen_services(const struct config *c, struct fail *f);   /* while root still may */
size_t master_listen_all(const struct master_listener **out);
int master_listen_control(enum role_kind kind, struct fail *f);       /* DATA/run/KIND.sock, mode 0600; the descriptor or -1 */
void master_listen_end(void);                                         /* closes those of services */

#endif
