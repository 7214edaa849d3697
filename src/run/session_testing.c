/* A client that plays a script against a session over a pair of sockets. */
#include "run/session_testing.h"

#include <sys/socket.h>

#include "base/clock.h"

struct served {
    session_fn *session;
    enum service_id service;
    struct tls_service *tls;
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
    struct session_env env = {.service = v->service, .tls = v->tls};
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

/* All that came; false: nothing more will. */
static WAITS bool listen_once(struct conn *c, struct str *said)
{
    bool more = conn_fill(c) == 0 || conn_input(c).n > 0;
    str_add(said, conn_input(c));
    conn_consume(c, conn_input(c).n);
    return more;
}

/* One flight. *c becomes NULL when only the bare socket is left. False: the session has ended. */
static WAITS bool fly(struct conn **c, int keep, const struct session_flight *f, size_t step, struct str *said)
{
    static const struct tls_client_want any = {.verify = TLS_WANT_ANY, .name = {"mx.example.test", 15}};
    struct tls_client_got got;
    struct fail fail;
    if (*c == NULL) {
        if (f->bytes.n > 0)
            send(keep, f->bytes.p, f->bytes.n, MSG_NOSIGNAL);
        return true;
    }
    send_all(*c, f->bytes, step);
    while (f->heard != NULL && !f->heard(str_span(said), f->n))
        if (!listen_once(*c, said))
            return false;
    if (f->then == SESSION_TLS)
        return conn_tls_connect(*c, &any, &got, &fail) == 0;
    if (f->then == SESSION_CLEAR) {
        conn_free(*c);
        *c = NULL;
    }
    return true;
}

WAITS struct span session_testing_flights(session_fn *session, enum service_id service, bool loopback,
                                          struct tls_service *tls, const struct session_flight *v, size_t n, size_t step,
                                          struct arena *mem)
{
    int ends[2], keep;
    struct str said;
    str_init(&said, mem);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return SPAN_NONE;
    struct served served = {.session = session, .service = service, .tls = tls, .peer = loopback ? &loop : &there,
                            .fd = ends[0], .waiter = coro_self()};
    coro_start(serve, &served);
    keep = dup(ends[1]);
    struct conn *c = conn_new(ends[1], &loop, &loop);
    conn_limit(c, 20000);
    for (size_t i = 0; i < n; i++)
        if (!fly(&c, keep, &v[i], step, &said))
            break;
    shutdown(keep, SHUT_WR);
    while (c != NULL && listen_once(c, &said))
        ;
    while (!served.over)
        coro_wait(clock_mono_ms() + 20000);
    rest(keep, &said);
    conn_free(c);
    close(keep);
    return str_span(&said);
}

WAITS struct span session_testing_talk(session_fn *session, enum service_id service, bool loopback, struct span input,
                                       size_t step, struct arena *mem)
{
    struct session_flight all = {.bytes = input, .then = SESSION_END};
    return session_testing_flights(session, service, loopback, NULL, &all, 1, step, mem);
}
