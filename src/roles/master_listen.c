/* master_listen: binds. A listening socket stands from start to stop, whatever becomes of the role that accepts on it:
 * who connects meanwhile waits in its queue. */
#include "roles/master_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/vec.h"

enum { BACKLOG = 1024 };

static VEC(struct master_listener) listeners;

static void name_of(int fd, char out[64])
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    char ip[INET6_ADDRSTRLEN] = "?";
    getsockname(fd, (struct sockaddr *)&a, &n);
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&a;
        snprintf(out, 64, "[%s]:%u", inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip), ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)&a;
        snprintf(out, 64, "%s:%u", inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip), ntohs(in->sin_port));
    }
}

static int bind_one(const struct config_addr *addr)
{
    const struct sockaddr *to = (const void *)addr->sockaddr;
    int yes = 1, fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0
        || (to->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) < 0)
        || bind(fd, to, addr->len) < 0 || listen(fd, BACKLOG) < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static const char *advice(int err)
{
    switch (err) {
    case EACCES: return "; ports below 1024 want root, or CAP_NET_BIND_SERVICE";
    case EADDRINUSE: return "; does another mail server run?";
    default: return "";
    }
}

static int listen_on(enum service_id service, const struct config_addr *addr, struct fail *f)
{
    int fd = bind_one(addr);
    if (fd < 0 && errno == EAFNOSUPPORT) { /* the default names IPv6, the machine may have none */
        LOG(LOG_WARN, "listen.skipped", L_Z("service", service_table[service].name), L_SPAN("at", addr->text));
        return 0;
    }
    if (fd < 0) {
        int err = errno;
        return fail_perm(f, "5.3.5", "cannot listen on %.*s (%s): %s%s", SPAN_ARGS(addr->text), service_table[service].name,
                         strerror(err), advice(err));
    }
    struct master_listener *l = VEC_PUSH(&listeners);
    l->fd = fd;
    l->service = service;
    name_of(fd, l->where);
    return 0;
}

/* What a server that was killed left there goes; a socket that somebody listens on, or anything else, stays. */
static int clear_path(const struct sockaddr_un *a, struct fail *f)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : fail_errno(f, a->sun_path, errno);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool stale = fd >= 0 && S_ISSOCK(st.st_mode) && connect(fd, (const struct sockaddr *)a, sizeof *a) < 0
        && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    if (!stale)
        return fail_perm(f, "5.3.5", "cannot listen on %.90s: it is there already, and no socket that was left behind", a->sun_path);
    return unlink(a->sun_path) == 0 ? 0 : fail_errno(f, a->sun_path, errno);
}

/* The directory of it, if only that is missing: /run is empty after each boot. */
static void make_parent(const char *path)
{
    char dir[sizeof ((struct sockaddr_un *)0)->sun_path];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == dir)
        return;
    *slash = 0;
    mode_t old = umask(022);
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        LOG(LOG_DEBUG, "listen.dir", L_Z("at", dir), L_Z("error", strerror(errno))); /* bind says it again, as the user sees it */
    umask(old);
}

/* The socket of the sendmail command: every user of the machine may connect, auth asks the kernel who it is. */
static int listen_path(enum service_id service, struct span path, struct fail *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (path.n >= sizeof a.sun_path || path.p[0] != '/')
        return fail_perm(f, "5.3.5", "listen.%s wants a path that begins with /", service_table[service].name);
    memcpy(a.sun_path, path.p, path.n);
    make_parent(a.sun_path);
    if (clear_path(&a, f) < 0)
        return -1;
    mode_t old = umask(0111);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int bad = fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0, err = errno;
    umask(old);
    if (bad) {
        if (fd >= 0)
            close(fd);
        return fail_perm(f, "5.3.5", "cannot listen on %.90s (%s): %s", a.sun_path, service_table[service].name, strerror(err));
    }
    struct master_listener *l = VEC_PUSH(&listeners);
    l->fd = fd;
    l->service = service;
    snprintf(l->where, sizeof l->where, "%s", a.sun_path);
    return 0;
}

int master_listen_services(const struct config *c, struct fail *f)
{
    if (config_get(c, CONFIG_sendmail_logins).n > 0
        && listen_path(SERVICE_sendmail, config_get(c, CONFIG_listen_sendmail), f) < 0)
        return -1;
    for (enum service_id s = 0; s < SERVICE_COUNT; s++) {
        const struct config_addr *addrs;
        size_t n = config_addrs(c, service_table[s].listen, &addrs);
        for (size_t i = 0; i < n; i++)
            if (listen_on(s, &addrs[i], f) < 0)
                return -1;
    }
    return 0;
}

size_t master_listen_all(const struct master_listener **out)
{
    *out = listeners.v;
    return listeners.n;
}

int master_listen_control(enum role_kind kind, struct fail *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "run/%s.sock", role_kind_name(kind));
    unlink(a.sun_path); /* of a server that was killed; the lock says that it is gone */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0) {
        fail_errno(f, a.sun_path, errno);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

void master_listen_end(void)
{
    for (size_t i = 0; i < listeners.n; i++)
        close(listeners.v[i].fd);
    VEC_FREE(&listeners);
}
