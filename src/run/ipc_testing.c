/* Messages of random contents; the walk is written again here, so that it does not repeat a mistake of ipc_code.c. */
#include "run/ipc_testing.h"

#include "run/loop.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct any_list {
    char *v;
    uint32_t n;
};

uint64_t ipc_testing_next(struct ipc_random *r) /* splitmix64 */
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct span random_span(struct ipc_random *r, struct arena *mem, size_t most)
{
    size_t n = ipc_testing_next(r) % (most + 1);
    char *p = arena_alloc(mem, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)ipc_testing_next(r);
    return span_of(p, n);
}

void ipc_testing_fill(struct ipc_random *r, const struct ipc_layout *l, void *msg, struct arena *mem, size_t most)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        void *at = (char *)msg + f->offset;
        if (f->type == IPC_T_u32)
            *(uint32_t *)at = (uint32_t)ipc_testing_next(r);
        if (f->type == IPC_T_u64 || f->type == IPC_T_i64)
            *(uint64_t *)at = ipc_testing_next(r);
        if (f->type == IPC_T_fd)
            *(int *)at = IPC_FD_NONE;
        if (f->type == IPC_T_bytes)
            *(struct span *)at = random_span(r, mem, most);
        if (f->type == IPC_T_list) {
            const struct ipc_layout *record = f->record();
            struct any_list list = {NULL, (uint32_t)(ipc_testing_next(r) % 9)};
            list.v = arena_zalloc(mem, (size_t)list.n * record->size + 1);
            for (uint32_t k = 0; k < list.n; k++)
                ipc_testing_fill(r, record, list.v + (size_t)k * record->size, mem, most);
            *(struct any_list *)at = list;
        }
    }
}

static bool same_list(const struct ipc_layout *l, const struct any_list *a, const struct any_list *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!ipc_testing_same(l, a->v + (size_t)i * l->size, b->v + (size_t)i * l->size))
            return false;
    return true;
}

bool ipc_testing_same(const struct ipc_layout *l, const void *a, const void *b)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
        if (f->type == IPC_T_u32 && *(const uint32_t *)x != *(const uint32_t *)y)
            return false;
        if ((f->type == IPC_T_u64 || f->type == IPC_T_i64) && *(const uint64_t *)x != *(const uint64_t *)y)
            return false;
        if (f->type == IPC_T_bytes && !span_eq(*(const struct span *)x, *(const struct span *)y))
            return false;
        if (f->type == IPC_T_list && !same_list(f->record(), x, y))
            return false;
    }
    return true;
}

/* ---- processes ---- */

int ipc_testing_failed;

static void detach(struct ipc_chan *ch, const struct ipc_peer *peer, void *arg) { ipc_detach(ch); }

static void run_and_stop(void *arg)
{
    void (*const *fn)(void) = arg;
    (*fn)();
    for (int k = 0; k < ROLE_COUNT; k++)
        ipc_each((enum role_kind)k, detach, NULL);
    loop_stop();
}

int ipc_testing_run(void (*fn)(void))
{
    ipc_testing_failed = 0;
    if (loop_init() < 0)
        return -1;
    coro_start(run_and_stop, &fn);
    loop_run();
    loop_done();
    return ipc_testing_failed;
}

static void stop_serving(struct ipc_peer peer, bool calls) { loop_stop(); }

struct ipc_server ipc_testing_server(enum role_kind self, enum role_kind peer, const struct ipc_handler *rows, size_t n)
{
    int ends[2];
    struct ipc_server s = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || (s.pid = fork()) < 0)
        return s;
    if (s.pid > 0) {
        close(ends[1]);
        s.fd = ends[0];
        return s;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    ipc_testing_failed = 0;
    loop_init();
    ipc_self(self);
    ipc_on_close(stop_serving);
    ipc_serve(rows, n);
    ipc_attach(ends[1], (struct ipc_peer){peer, 0, 1}, false, true);
    loop_run();
    _exit(ipc_testing_failed ? 1 : 0);
}

int ipc_testing_wait(struct ipc_server *s)
{
    int status = -1;
    if (waitpid(s->pid, &status, 0) != s->pid)
        return -1;
    return status == 0 ? 0 : -1;
}
