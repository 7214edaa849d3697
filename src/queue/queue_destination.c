#include "queue/queue_destination.h"

#include "base/limits.h"
#include "queue/queue_retry.h"

enum {
    TURN_MS = 500,  /* of a session while others wait: long enough that connecting is not most of it */
    LATER_MS = 1000,
};

void queue_destination_init(struct queue_destinations *t)
{
    *t = (struct queue_destinations){0};
    map_init(&t->by_domain);
    heap_init(&t->due);
}

static void destroy(struct queue_destination *d)
{
    free(d->domain);
    free(d);
}

void queue_destination_done(struct queue_destinations *t)
{
    size_t at = 0;
    struct span key;
    void *value;
    while (map_next(&t->by_domain, &at, &key, &value))
        destroy(value);
    map_done(&t->by_domain);
    heap_done(&t->due);
}

static bool dead(const struct queue_destination *d)
{
    return d->dead_until_ms != 0;
}

/* In the heap exactly while a session could start: something waits, and there is room for one more. */
static void place(struct queue_destinations *t, struct queue_destination *d)
{
    bool room = dead(d) ? d->sessions == 0 : d->sessions < d->window;
    if (d->due_ms == INT64_MAX || !room)
        heap_remove(&t->due, &d->at);
    else
        heap_move(&t->due, &d->at, MAX_OF(d->due_ms, d->dead_until_ms));
}

static struct queue_destination *find(struct queue_destinations *t, struct span domain)
{
    struct queue_destination *d = map_get(&t->by_domain, domain);
    if (d == NULL) {
        d = base_alloc(sizeof *d);
        *d = (struct queue_destination){.due_ms = INT64_MAX, .window = (unsigned)LIMIT(RELAY_CONCURRENCY_FIRST)};
        d->domain = base_alloc(domain.n + 1);
        memcpy(d->domain, domain.p, domain.n);
        d->domain[domain.n] = 0;
        map_put(&t->by_domain, domain, d);
    }
    return d;
}

void queue_destination_waits(struct queue_destinations *t, struct span domain, int64_t due_ms)
{
    struct queue_destination *d = find(t, domain);
    d->due_ms = MIN_OF(d->due_ms, due_ms);
    place(t, d);
}

static bool one_is_enough(const struct queue_destinations *t, const struct queue_destination *d)
{
    return d->sessions > 0 && !d->heard && t->sessions * 4 >= (size_t)LIMIT(RELAY_SESSIONS);
}

struct queue_destination *queue_destination_begin(struct queue_destinations *t, int64_t now_ms, int64_t *next_ms)
{
    struct heap_node *first;
    while ((first = heap_first(&t->due)) != NULL && first->key <= now_ms && one_is_enough(t, CONTAINER_OF(first, struct queue_destination, at)))
        heap_move(&t->due, first, now_ms + LATER_MS);
    *next_ms = first == NULL ? INT64_MAX : first->key;
    if (first == NULL || first->key > now_ms || t->sessions >= (size_t)LIMIT(RELAY_SESSIONS)) {
        if (first != NULL && first->key <= now_ms)
            *next_ms = INT64_MAX; /* the end of a session will ask */
        return NULL;
    }
    struct queue_destination *d = CONTAINER_OF(first, struct queue_destination, at);
    d->sessions++;
    t->sessions++;
    d->due_ms = INT64_MAX; /* until its lease has told what is left */
    place(t, d);
    return d;
}

bool queue_destination_turn_over(const struct queue_destinations *t, const struct queue_destination *d, int64_t lasted_ms,
                                 int64_t now_ms)
{
    const struct heap_node *first = heap_first(&t->due);
    return t->sessions >= (size_t)LIMIT(RELAY_SESSIONS) && lasted_ms >= TURN_MS && first != NULL && first != &d->at && first->key <= now_ms;
}

void queue_destination_leased(struct queue_destinations *t, struct queue_destination *d, int64_t due_ms)
{
    d->due_ms = MIN_OF(d->due_ms, due_ms);
    place(t, d);
}

void queue_destination_good(struct queue_destinations *t, struct queue_destination *d)
{
    d->dead_until_ms = 0;
    d->failures = 0;
    d->heard = true;
    d->window = MAX_OF(d->window, 1u);
    if (++d->good >= d->window && d->window < (unsigned)LIMIT(RELAY_CONCURRENCY)) {
        d->window++;
        d->good = 0;
    }
    place(t, d);
}

int64_t queue_destination_bad(struct queue_destinations *t, struct queue_destination *d, int64_t now_ms, uint64_t random)
{
    d->good = 0;
    d->failures++;
    if (d->window > 1 && !dead(d)) {
        d->window--;
    } else {
        d->window = 1;
        d->dead_until_ms = now_ms + queue_retry_ms(d->failures, random);
    }
    /* one that never worked is not asked by every session that it might have had */
    if (d->failures >= (unsigned)LIMIT(RELAY_CONCURRENCY_FIRST) && !dead(d))
        d->dead_until_ms = now_ms + queue_retry_ms(1, random);
    place(t, d);
    return dead(d) ? d->dead_until_ms : now_ms;
}

void queue_destination_end(struct queue_destinations *t, struct queue_destination *d)
{
    d->sessions--;
    t->sessions--;
    place(t, d);
    if (d->sessions > 0 || d->due_ms != INT64_MAX || dead(d))
        return;
    map_take(&t->by_domain, span_z(d->domain));
    destroy(d);
}
