/* role_accept: accepts as long as there is something to accept, in portions, so that a flood of connections does not
 * starve those that are served; without descriptors it rests a moment instead of spinning. */
#include "run/role_accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "run/loop.h"

enum { PORTION = 64, REST_MS = 100, COMPLAIN_MS = 10000, ADMINS_MAX = 64 };

struct listener {
    struct loop_io io;
    struct loop_timer again;
    struct listener *next;
    void (*take)(struct listener *l, int fd, const void *peer);
    enum service_id service;
};

static struct listener *listeners;
static const struct role_def *role;
static unsigned admins;

static void take_service(struct listener *l, int fd, const void *peer_raw)
{
    struct sockaddr_storage local_raw = {0};
    socklen_t n = sizeof local_raw;
    struct conn_addr peer, local;
    if (getsockname(fd, (struct sockaddr *)&local_raw, &n) < 0) {
        close(fd);
        return;
    }
    conn_addr_from(&peer, peer_raw);
    conn_addr_from(&local, &local_raw);
    role->accepted(l->service, fd, &peer, &local);
}

static void take_admin(struct listener *l, int fd, const void *peer)
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || (who.uid != 0 && who.uid != getuid())) {
        LOG(LOG_WARN, "admin.refused", L_INT("uid", who.uid), L_INT("pid", who.pid));
        close(fd);
        return;
    }
    if (admins >= ADMINS_MAX) {
        LOG(LOG_WARN, "admin.refused", L_Z("why", "too many connections"));
        close(fd);
        return;
    }
    if (ipc_attach(fd, (struct ipc_peer){.kind = ROLE_ADMIN, .boot = rand_u64()}, false, true) != NULL)
        admins++;
}

static void admin_closed(struct ipc_peer peer, bool calls)
{
    if (peer.kind == ROLE_ADMIN && admins > 0)
        admins--;
}

/* Whether the next accept may work at once. */
static bool goes_on(struct listener *l)
{
    static int64_t complained_ms = INT64_MIN / 2;
    if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
        return true;
    if (errno == EAGAIN)
        return false;
    if (clock_mono_ms() - complained_ms > COMPLAIN_MS) {
        complained_ms = clock_mono_ms();
        LOG(LOG_WARN, "accept.failed", L_Z("error", strerror(errno)));
    }
    loop_timer_set(&l->again, clock_mono_ms() + REST_MS); /* EMFILE, ENFILE, ENOBUFS, ENOMEM */
    return false;
}

static void accept_some(struct listener *l)
{
    for (int i = 0; i < PORTION; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t n = sizeof peer;
        int fd = accept4(l->io.fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            l->take(l, fd, &peer);
        else if (!goes_on(l))
            return;
    }
    loop_timer_set(&l->again, clock_mono_ms());
}

static void ready(struct loop_io *io, unsigned events)
{
    struct listener *l = CONTAINER_OF(io, struct listener, io);
    if (l->again.node.at == 0) /* else it rests */
        accept_some(l);
}

static void again(struct loop_timer *t)
{
    accept_some(CONTAINER_OF(t, struct listener, again));
}

static struct listener *add(int fd)
{
    struct listener *l = base_alloc(sizeof *l);
    l->io = (struct loop_io){.fd = fd, .ready = ready};
    loop_timer_init(&l->again, again);
    l->next = listeners;
    listeners = l;
    return l;
}

void role_accept_service(int fd, enum service_id service)
{
    struct listener *l = add(fd);
    l->take = take_service;
    l->service = service;
}

void role_accept_admin(int fd)
{
    add(fd)->take = take_admin;
}

int role_accept_begin(const struct role_def *def, struct fail *f)
{
    role = def;
    ipc_on_close(admin_closed);
    for (struct listener *l = listeners; l != NULL; l = l->next) {
        if (l->take == take_service && def->accepted == NULL)
            return fail_perm(f, "5.3.5", "%s serves no %s", role_kind_name(def->kind), service_table[l->service].name);
        if (loop_watch(&l->io) < 0)
            return fail_errno(f, "watching a listener", errno);
    }
    return 0;
}

void role_accept_end(void)
{
    for (struct listener *l; (l = listeners) != NULL;) {
        listeners = l->next;
        loop_timer_clear(&l->again);
        loop_unwatch(&l->io);
        close(l->io.fd);
        free(l);
    }
}
