/* Connections that we open. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "run/conn_inner.h"

union any_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static socklen_t to_sockaddr(const struct conn_addr *a, union any_addr *out)
{
    *out = (union any_addr){0};
    if (a->v4) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(a->port);
        memcpy(&out->in.sin_addr, a->ip + 12, 4);
        return sizeof out->in;
    }
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(a->port);
    memcpy(&out->in6.sin6_addr, a->ip, 16);
    return sizeof out->in6;
}

int conn_addr_ip(struct conn_addr *out, struct span ip, uint16_t port)
{
    union any_addr a = {0};
    if (ip.n == 4) {
        a.in.sin_family = AF_INET;
        memcpy(&a.in.sin_addr, ip.p, 4);
    } else if (ip.n == 16) {
        a.in6.sin6_family = AF_INET6;
        memcpy(&a.in6.sin6_addr, ip.p, 16);
    } else {
        return -1;
    }
    conn_addr_from(out, &a);
    out->port = port;
    return 0;
}

/* The socket, its connection under way, or -1 with errno. */
static int begin(const struct conn_addr *to, const struct conn_addr *from)
{
    union any_addr addr;
    int fd = socket(to->v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    socklen_t n;
    if (from != NULL && (n = to_sockaddr(from, &addr), bind(fd, &addr.sa, n) != 0))
        goto fail;
    n = to_sockaddr(to, &addr);
    if (connect(fd, &addr.sa, n) != 0 && errno != EINPROGRESS)
        goto fail;
    return fd;
fail:;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

/* Waits for the connection; 0 or an errno. */
static WAITS int finish(struct conn *c, int64_t deadline_ms)
{
    int err = 0;
    socklen_t n = sizeof err;
    c->want = LOOP_WRITE;
    int r = c->dead ? WAIT_CLOSED : conn_io_wait(c, deadline_ms);
    if (r != WAIT_OK)
        return r == WAIT_TIMEOUT ? ETIMEDOUT : ECANCELED;
    if (getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
        return errno;
    return err;
}

static void refuse(const struct conn_addr *to, int err, struct fail *f)
{
    const char *why = strerrordesc_np(err);
    /* RFC 3463 3.5: X.4.1 no answer from host */
    fail_temp(f, "4.4.1", "connecting to %s port %u: %s", to->text, to->port, why ? why : "failed");
}

WAITS struct conn *conn_connect(const struct conn_addr *to, const struct conn_addr *from, int64_t wait_ms, struct fail *f)
{
    int64_t deadline = clock_mono_ms() + wait_ms;
    struct conn_addr local = {0};
    union any_addr addr;
    socklen_t n = sizeof addr;
    int fd = begin(to, from);
    if (fd < 0) {
        refuse(to, errno, f);
        return NULL;
    }
    struct conn *c = conn_new(fd, to, &local);
    int err = finish(c, deadline);
    if (err == 0 && getsockname(fd, &addr.sa, &n) != 0)
        err = errno;
    if (err != 0) {
        conn_io_dead(c);
        conn_free(c);
        refuse(to, err, f);
        return NULL;
    }
    conn_addr_from(&c->local, &addr);
    return c;
}
