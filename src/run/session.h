/* session: what a protocol session and the front that runs it tell each other. */
#ifndef POSTEL_SESSION_H
#define POSTEL_SESSION_H

#include "run/conn.h"
#include "run/service.h"

/* Somebody who is logged in before the first word: auth has asked the kernel. */
struct session_login {
    unsigned char handle[16];
    uint32_t uid;
    size_t address_n;
    char address[320];
};

struct session_env { /* the front owns it; it outlives the session */
    enum service_id service;
    const struct session_login *login; /* of service sendmail; else NULL */
    struct tls_service *tls; /* for STARTTLS and STLS; NULL: none */
    bool idle;   /* the session's: it waits for a command; the front may cancel it at a stop, it then takes its leave */
    bool stop;   /* the front's: finish the command, then take leave */
    size_t linger; /* the session's: so many bytes that the peer may still be sending are read away before the close, as
                    * a reset would take our last reply with it; 0: none */
};

enum { SESSION_LINGER = 16 * 1024 * 1024 }; /* where nothing tells how much may come */

/* Runs a whole dialogue on c, which stays the caller's, in a coroutine of its own. */
typedef void session_fn(struct conn *c, struct session_env *env);

#endif
