/* queue_retry: when something that did not work is tried again. */
#ifndef POSTEL_QUEUE_RETRY_H
#define POSTEL_QUEUE_RETRY_H

#include "base/base.h"

/* In ms, behind `failures` (1 and more) attempts in a row that failed: from limit retry_first_s growing by half each time
 * to retry_most_s, give or take a fifth, so that what failed together does not come back together (RFC 5321 4.5.4.1 asks
 * for 30 minutes at least in the long run, and sooner at first). random: any number. */
int64_t queue_retry_ms(unsigned failures, uint64_t random);

#endif
