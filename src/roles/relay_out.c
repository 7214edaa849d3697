/* The queue as relay sees it: for each domain when it has something to send. The store tells it all at the start, and what
 * is new as it comes; sessions start as the table of destinations allows. */
#include "roles/relay_out.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/config.h"
#include "run/loop.h"
#include "run/resolver.h"
#include "run/role.h"

enum { LOAD_AGAIN_MS = 1000, LOGIN_BYTES = 2000 };

struct relay_out relay_out;
static struct loop_timer timer;
static bool loading, load_again;

/* ---- options ----------------------------------------------------------------------------------------------------- */

/* "user password" on the first line of the file. */
static int read_login(struct span path, struct fail *f)
{
    char z[1024], *buf;
    if (path.n == 0)
        return 0;
    if (path.n >= sizeof z)
        return fail_perm(f, "5.5.4", "relay.smarthost_login: the file's name is too long");
    memcpy(z, path.p, path.n);
    z[path.n] = 0;
    int fd = open(z, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(f, z, errno);
    buf = arena_alloc(&relay_out.mem, LOGIN_BYTES);
    ssize_t n = read(fd, buf, LOGIN_BYTES);
    close(fd);
    struct span rest = span_of(buf, n < 0 ? 0 : (size_t)n), line = span_trim(span_split(&rest, '\n'));
    relay_out.password = line;
    relay_out.user = span_split(&relay_out.password, ' ');
    if (relay_out.user.n == 0 || relay_out.password.n == 0)
        return fail_perm(f, "5.5.4", "%s: write one line with user, a space, password", z);
    return 0;
}

int relay_out_prepare(struct fail *f)
{
    arena_init(&relay_out.mem);
    queue_destination_init(&relay_out.table);
    relay_out.helo = config_text(CONFIG_server_hostname);
    if (queue_route_parse(&relay_out.routes, config_text(CONFIG_relay_routes), config_text(CONFIG_relay_smarthost),
                          (uint16_t)config_count(CONFIG_relay_port), &relay_out.mem, f) < 0)
        return -1;
    return read_login(config_text(CONFIG_relay_smarthost_login), f);
}

/* ---- what waits -------------------------------------------------------------------------------------------------- */

/* The store's times are the wall clock's; a jump of that must not move our timers (REL-06). */
static int64_t mono_of(int64_t wall_ms)
{
    return clock_mono_ms() + MAX_OF(wall_ms - clock_now_ms(), (int64_t)0);
}

void relay_out_ready(const struct ipc_peer *peer, const void *in)
{
    const struct msg_queue_ready *ready = in;
    queue_destination_waits(&relay_out.table, ready->domain, mono_of(ready->due_ms));
    relay_out_pump();
}

/* Everything that waits, domain by domain. */
static WAITS int load(void)
{
    struct msg_queue_domains ask = {0};
    struct arena mem[2]; /* the page, and the name to go on behind while the next one is fetched */
    int result = 0;
    size_t domains = 0;
    arena_init(&mem[0]);
    arena_init(&mem[1]);
    for (unsigned turn = 0;; turn ^= 1) {
        struct msg_queue_domains_r page;
        struct fail f;
        arena_reset(&mem[turn]);
        if (IPC_CALL(ROLE_STORE, queue_domains, &ask, &page, &mem[turn], &f) < 0) {
            LOG(LOG_WARN, "relay.load", L_Z("why", f.text));
            result = -1;
            break;
        }
        for (uint32_t i = 0; i < page.domains.n; i++) {
            const struct msg_queue_domain *d = &page.domains.v[i];
            if (!d->suspended && d->waiting > 0)
                queue_destination_waits(&relay_out.table, d->domain, mono_of(d->due_ms));
            domains++;
        }
        relay_out_pump();
        if (!page.more || page.domains.n == 0)
            break;
        ask.after = page.domains.v[page.domains.n - 1].domain;
    }
    arena_done(&mem[0]);
    arena_done(&mem[1]);
    if (result == 0 && domains > 0)
        LOG(LOG_INFO, "relay.load", L_INT("domains", (int64_t)domains));
    return result;
}

static WAITS void load_main(void *arg)
{
    do {
        load_again = false;
        while (load() < 0 && coro_sleep(LOAD_AGAIN_MS) == WAIT_TIMEOUT)
            continue;
    } while (load_again && !relay_out.stopping);
    loading = false;
}

/* A store that started knows of no lease any more, and of everything that waits. */
void relay_out_peer(const struct ipc_peer *peer, struct ipc_chan *ch)
{
    if (peer->kind != ROLE_STORE || relay_out.stopping)
        return;
    relay_out.epoch++;
    load_again = true;
    if (!loading && coro_start(load_main, NULL) != NULL)
        loading = true;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void ring(struct loop_timer *t)
{
    relay_out_pump();
}

void relay_out_pump(void)
{
    int64_t next = INT64_MAX;
    struct queue_destination *d;
    while (!relay_out.stopping && (d = queue_destination_begin(&relay_out.table, clock_mono_ms(), &next)) != NULL) {
        if (coro_start(relay_work_run, d) == NULL) { /* no stack to be had: a session that ends will ask again */
            queue_destination_leased(&relay_out.table, d, clock_mono_ms() + LOAD_AGAIN_MS);
            queue_destination_end(&relay_out.table, d);
            break;
        }
        relay_out.workers++;
    }
    if (next == INT64_MAX || relay_out.stopping)
        loop_timer_clear(&timer);
    else
        loop_timer_set(&timer, next);
}

void relay_out_over(void)
{
    relay_out.workers--;
    if (relay_out.stopping && relay_out.workers == 0)
        role_stopped();
    else
        relay_out_pump();
}

void relay_out_begin(void)
{
    loop_timer_init(&timer, ring);
}

void relay_out_stop(void)
{
    relay_out.stopping = true;
    loop_timer_clear(&timer);
    resolver_give_up(); /* perhaps there is no net, and that is why we stop */
    if (relay_out.workers == 0)
        role_stopped();
}
