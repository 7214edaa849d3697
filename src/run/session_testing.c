/* A client that plays a script against a session over a pair of sockets. */
#include "run/session_testing.h"

#include <sys/socket.h>

#include "base/clock.h"

struct served {
    session_fn *session;
    enum service_id service;
    const struct conn_addr *peer;
    int fd;
    struct coro *waiter;
    bool over;
};

static const struct conn_addr there = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 7}, .v4 = true, .text = "192.0.2.7"};
static const struct conn_addr loop = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .v4 = true, .text = "127.0.0.1"};

static WAITS void serve(void *arg)
{
    struct served *v = arg;
    struct session_env env = {.service = v->service};
    struct conn *c = conn_new(v->fd, v->peer, v->peer);
    v->session(c, &env);
    while (env.linger && conn_fill(c) == 0) /* as a front does */
        conn_consume(c, conn_input(c).n);
    conn_free(c);
    v->over = true;
    coro_wake(v->waiter);
}

static WAITS void send_all(struct conn *c, struct span input, size_t step)
{
    while (input.n > 0 && !conn_dead(c)) {
        size_t n = step == 0 ? input.n : MIN_OF(step, input.n);
        conn_write(c, span_of(input.p, n));
        conn_flush(c);
        input = span_from(input, n);
        if (step > 0)
            coro_yield();
    }
}

/* What was said before the session left while we were still talking: our side broke, but it lies in the socket. */
static void rest(int fd, struct str *said)
{
    char piece[4096];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
        str_add(said, span_of(piece, (size_t)n));
}

WAITS struct span session_testing_talk(session_fn *session, enum service_id service, bool loopback, struct span input,
                                       size_t step, struct arena *mem)
{
    int ends[2], keep;
    struct str said;
    str_init(&said, mem);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return SPAN_NONE;
    struct served v = {.session = session, .service = service, .peer = loopback ? &loop : &there,
                       .fd = ends[0], .waiter = coro_self()};
    coro_start(serve, &v);
    keep = dup(ends[1]);
    struct conn *c = conn_new(ends[1], &loop, &loop);
    conn_limit(c, 20000);
    send_all(c, input, step);
    shutdown(keep, SHUT_WR);
    while (conn_fill(c) == 0 || conn_input(c).n > 0) {
        str_add(&said, conn_input(c));
        conn_consume(c, conn_input(c).n);
    }
    while (!v.over)
        coro_wait(clock_mono_ms() + 20000);
    rest(keep, &said);
    conn_free(c);
    close(keep);
    return str_span(&said);
}
