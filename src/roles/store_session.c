/* store_session: sessions, locks and watches of the store role (see the header). Loop thread only, but for _watched. */
#include "roles/store_session.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "run/loop.h"

#include <stdatomic.h>

enum { ORPHAN_MS = 3600 * 1000, SWEEP_MS = 60 * 1000 };

/* How many sessions of a front watch an account. */
struct watcher { uint64_t boot; size_t n; };
struct watched { VEC(struct watcher) fronts; };

static struct map sessions;     /* by handle */
static struct map locks;        /* by mailbox: the session */
static struct map watches;      /* by account: struct watched */
static _Atomic size_t n_watching;
static struct loop_timer sweep_timer;

bool store_session_watched(void) { return atomic_load_explicit(&n_watching, memory_order_relaxed) != 0; }
size_t store_session_count(void) { return map_count(&sessions); }

/* ---- watches ---- */

static void watch_one_less(const struct store_session *s)
{
    struct watched *w = map_get_u64(&watches, s->account);
    for (size_t i = 0; w != NULL && i < w->fronts.n; i++) {
        if (w->fronts.v[i].boot != s->front_boot)
            continue;
        n_watching--;
        if (--w->fronts.v[i].n == 0)
            w->fronts.v[i] = w->fronts.v[--w->fronts.n];
        break;
    }
    if (w != NULL && w->fronts.n == 0) {
        map_take_u64(&watches, s->account);
        VEC_FREE(&w->fronts);
        free(w);
    }
}

void store_session_watch(struct store_session *s)
{
    if (s->watching)
        return;
    struct watched *w = map_get_u64(&watches, s->account);
    s->watching = true;
    n_watching++;
    if (w == NULL) {
        w = base_alloc(sizeof *w);
        map_put_u64(&watches, s->account, w);
    }
    for (size_t i = 0; i < w->fronts.n; i++) {
        if (w->fronts.v[i].boot == s->front_boot) {
            w->fronts.v[i].n++;
            return;
        }
    }
    *VEC_PUSH(&w->fronts) = (struct watcher){s->front_boot, 1};
}

void store_session_changed(const struct msg_changed *m)
{
    struct watched *w = map_get_u64(&watches, m->account);
    for (size_t i = 0; w != NULL && i < w->fronts.n; i++)
        ipc_post_boot(ROLE_FRONT_USER, w->fronts.v[i].boot, MSG_ID_changed, m);
}

/* ---- sessions ---- */

static void end(struct store_session *s)
{
    map_take(&sessions, span_of(s->handle, sizeof s->handle));
    if (s->locked != 0)
        map_take_u64(&locks, s->locked);
    if (s->watching)
        watch_one_less(s);
    free(s);
}

void store_session_add(const struct msg_session_add *m)
{
    if (m->handle.n != 16) {
        LOG(LOG_ERROR, "store.session", L_Z("why", "a handle has 16 bytes"));
        return;
    }
    struct store_session *s = map_get(&sessions, m->handle);
    if (s == NULL) {
        s = base_alloc(sizeof *s);
        memcpy(s->handle, m->handle.p, sizeof s->handle);
        map_put(&sessions, m->handle, s);
    } else if (s->account != m->account || s->front_boot != m->front_boot) {
        LOG(LOG_ERROR, "store.session", L_Z("why", "a handle was told twice"));
        return;
    }
    s->account = m->account;
    s->front_boot = m->front_boot;
    s->service = m->service;
    snprintf(s->lang, sizeof s->lang, "%.*s", SPAN_ARGS(m->lang));
    s->used_ms = clock_mono_ms();
    s->orphan = false;
}

void store_session_end(struct span handle)
{
    struct store_session *s = map_get(&sessions, handle);
    if (s != NULL)
        end(s);
}

static void end_where(bool (*is)(const struct store_session *s, uint64_t value), uint64_t value)
{
    size_t at = 0;
    void *s;
    while (map_next(&sessions, &at, NULL, &s))
        if (is(s, value))
            end(s);
}

static bool of_account(const struct store_session *s, uint64_t account) { return s->account == account; }
static bool of_front(const struct store_session *s, uint64_t boot) { return s->front_boot == boot; }
static bool lost(const struct store_session *s, uint64_t before) { return s->orphan && s->used_ms < (int64_t)before; }

void store_session_end_account(uint64_t account) { end_where(of_account, account); }
void store_session_end_front(uint64_t boot) { end_where(of_front, boot); }

void store_session_orphan_all(void)
{
    size_t at = 0;
    void *s;
    while (map_next(&sessions, &at, NULL, &s))
        ((struct store_session *)s)->orphan = true;
}

static void sweep(struct loop_timer *t)
{
    end_where(lost, (uint64_t)MAX_OF(clock_mono_ms() - ORPHAN_MS, 0));
    loop_timer_set(t, clock_mono_ms() + SWEEP_MS);
}

void store_session_start(void)
{
    map_init(&sessions);
    map_init(&locks);
    map_init(&watches);
    loop_timer_init(&sweep_timer, sweep);
    loop_timer_set(&sweep_timer, clock_mono_ms() + SWEEP_MS);
}

struct store_session *store_session_find(struct span handle, const struct ipc_peer *peer, struct fail *f)
{
    struct store_session *s = map_get(&sessions, handle);
    if (s == NULL) { /* the front may have been faster than auth's word of it */
        ipc_poll(ROLE_AUTH);
        s = map_get(&sessions, handle);
    }
    if (s == NULL) {
        fail_temp(f, "4.3.0", "the session is not known here: log in again");
        return NULL;
    }
    if (s->front_boot != peer->boot) {
        LOG(LOG_ERROR, "store.stolen_front", L_Z("front", role_kind_name(peer->kind)), L_INT("index", peer->index),
            L_INT("account", (int64_t)s->account));
        fail_perm(f, "5.7.0", "this session belongs to another process");
        return NULL;
    }
    s->used_ms = clock_mono_ms();
    return s;
}

int store_session_lock(struct store_session *s, uint64_t mailbox, struct fail *f)
{
    struct store_session *holder = map_get_u64(&locks, mailbox);
    if (holder == s)
        return 0;
    /* RFC 1939 3: a POP3 session ends by itself after its idle time; this one's end nobody could tell us */
    if (holder != NULL && holder->orphan && holder->used_ms < clock_mono_ms() - (LIMIT(POP3_IDLE_S) + 60) * 1000) {
        end(holder);
        holder = NULL;
    }
    if (holder != NULL)
        return fail_temp(f, "4.2.0", "another session has this mailbox locked");
    if (s->locked != 0)
        return fail_temp(f, "4.2.0", "this session has another mailbox locked");
    s->locked = mailbox;
    map_put_u64(&locks, mailbox, s);
    return 0;
}
