/* auth_attempts: who tried to log in to which account, gathered and written some seconds later in one transaction: a login
 * waits for no disk (PERFORMANCE). A crash loses what was not written. */
#include <arpa/inet.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/auth.h"
#include "run/loop.h"
#include "run/role.h"

enum { FLUSH_MS = 3000, PENDING_MOST = 5000 };

static VEC(struct directory_attempt) pending;
static struct loop_timer timer;
static bool writing;

static bool alike(const struct directory_attempt *a, const struct directory_attempt *b)
{
    return a->account == b->account && a->result == b->result && a->app == b->app && a->service == b->service &&
           a->mech == b->mech && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

void auth_attempts_note(const struct directory_attempt *a)
{
    for (size_t i = 0; i < pending.n && i < 100; i++)
        if (alike(a, &pending.v[pending.n - 1 - i])) {
            pending.v[pending.n - 1 - i].count++;
            pending.v[pending.n - 1 - i].at_s = a->at_s;
            return;
        }
    if (pending.n >= PENDING_MOST) /* more in some seconds than anybody would read */
        return;
    *VEC_PUSH(&pending) = *a;
    if (pending.n == 1)
        loop_timer_set(&timer, clock_mono_ms() + FLUSH_MS);
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

struct job {
    struct directory_attempt *v;
    size_t n;
    int rc;
    bool broken;
    struct fail fail;
};

static void write_run(void *arg)
{
    struct job *job = arg;

    job->rc = directory_write_attempts(auth.directory, job->v, job->n, &job->broken, &job->fail);
}

WAITS void auth_attempts_flush(void)
{
    struct job job = {.v = pending.v, .n = pending.n};
    struct fail f;

    if (pending.n == 0)
        return;
    pending.v = NULL;
    pending.n = pending.cap = 0;
    if (auth_admin_quiet(write_run, &job, &f) < 0) {
        job.rc = -1;
        job.fail = f;
    }
    if (job.broken)
        role_fatal(&job.fail);
    if (job.rc < 0)
        LOG(LOG_WARN, "auth.attempts", L_INT("lost", (int64_t)job.n), L_Z("why", job.fail.text));
    free(job.v);
}

static WAITS void flush_coro(void *arg)
{
    auth_attempts_flush();
    writing = false;
}

static void fire(struct loop_timer *t)
{
    if (writing) {
        loop_timer_set(t, clock_mono_ms() + FLUSH_MS);
        return;
    }
    writing = coro_start(flush_coro, NULL) != NULL;
    if (!writing)
        loop_timer_set(t, clock_mono_ms() + FLUSH_MS);
}

void auth_attempts_init(void)
{
    loop_timer_init(&timer, fire);
}

bool auth_attempts_idle(void)
{
    if (pending.n > 0 && !writing)
        fire(&timer);
    return pending.n == 0 && !writing;
}
