/* shared: pages of shared memory made by master: the test clock, and one page of counters per role instance.
 * Exports counter_* too. */
#ifndef POSTEL_SHARED_H
#define POSTEL_SHARED_H

#include "base/clock.h"
#include "run/role_kind.h"

/* X(NAME, help). Each role writes its own page; everybody may read all of them. */
#define COUNTER_TABLE(X)                                                                                               \
    X(DIRECTORY_GENERATION, "changes of the directory; caches of other roles compare it")                              \
    X(TLS_GENERATION, "changes of certificates")                                                                       \
    X(SESSIONS, "connections open now")                                                                                \
    X(ACCEPTED, "connections accepted")                                                                                \
    X(REFUSED, "connections refused for limits")                                                                       \
    X(MESSAGES_IN, "messages accepted")                                                                                \
    X(MESSAGES_OUT, "recipients that other servers took")                                                              \
    X(LOGINS, "successful logins")                                                                                     \
    X(LOGINS_FAILED, "failed logins")                                                                                  \
    X(PASSWORD_CHECKS, "password checks that were computed")                                                           \
    X(COMMITS, "group commits")                                                                                        \
    X(COMMITTED, "operations committed")                                                                               \
    X(SCANNED, "messages scanned")                                                                                     \
    X(MAYBE_TWICE, "attempts to send that ended without an answer: copies there may be two of")

enum counter_id {
#define X(name, help) COUNTER_##name,
    COUNTER_TABLE(X)
#undef X
    COUNTER_COUNT
};

struct shared_page { _Atomic uint64_t counter[COUNTER_COUNT]; };

int shared_make(size_t size, int *rw, int *ro);         /* memfd twice: to write, and read-only for the others; 0 or -1 */
int shared_map_own(int fd);                             /* this role's page; before it counters go to a private page */
int shared_map_peer(enum role_kind kind, int fd);       /* read-only; instance 0 of each kind */
int shared_map_clock(int fd);                           /* clock_use_page on it */
void counter_add(enum counter_id id, int64_t n);        /* on this role's page; any thread */
uint64_t counter_of(enum role_kind kind, enum counter_id id); /* of another role; 0 when its page is not mapped */

#endif
