/* coro_testing: for tests whose checks stand in coroutines or threads. Exports CHECK. */
#ifndef POSTEL_CORO_TESTING_H
#define POSTEL_CORO_TESTING_H

#include "base/base.h"

/* cmocka leaves a failed test by longjmp, which must not cross stacks: there a failure aborts. */
#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
