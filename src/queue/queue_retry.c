#include "queue/queue_retry.h"

#include "base/limits.h"

int64_t queue_retry_ms(unsigned failures, uint64_t random)
{
    int64_t most = LIMIT(RETRY_MOST_S) * 1000, ms = LIMIT(RETRY_FIRST_S) * 1000;
    for (unsigned i = 1; i < failures && ms < most; i++)
        ms += ms / 2;
    ms = MIN_OF(ms, most);
    return ms - ms / 5 + (int64_t)(random % (uint64_t)(ms / 5 * 2 + 1));
}
