/* A front: accepts, counts, starts a coroutine per connection, and at the end lets every session finish its command. */
#include "roles/front.h"

#include <malloc.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "roles/front_ip.h"
#include "roles/front_tls.h"
#include "run/feed.h"
#include "run/loop.h"
#include "run/proxy.h"
#include "run/shared.h"

enum { LINGER_QUIET_MS = 1500, LINGER_MS = 60000, STOP_MARGIN_MS = 500 };
enum { TRIM_FROM = 1000 /* sessions */ };

struct session {
    struct list node;
    struct coro *coro;
    const struct front_service *service;
    int fd;
    struct conn_addr peer, local;
    bool proxied; /* a PROXY header comes first */
    bool counted; /* at front_ip */
    struct session_login *login; /* of the sendmail command's user, counted in by_uid; else NULL */
    struct session_env env;
};

static const struct front_service *by_id[SERVICE_COUNT];
static struct list sessions;
static int64_t n_sessions, most_sessions; /* now; at most since memory was last given back */
static struct map by_uid;   /* uid -> how many sessions, as a pointer's value */
static bool stopping;

/* ---- one session ----------------------------------------------------------------------------------------------------- */

/* Reads away what a peer still sends, so that it gets our last reply and not a reset; bounded in every way. */
static WAITS void linger(struct conn *c, size_t most)
{
    int64_t until = clock_mono_ms() + LINGER_MS;
    size_t bytes = 0;
    conn_limit(c, LINGER_QUIET_MS);
    while (!conn_dead(c) && bytes < most && clock_mono_ms() < until) {
        size_t n = conn_input(c).n;
        bytes += n;
        conn_consume(c, n);
        if (conn_fill(c) != 0)
            break;
    }
}

static void count_refusal(const struct front_service *service, const struct conn_addr *peer)
{
    counter_add(COUNTER_REFUSED, 1);
    LOG(LOG_WARN, "front.refused", L_Z("service", service_table[service->id].name), L_Z("ip", peer->text));
}

/* The PROXY header that comes first from a listed source: reads it, and from then on the peer is the one it names. */
static WAITS bool introduced(struct session *s, struct conn *c)
{
    struct proxy p;
    size_t need;
    ptrdiff_t n;
    conn_limit(c, LIMIT(PROXY_HEADER_S) * 1000);
    while ((n = proxy_parse(conn_input(c), &p, &need)) == 0)
        if (conn_fill_most(c, need) != 0)
            return false;
    if (n < 0) {
        LOG(LOG_WARN, "front.proxy", L_Z("ip", s->peer.text), L_Z("why", "no PROXY header"));
        return false;
    }
    conn_consume(c, (size_t)n);
    if (!p.known)
        return true;
    conn_addr_of(&s->peer, p.peer, p.peer_port);
    conn_addr_of(&s->local, p.local, p.local_port);
    s->counted = front_ip_enter(&s->peer);
    conn_ends(c, &s->peer, &s->local);
    if (s->counted)
        return true;
    count_refusal(s->service, &s->peer);
    if (!service_table[s->service->id].tls)
        conn_writez(c, s->service->busy);
    return false;
}

static WAITS void run(struct session *s, struct conn *c)
{
    s->env.idle = true;
    if (s->proxied && !introduced(s, c))
        return;
    s->env.idle = false;
    if (service_table[s->service->id].tls) {
        s->env.idle = true;
        conn_limit(c, LIMIT(TLS_HANDSHAKE_S) * 1000);
        bool ok = front_tls_wait(s->service->id) && conn_tls_start(c, s->env.tls) == 0;
        s->env.idle = false;
        if (!ok)
            return;
    }
    s->service->run(c, &s->env);
    s->env.idle = true;
    if (s->env.linger > 0 && !s->env.stop)
        linger(c, s->env.linger);
}

/* After a burst of sessions malloc keeps what they used, in pieces between others; a long idle server should not. */
static void give_back(void)
{
    if (most_sessions < TRIM_FROM || n_sessions > most_sessions / 4)
        return;
    malloc_trim(0);
    most_sessions = n_sessions;
}

static int64_t sessions_of(uint32_t uid)
{
    return (int64_t)(uintptr_t)map_get_u64(&by_uid, uid);
}

static void count_uid(uint32_t uid, int64_t n)
{
    if (n > 0)
        map_put_u64(&by_uid, uid, (void *)(uintptr_t)n);
    else
        map_take_u64(&by_uid, uid);
}

/* What it was counted as, and the memory. */
static void drop(struct session *s)
{
    if (s->counted)
        front_ip_leave(&s->peer);
    if (s->login != NULL)
        count_uid(s->login->uid, sessions_of(s->login->uid) - 1);
    free(s->login);
    free(s);
}

static void forget(struct session *s)
{
    list_remove(&s->node);
    n_sessions--;
    counter_add(COUNTER_SESSIONS, -1);
    drop(s);
    give_back();
    if (stopping && n_sessions == 0)
        role_stopped();
}

static WAITS void session_main(void *arg)
{
    struct session *s = arg;
    struct conn *c = conn_new(s->fd, &s->peer, &s->local);
    run(s, c);
    conn_free(c);
    forget(s);
}

/* ---- arrival --------------------------------------------------------------------------------------------------------- */

static void say_and_close(int fd, const char *line)
{
    ssize_t sent = send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* a new connection has room for a line; if not, so be it */
    close(fd);
}

static void refuse(const struct front_service *service, int fd, const struct conn_addr *peer)
{
    count_refusal(service, peer);
    say_and_close(fd, service_table[service->id].tls ? "" : service->busy);
}

/* False: no coroutine is to be had, and s is gone. */
static bool start(struct session *s)
{
    s->coro = coro_start(session_main, s);
    if (s->coro == NULL) {
        drop(s);
        return false;
    }
    list_push(&sessions, &s->node);
    n_sessions++;
    most_sessions = MAX_OF(most_sessions, n_sessions);
    counter_add(COUNTER_ACCEPTED, 1);
    counter_add(COUNTER_SESSIONS, 1);
    return true;
}

void front_accepted(enum service_id id, int fd, const struct conn_addr *peer, const struct conn_addr *local)
{
    const struct front_service *service = by_id[id];
    if (stopping || service == NULL) {
        close(fd);
        return;
    }
    bool proxied = config_net_has(CONFIG_server_proxy, peer->ip);
    if (n_sessions >= LIMIT(SESSIONS) || (!proxied && !front_ip_enter(peer))) {
        refuse(service, fd, peer);
        return;
    }
    struct session *s = base_alloc(sizeof *s);
    *s = (struct session){.service = service, .fd = fd, .peer = *peer, .local = *local,
                          .proxied = proxied, .counted = !proxied,
                          .env = {.service = id, .tls = front_tls_of(id)}};
    if (!start(s))
        refuse(service, fd, peer);
}

/* ---- the sendmail command ------------------------------------------------------------------------------------------------ */

static bool start_uid(int fd, const struct msg_uid_login *m)
{
    struct session *s = base_alloc(sizeof *s);
    struct sockaddr_storage unix_end = {.ss_family = AF_UNIX};
    *s = (struct session){.service = by_id[SERVICE_sendmail], .fd = fd, .login = base_alloc(sizeof *s->login),
                          .env = {.service = SERVICE_sendmail}};
    conn_addr_from(&s->peer, &unix_end);
    s->local = s->peer;
    snprintf(s->peer.text, sizeof s->peer.text, "uid %u", m->uid); /* in the log and in the message's story */
    s->login->uid = m->uid;
    memcpy(s->login->handle, m->handle.p, sizeof s->login->handle);
    memcpy(s->login->address, m->address.p, s->login->address_n = m->address.n);
    s->env.login = s->login;
    count_uid(m->uid, sessions_of(m->uid) + 1);
    return start(s);
}

void front_uid_login(const struct ipc_peer *peer, const void *in)
{
    const struct msg_uid_login *m = in;
    int fd = m->socket;
    *(int *)(uintptr_t)&m->socket = -1; /* ours from here on */
    bool known = m->result == LOGIN_OK && m->handle.n == sizeof ((struct session_login *)0)->handle
        && m->address.n <= sizeof ((struct session_login *)0)->address;
    bool room = !stopping && n_sessions < LIMIT(SESSIONS) && sessions_of(m->uid) < LIMIT(SENDMAIL_PER_UID);
    if (known && room && start_uid(fd, m))
        return;
    if (m->result == LOGIN_BAD) {
        say_and_close(fd, "554 5.7.1 Your user has no account here\r\n");
        return;
    }
    say_and_close(fd, by_id[SERVICE_sendmail]->busy);
    struct msg_logout out = {.handle = m->handle};
    if (known)
        ipc_post_to(ROLE_AUTH, MSG_ID_logout, &out);
}

/* ---- begin and end ----------------------------------------------------------------------------------------------------- */

void front_peer(const struct ipc_peer *peer, struct ipc_chan *ch)
{
    front_tls_peer(peer);
    feed_peer(peer);
}

int front_begin(const struct front_service *services, size_t n, struct fail *f)
{
    list_init(&sessions);
    for (size_t i = 0; i < n; i++) {
        by_id[services[i].id] = &services[i];
        if (services[i].id != SERVICE_sendmail)
            front_tls_add(services[i].id);
    }
    role_on_peer(front_peer);
    return front_tls_begin(f);
}

static void cancel_sessions(bool busy_too)
{
    for (struct list *at = sessions.next; at != &sessions; at = at->next) {
        struct session *s = LIST_ITEM(at, struct session, node);
        s->env.stop = true;
        if (s->env.idle || busy_too)
            coro_cancel(s->coro);
    }
}

static void time_is_up(struct loop_timer *t)
{
    cancel_sessions(true);
}

void front_stop(void)
{
    static struct loop_timer timer;
    stopping = true;
    cancel_sessions(false);
    if (n_sessions == 0) {
        role_stopped();
        return;
    }
    loop_timer_init(&timer, time_is_up);
    loop_timer_set(&timer, clock_mono_ms() + MAX_OF(LIMIT(STOP_FRONT_S) * 1000 - STOP_MARGIN_MS, (int64_t)0));
}
