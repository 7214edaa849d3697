/* service: what listens: name, role that serves it, option that says where. */
#ifndef POSTEL_SERVICE_H
#define POSTEL_SERVICE_H

#include "run/config.h"
#include "run/role_kind.h"

/* X(name, role that accepts, implicit TLS, ALPN in wire form or ""). sendmail is a Unix socket: auth asks the kernel who is
 * there and gives the connection to a front-user (doc/decisions/14-sendmail.md). */
#define SERVICE_TABLE(X)                                                                                               \
    X(smtp, ROLE_FRONT_MX, false, "")                                                                                  \
    X(lmtp, ROLE_FRONT_MX, false, "")                                                                                  \
    X(submission, ROLE_FRONT_USER, false, "")                                                                          \
    X(submissions, ROLE_FRONT_USER, true, "")                                                                          \
    X(pop3, ROLE_FRONT_USER, false, "\x04pop3")                                                                        \
    X(pop3s, ROLE_FRONT_USER, true, "\x04pop3")                                                                        \
    X(imap, ROLE_FRONT_USER, false, "\x04imap")                                                                        \
    X(imaps, ROLE_FRONT_USER, true, "\x04imap")                                                                        \
    X(sendmail, ROLE_AUTH, false, "")

enum service_id {
#define X(name, role, tls, alpn) SERVICE_##name,
    SERVICE_TABLE(X)
#undef X
    SERVICE_COUNT
};

struct service {
    const char *name;
    enum role_kind role;
    bool tls;
    const char *alpn;
    enum config_id listen;
};

extern const struct service service_table[SERVICE_COUNT];

#endif
