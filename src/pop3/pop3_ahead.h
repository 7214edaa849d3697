/* pop3_ahead: the messages that a client which reads in order will want next, asked for in batches that grow as it goes on. */
#ifndef POSTEL_POP3_AHEAD_H
#define POSTEL_POP3_AHEAD_H

#include "pop3/pop3_drop.h"
#include "run/slices.h"

enum { POP3_AHEAD_MOST = 48 };

struct pop3_ahead { /* all zero: nothing */
    struct slices *q;           /* NULL: nothing is held or on its way */
    uint32_t of[POP3_AHEAD_MOST], first, n; /* items, in order; a ring */
    uint64_t bytes;             /* of them */
    size_t expected;            /* the item behind the one read last */
    unsigned run;               /* how many were read in order */
};

/* The whole message `at`, if it was asked for; borrowed until the next call. What was asked for in front of it is dropped. */
WAITS bool pop3_ahead_take(struct pop3_ahead *a, const struct pop3_drop *d, size_t at, struct span *data);
/* Message `at` is being read: asks for some of those behind it. */
WAITS void pop3_ahead_more(struct pop3_ahead *a, const struct pop3_drop *d, size_t at);
void pop3_ahead_stop(struct pop3_ahead *a);

#endif
