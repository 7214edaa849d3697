/* ipc_testing: messages of random contents, and a loop with a coroutine in it, for the tests of ipc. */
#ifndef POSTEL_IPC_TESTING_H
#define POSTEL_IPC_TESTING_H

#include "run/ipc_code.h"

struct ipc_random { uint64_t state; };
uint64_t ipc_testing_next(struct ipc_random *r);
/* Fills msg; bytes and lists live in mem; a descriptor becomes -1. most: of bytes per span. */
void ipc_testing_fill(struct ipc_random *r, const struct ipc_layout *l, void *msg, struct arena *mem, size_t most);
bool ipc_testing_same(const struct ipc_layout *l, const void *a, const void *b); /* descriptors are not compared */

/* Runs fn in a coroutine of a fresh loop and ends all channels behind it. Returns how often CHECK failed in it. */
int ipc_testing_run(void (*fn)(void));
extern int ipc_testing_failed;
/* For coroutines, which cmocka's asserts cannot leave. */
#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            ipc_testing_failed++;                                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                          \
        }                                                                                                              \
    } while (0)

/* A child process that serves role `self` to one channel from `peer` and exits 0 when that closes and no CHECK failed. */
struct ipc_server { pid_t pid; int fd; }; /* fd: our end */
struct ipc_server ipc_testing_server(enum role_kind self, enum role_kind peer, const struct ipc_handler *rows, size_t n);
int ipc_testing_wait(struct ipc_server *s); /* 0 when it exited 0 */

#endif
