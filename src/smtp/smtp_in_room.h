/* smtp_in_room: how much still fits an account's quota, remembered by this front for a moment (limit rcpt_cache_ms). */
#ifndef POSTEL_SMTP_IN_ROOM_H
#define POSTEL_SMTP_IN_ROOM_H

#include "run/ipc.h"

/* Octets; INT64_MAX without a limit, and when store does not say: the end of data finds out. */
WAITS int64_t smtp_in_room_of(uint64_t account);
void smtp_in_room_forget(void); /* empties the memory */

#endif
