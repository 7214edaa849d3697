/* master_notify: tells the service manager how far we are (sd_notify(3), the protocol only). */
#ifndef POSTEL_MASTER_NOTIFY_H
#define POSTEL_MASTER_NOTIFY_H

void master_notify_send(const char *state); /* "READY=1"; nothing without NOTIFY_SOCKET */

#endif
