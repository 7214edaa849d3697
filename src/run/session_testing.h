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
    SESSION_END,   /* says no more: end of file, in TLS as well (no close_notify) */
    SESSION_TLS,   /* shakes hands */
    SESSION_CLEAR, /* close_notify; the next flight is sent in clear */
};
struct session_flight {
    struct span bytes;
    enum session_then then;
    bool (*heard)(struct span said, size_t n); /* whether n replies are in it: waits for that before; NULL: does not wait */
    size_t n;
};

/* The same with `n` flights, and STARTTLS where tls is not NULL. Whatever is said in clear behind TLS is returned as well. */
WAITS struct span session_testing_flights(session_fn *session, enum service_id service, bool loopback,
                                          struct tls_service *tls, const struct session_flight *v, size_t n, size_t step,
                                          struct arena *mem);

#endif
