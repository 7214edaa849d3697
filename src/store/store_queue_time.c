/* store_queue_time: the time by which the queue's rows go: it passes as the monotonic clock does, and is at the wall clock's
 * side but for what that has jumped (REL-06).
 *
 * queue time = wall clock - skew. A jump, seen as the two clocks' disagreement since the last look, goes into skew, which is
 * kept in the index; slow corrections are followed. Over a stop of the server there is no monotonic clock: then the queue's
 * time goes on from the last one seen, by at most AWAY_MS, so that neither a clock that is wrong at the start nor a long
 * stop makes mail too old that was never tried meanwhile. */
#include "base/clock.h"
#include "store/store_queue_impl.h"

enum { JUMP_MS = 60 * 1000, AWAY_MS = 24 * 3600 * 1000, SEEN_EVERY_MS = 10 * 60 * 1000 };

#define SKEW SPAN("queue_skew")
#define SEEN SPAN("queue_seen")

int store_queue_time_load(struct store *s)
{
    struct store_queue *q = &s->queue;
    int64_t skew, wall = clock_now_ms();
    if (store_state(s, SKEW, 0, &skew) != 0 || store_state(s, SEEN, wall - skew, &q->seen_ms) != 0)
        return -1;
    int64_t now = MIN_OF(MAX_OF(wall - skew, q->seen_ms), q->seen_ms + AWAY_MS);
    q->skew_ms = wall - now;
    q->skew_dirty = wall - now != skew;
    q->wall_ms = wall;
    q->mono_ms = clock_mono_ms();
    return 0;
}

int64_t store_queue_now(struct store *s)
{
    struct store_queue *q = &s->queue;
    int64_t wall = clock_now_ms(), mono = clock_mono_ms(), jump = wall - q->wall_ms - (mono - q->mono_ms);
    if (jump > JUMP_MS || jump < -JUMP_MS) {
        q->skew_ms += jump;
        q->skew_dirty = true;
    }
    q->wall_ms = wall;
    q->mono_ms = mono;
    return wall - q->skew_ms;
}

int64_t store_queue_wall(const struct store *s, int64_t queue_ms) { return queue_ms + s->queue.skew_ms; }
int64_t store_queue_of_wall(const struct store *s, int64_t wall_ms) { return wall_ms - s->queue.skew_ms; }

int store_queue_time_save(struct store *s)
{
    struct store_queue *q = &s->queue;
    int64_t now = store_queue_now(s);
    if (q->skew_dirty && DB_RUN(s->db, DB_STATE_PUT, DB_T(SKEW), DB_I(q->skew_ms)) != 0)
        return -1;
    if ((q->skew_dirty || now >= q->seen_ms + SEEN_EVERY_MS) && DB_RUN(s->db, DB_STATE_PUT, DB_T(SEEN), DB_I(now)) != 0)
        return -1;
    if (q->skew_dirty || now >= q->seen_ms + SEEN_EVERY_MS)
        q->seen_ms = now;
    q->skew_dirty = false;
    return 0;
}

bool store_queue_time_due(const struct store *s)
{
    return s->queue.skew_dirty || clock_now_ms() - s->queue.skew_ms >= s->queue.seen_ms + SEEN_EVERY_MS;
}
