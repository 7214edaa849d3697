/* session_testing: for tests of sessions: a client that says what it was told and hears what comes. */
#ifndef POSTEL_SESSION_TESTING_H
#define POSTEL_SESSION_TESTING_H

#include "base/str.h"
#include "run/session.h"

/* One session fed with `input`, `step` bytes at a time (0: all at once), then end of file. Returns all it said; lives in
 * mem. loopback: both ends are 127.0.0.1, else the peer is 192.0.2.7. In a coroutine. */
WAITS struct span session_testing_talk(session_fn *session, enum service_id service, bool loopback, struct span input,
                                       size_t step, struct arena *mem);

#endif
