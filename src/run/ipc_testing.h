/* ipc_testing: messages of random contents, for the tests of ipc. */
#ifndef POSTEL_IPC_TESTING_H
#define POSTEL_IPC_TESTING_H

#include "run/ipc_code.h"

struct ipc_random { uint64_t state; };
uint64_t ipc_testing_next(struct ipc_random *r);
/* Fills msg; bytes and lists live in mem; a descriptor becomes -1. most: of bytes per span. */
void ipc_testing_fill(struct ipc_random *r, const struct ipc_layout *l, void *msg, struct arena *mem, size_t most);
bool ipc_testing_same(const struct ipc_layout *l, const void *a, const void *b); /* descriptors are not compared */

#endif
