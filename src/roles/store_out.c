/* store_out: relay and the queue (see the header).
 *
 * Leases are bound to a start of relay. The first call of a new one, and the end of the present one's channel, tell the
 * committer who is there now: leases and attempts of others end with that. */
#include "roles/store_out.h"

#include "base/clock.h"
#include "roles/store_role.h"
#include "run/loop.h"

enum { TIDY_MS = 30000 };

static uint64_t relay_boot; /* 0: none is there */
static struct loop_timer tidy_timer;
static bool stopped;

static void relay_is(uint64_t boot)
{
    relay_boot = boot;
    store_role_post(store_role_alone(STORE_QUEUE_PEER, boot, 0));
}

void store_out_relay(struct ipc_req *req)
{
    if (req->peer.boot != relay_boot)
        relay_is(req->peer.boot);
    store_role_write(req, req->peer.boot, NULL);
}

void store_out_return(const struct ipc_peer *peer, const void *in)
{
    const struct msg_queue_return *m = in;
    if (peer->boot != relay_boot)
        return;
    struct store_write *w = store_role_alone(MSG_ID_queue_return, peer->boot, sizeof *m);
    struct msg_queue_return *own = (struct msg_queue_return *)(uintptr_t)w->in;
    own->lease = m->lease;
    own->rids.n = m->rids.n;
    own->rids.v = arena_alloc(w->mem, m->rids.n * sizeof *m->rids.v + 1);
    memcpy(own->rids.v, m->rids.v, m->rids.n * sizeof *m->rids.v);
    store_role_post(w);
}

void store_out_closed(struct ipc_peer peer, bool calls)
{
    if (peer.kind == ROLE_RELAY && !calls && peer.boot == relay_boot && !stopped)
        relay_is(0);
}

void store_out_people(struct ipc_req *req) { store_role_write(req, 0, NULL); }

/* ---- what has become due: from the committer over to the loop ---- */

struct news {
    struct loop_post post;
    struct arena mem;
    size_t n;
    struct msg_queue_ready *v;
};

static void news_run(struct loop_post *p)
{
    struct news *news = CONTAINER_OF(p, struct news, post);
    for (size_t i = 0; i < news->n; i++)
        ipc_post_to(ROLE_RELAY, MSG_ID_queue_ready, &news->v[i]);
    arena_done(&news->mem);
    free(news);
}

static void ready(void *arg, const struct msg_queue_ready *v, size_t n)
{
    struct news *news = base_alloc(sizeof *news);
    arena_init(&news->mem);
    news->post.run = news_run;
    news->n = n;
    news->v = arena_alloc(&news->mem, n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        news->v[i] = (struct msg_queue_ready){.domain = arena_copy(&news->mem, v[i].domain), .due_ms = v[i].due_ms};
    loop_post(&news->post);
}

/* ---- life ---- */

static void tidy(struct loop_timer *t)
{
    store_role_post(store_role_alone(STORE_QUEUE_TIDY, 0, 0));
    loop_timer_set(t, clock_mono_ms() + TIDY_MS);
}

void store_out_start(struct store *s)
{
    relay_boot = 0;
    store_on_ready(s, ready, NULL);
    loop_timer_init(&tidy_timer, tidy);
    loop_timer_set(&tidy_timer, clock_mono_ms() + TIDY_MS);
}

void store_out_stop(void)
{
    stopped = true;
    loop_timer_clear(&tidy_timer);
}
