/* front_tls: the TLS contexts of a front's services; their certificates come from auth and their keys stay there. */
#ifndef POSTEL_FRONT_TLS_H
#define POSTEL_FRONT_TLS_H

#include "run/role.h"

void front_tls_add(enum service_id id);                  /* at begin, one per service */
int front_tls_begin(struct fail *f);                     /* then: keeps the certificates as auth has them. 0 or -1 */
void front_tls_peer(const struct ipc_peer *peer);        /* a new channel: perhaps to a new auth */
struct tls_service *front_tls_of(enum service_id id);    /* lives on */
/* Until the service has a certificate, as just after a start; false when it still has none after tls_handshake_s. */
WAITS bool front_tls_wait(enum service_id id);

#endif
