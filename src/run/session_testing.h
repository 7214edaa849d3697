/* session_testing: for tests of sessions: a client that says what it was told and hears what comes. */
#ifndef POSTEL_SESSION_TESTING_H
#define POSTEL_SESSION_TESTING_H

#include "base/str.h"
#include "run/session.h"

/* One session fed with `input`, `step` bytes at a time (0: all at once), then end of file. Returns all it said; lives in
 * mem. loopback: both ends are 127.0.0.1, else the peer is 192.0.2.7. In a coroutine. */
WAITS struct span session_testing_talk(session_fn *session, enum service_id service, bool loopback, struct span input,
                                       size_t step, struct arena *mem);

/* What a client says in one go, and what it does behind that. */
enum session_then {
    SESSION_END,   /* says no more: close_notify where there is TLS, then end of file */
    SESSION_CUT,   /* end of file at once, in the middle of TLS */
    SESSION_TLS,   /* waits for the reply that it is told by, then shakes hands */
    SESSION_CLEAR, /* close_notify; what comes next is sent in clear */
};
struct session_flight {
    struct span bytes;
    enum session_then then;
    bool (*heard)(struct span said, void *arg); /* SESSION_TLS: whether what was said so far ends with the reply to shake on */
    void *arg;
};

/* The same with `n` flights, and STARTTLS where tls is not NULL. What is said in clear once TLS
 * has ended is what a broken session would say; it is returned as well. */
WAITS struct span session_testing_flights(session_fn *session, enum service_id service, bool loopback,
                                          struct tls_service *tls, const struct session_flight *v, size_t n, size_t step,
                                          struct arena *mem);

#endif
