/* One coroutine sends while there is something in line, and ends. Notes keep their order: the results of a message are behind
 * its attempt, in the same call or a later one. */
#include "roles/relay_note.h"

#include "base/limits.h"
#include "base/log.h"
#include "roles/relay_out.h"

enum { AGAIN_MS = 1000, CALL_BYTES = 100 * 1024 };

static struct list line = {&line, &line};
static bool running;

static void settle(struct relay_note *n, bool refused)
{
    list_remove(&n->node);
    n->refused = refused;
    n->settled = true;
    if (n->waiter != NULL)
        coro_wake(n->waiter);
}

/* A store that started anew has given our leases to others by now. What it may have in writing is told all the same. */
static bool stale(const struct relay_note *n)
{
    return !n->ours && !n->sent && n->epoch != relay_out.epoch;
}

static void drop_stale(void)
{
    for (struct list *l = line.next, *next; l != &line; l = next) {
        struct relay_note *n = LIST_ITEM(l, struct relay_note, node);
        next = l->next;
        if (stale(n))
            settle(n, true);
    }
}

static size_t size_of(const struct relay_note *n)
{
    size_t bytes = n->place.host.n + n->place.tls.n + n->n_tries * 20 + 40;
    for (size_t i = 0; i < n->n_done; i++)
        bytes += 60 + n->done[i].status.n + n->done[i].text.n;
    for (size_t i = 0; i < n->n_tried; i++)
        bytes += 40 + n->tried[i].host.n + n->tried[i].tls.n + n->tried[i].status.n + n->tried[i].text.n;
    return bytes;
}

/* ---- one call ---- */

struct call {
    struct relay_note **v;
    size_t n;
    struct msg_queue_note ask;
    struct msg_queue_note_r answer;
};

/* The first of the line, as many as fit; at most `most`. */
static void gather(struct call *c, size_t most, struct arena *mem)
{
    size_t bytes = 0, places = 0, tried = 0, tries = 0, done = 0;
    struct list *l = line.next;
    for (; l != &line && places < most; l = l->next) {
        struct relay_note *n = LIST_ITEM(l, struct relay_note, node);
        bytes += size_of(n);
        if (places > 0 && bytes > CALL_BYTES)
            break;
        places++;
        tried += n->n_tried;
        tries += n->n_tries;
        done += n->n_done;
    }
    *c = (struct call){.v = arena_alloc(mem, (places + 1) * sizeof *c->v)};
    c->ask.places.v = arena_alloc(mem, (places + 1) * sizeof *c->ask.places.v);
    c->ask.tried.v = arena_alloc(mem, (tried + 1) * sizeof *c->ask.tried.v);
    c->ask.tries.v = arena_alloc(mem, (tries + 1) * sizeof *c->ask.tries.v);
    c->ask.done.v = arena_alloc(mem, (done + 1) * sizeof *c->ask.done.v);
    for (l = line.next; c->n < places; l = l->next) {
        struct relay_note *n = LIST_ITEM(l, struct relay_note, node);
        uint32_t at = c->ask.places.n;
        c->v[c->n++] = n;
        c->ask.places.v[c->ask.places.n++] = n->place;
        for (size_t i = 0; i < n->n_tried; i++) {
            c->ask.tried.v[c->ask.tried.n] = n->tried[i];
            c->ask.tried.v[c->ask.tried.n++].place = at;
        }
        for (size_t i = 0; i < n->n_tries; i++) {
            c->ask.tries.v[c->ask.tries.n] = n->tries[i];
            c->ask.tries.v[c->ask.tries.n++].place = at;
        }
        for (size_t i = 0; i < n->n_done; i++) {
            c->ask.done.v[c->ask.done.n] = n->done[i];
            c->ask.done.v[c->ask.done.n++].place = at;
        }
        n->sent = true;
    }
}

static void take_answer(struct call *c)
{
    uint32_t at = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct relay_note *n = c->v[i];
        bool refused = false;
        if (n->n_tries > 0) {
            const struct msg_queue_begun *b = at < c->answer.begun.n ? &c->answer.begun.v[at++] : NULL;
            refused = b == NULL || b->qid != n->tries[0].qid || b->refused != 0;
            if (!refused && b->text.n > 0)
                n->text = arena_copy(n->mem, b->text);
        }
        settle(n, refused);
    }
}

/* 0, or -1: the store did not take it. It is asked until it says yes or no: an attempt that it has written down and we know
 * nothing of would never end. */
static WAITS int call(struct call *c, struct arena *mem, struct fail *f)
{
    int rc;
    do
        rc = IPC_CALL(ROLE_STORE, queue_note, &c->ask, &c->answer, mem, f);
    while (rc < 0 && strcmp(f->code, IPC_NO_ANSWER) == 0 && !relay_out.stopping);
    return rc;
}

/* Alone it is refused: then an attempt is none, and a result is told until it is taken: what became of an attempt is known
 * here only, and without it the recipient would wait for our end and then be tried again. */
static WAITS void refused(struct relay_note *n, const struct fail *why)
{
    if (n->n_done == 0) {
        settle(n, true);
        return;
    }
    LOG(LOG_ERROR, "relay.result", L_SPAN("host", n->place.host), L_INT("untold", (int64_t)n->n_done), L_Z("why", why->text));
    coro_sleep(AGAIN_MS);
}

/* Returns how many may go together in the next call: one that the store cannot take must not keep the others back. */
static WAITS size_t send_some(size_t most, struct arena *mem)
{
    struct call c;
    struct fail f;
    gather(&c, most, mem);
    if (call(&c, mem, &f) == 0) {
        take_answer(&c);
        return most == SIZE_MAX ? most : most + 1;
    }
    if (relay_out.stopping || coro_cancelled())
        for (size_t i = 0; i < c.n; i++)
            settle(c.v[i], true);
    else if (c.n == 1)
        refused(c.v[0], &f);
    return 1;
}

static WAITS void send_all(void *arg)
{
    struct arena mem;
    size_t most = SIZE_MAX;
    arena_init(&mem);
    for (drop_stale(); !list_empty(&line); drop_stale()) {
        arena_reset(&mem);
        most = send_some(most, &mem);
    }
    arena_done(&mem);
    running = false;
}

/* ---- for sessions ---- */

void relay_note_put(struct relay_note *n)
{
    n->sent = n->settled = n->refused = false;
    n->text = SPAN_NONE;
    list_push(&line, &n->node);
    if (!running && coro_start(send_all, NULL) != NULL)
        running = true;
}

WAITS void relay_note_wait(struct relay_note *n)
{
    n->waiter = coro_self();
    while (!n->settled) {
        if (running) {
            coro_wait_sure();
        } else { /* no stack was to be had for it */
            running = true;
            send_all(NULL);
        }
    }
    n->waiter = NULL;
}
