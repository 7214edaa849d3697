/* throttle: how many passwords may be tried, by whom (SEC-14): slower and slower for a guesser, never a lock. */
#ifndef POSTEL_THROTTLE_H
#define POSTEL_THROTTLE_H

#include "base/span.h"

struct throttle;
struct throttle_bucket;

/* One admitted password check. */
struct throttle_check {
    struct throttle_bucket *bucket[3];
    int64_t set_ms[3];
    size_t n;
    bool known;
    unsigned char pair[17];
};

/* most: buckets kept of each sort; the least recently used are forgotten first. */
struct throttle *throttle_new(size_t most);
void throttle_free(struct throttle *t);

/* May this password be checked now? name: the folded login name, whether it exists or not (SEC-13); ip: 16 bytes, IPv4
 * mapped. true: yes, and throttle_end must follow, whatever comes of it. false: *wait_ms is how long to make the
 * answer wait; nothing was computed and nothing is counted against anybody. */
bool throttle_begin(struct throttle *t, struct span name, const unsigned char ip[16], struct throttle_check *c,
                    uint32_t *wait_ms);
/* The check is over. Returns how long to hold back the answer, in ms: 0 when it was right. */
uint32_t throttle_end(struct throttle *t, struct throttle_check *c, bool right);
size_t throttle_running(const struct throttle *t);

#endif
