/* store_event_pack: the packed form of delivery events, read. Exports store_event_open, store_event_next. */
#ifndef POSTEL_STORE_EVENT_PACK_H
#define POSTEL_STORE_EVENT_PACK_H

#include "run/ipc.h"

enum {
    EVENT_HAS_ACCOUNT = 1, EVENT_HAS_ADDRESS = 2, EVENT_HAS_HOST = 4, EVENT_HAS_TLS = 8, EVENT_HAS_CODE = 16,
    EVENT_HAS_TEXT = 32, EVENT_HAS_CAUSE = 64, EVENT_HAS_DUE = 128
};

/* The head of a row's data: what all its steps have in common. False: damaged. Spans are borrowed from *data, which is cut. */
bool store_event_open(struct span *data, struct msg_event_row *head);
/* The next step, into a row that has the head's fields; its account only when the step has one of its own. */
bool store_event_next(struct span *data, struct msg_event_row *x);

#endif
