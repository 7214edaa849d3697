/* role: what all roles have in common. Master speaks first, on descriptor 3: configuration, who we are, what we listen
 * on; at ctl_go the process closes itself in and begins. When master's end closes, it exits. */
#include "run/role.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "run/config.h"
#include "run/loop.h"
#include "run/role_accept.h"
#include "run/sandbox.h"
#include "run/shared.h"
#include "run/work.h"

enum { CONTROL_FD = 3, IDLE_POLL_MS = 20 };

static const struct role_def *role;
static struct ipc_chan *master;
static uint32_t self_index;
static uint64_t self_boot;
static bool begun, stopping, retiring;
static void (*on_peer)(const struct ipc_peer *peer, struct ipc_chan *ch);

static VEC(struct callee { struct ipc_peer peer; struct ipc_chan *ch; }) callees; /* whom we call */
static size_t callers; /* channels that we serve, admins and master not counted */

bool role_stopping(void) { return stopping; }
uint64_t role_boot(void) { return self_boot; }
void role_on_peer(void (*fn)(const struct ipc_peer *, struct ipc_chan *)) { on_peer = fn; }

void role_fatal(const struct fail *f)
{
    LOG(LOG_ERROR, "role.fatal", L_Z("code", f->code), L_Z("why", f->text));
    _exit(1);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------ */

void role_stopped(void)
{
    loop_stop();
}

static void stop_when_idle(struct loop_timer *t)
{
    if (ipc_idle())
        role_stopped();
    else
        loop_timer_set(t, clock_mono_ms() + IDLE_POLL_MS);
}

static void ctl_stop(const struct ipc_peer *peer, const void *in)
{
    static struct loop_timer idle;
    if (stopping)
        return;
    stopping = true;
    role_accept_end();
    if (begun && role->stop != NULL) {
        role->stop();
        return;
    }
    loop_timer_init(&idle, stop_when_idle);
    stop_when_idle(&idle);
}

static void ctl_reload(const struct ipc_peer *peer, const void *in)
{
    if (begun && !stopping && role->reload != NULL)
        role->reload();
}

void role_retire(void)
{
    if (retiring || stopping)
        return;
    retiring = true;
    ipc_post_to(ROLE_MASTER, MSG_ID_ctl_retire, &(struct msg_ctl_retire){});
}

static void forget_callee(uint64_t boot)
{
    for (size_t i = 0; i < callees.n; i++)
        if (callees.v[i].peer.boot == boot) {
            callees.v[i] = callees.v[--callees.n];
            return;
        }
}

static void closed(struct ipc_peer peer, bool calls)
{
    if (peer.kind == ROLE_MASTER)
        _exit(1); /* nobody would start us again, or stop us */
    if (peer.kind == ROLE_ADMIN)
        return;
    if (calls)
        forget_callee(peer.boot);
    else if (--callers == 0 && retiring)
        role_stopped();
}

/* ---- what master says ----------------------------------------------------------------------------------------------------- */

/* A message lies in memory that is ours until the handler returns; -1 in it keeps ipc from closing the descriptor. */
static int keep(const int *fd)
{
    int mine = *fd;
    *(int *)(uintptr_t)fd = -1;
    return mine;
}

static void ctl_config(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_config *m = in;
    struct fail f = {0};
    struct config *c = config_parse(m->text, "postel.conf", &f);
    if (c == NULL)
        role_fatal(&f);
    config_use(c);
    log_setup(role_kind_name(role->kind), (enum log_level)config_count(CONFIG_server_log_level));
}

static void ctl_self(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_self *m = in;
    assert(m->kind == role->kind);
    self_index = m->index;
    self_boot = m->boot;
}

static void ctl_page(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_page *m = in;
    int bad;
    if (m->kind == ROLE_MASTER)
        bad = shared_map_clock(m->page);
    else if (m->kind == role->kind && m->index == self_index)
        bad = shared_map_own(m->page);
    else
        bad = shared_map_peer((enum role_kind)m->kind, m->page);
    if (bad != 0)
        LOG(LOG_ERROR, "role.page", L_INT("kind", m->kind), L_Z("error", strerror(errno)));
}

static void ctl_listener(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_listener *m = in;
    assert(m->service < SERVICE_COUNT);
    role_accept_service(keep(&m->socket), (enum service_id)m->service);
}

static void ctl_admin(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_admin *m = in;
    role_accept_admin(keep(&m->socket));
}

/* A successor is there: what it replaces gets no new call, and is closed once it has answered. */
static void drain_older(const struct ipc_peer *fresh)
{
    for (size_t i = 0; i < callees.n; i++) {
        const struct callee *c = &callees.v[i];
        if (c->peer.kind == fresh->kind && c->peer.index == fresh->index && c->peer.boot != fresh->boot)
            ipc_drain(c->ch);
    }
}

static void ctl_peer(const struct ipc_peer *from, const void *in)
{
    const struct msg_ctl_peer *m = in;
    struct ipc_peer peer = {.kind = (enum role_kind)m->kind, .index = m->index, .boot = m->boot};
    struct ipc_chan *ch = ipc_attach(keep(&m->socket), peer, m->calls != 0, m->calls == 0);
    if (ch == NULL)
        return;
    if (m->calls != 0) {
        *VEC_PUSH(&callees) = (struct callee){peer, ch};
        drain_older(&peer);
    } else {
        callers++;
    }
    if (on_peer != NULL)
        on_peer(&peer, ch);
}

/* What must be read from files before they are out of reach (doc/architecture.md, 1). */
static void warm(void)
{
    tzset();
    if (ROLE_BIT(role->kind) & (ROLES_FRONT | ROLE_BIT(ROLE_AUTH) | ROLE_BIT(ROLE_RELAY)))
        OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* what TLS we speak is not /etc/ssl/openssl.cnf's to say */
}

static int close_in(struct sandbox_level *level, struct fail *f)
{
    bool files = role->dir != NULL;
    if (chdir(files ? role->dir : "/") < 0)
        return fail_errno(f, files ? role->dir : "/", errno);
    if (!files && role->prepare != NULL && role->prepare(f) < 0)
        return -1;
    if (sandbox_early(role->kind, files ? "." : NULL, level, f) < 0)
        return -1;
    if (work_start(role->threads) < 0)
        return fail_errno(f, "starting threads", errno);
    if (role->start != NULL && role->start(f) < 0)
        return -1;
    if (files && role->prepare != NULL && role->prepare(f) < 0)
        return -1;
    return sandbox_enter(role->kind, level, f);
}

static void ctl_go(const struct ipc_peer *peer, const void *in)
{
    struct fail f = {0};
    struct sandbox_level level;
    char text[128];
    warm();
    if (close_in(&level, &f) < 0 || (role->begin != NULL && role->begin(&f) < 0) || role_accept_begin(role, &f) < 0)
        role_fatal(&f);
    begun = true;
    sandbox_describe(&level, text);
    ipc_post_on(master, MSG_ID_ctl_ready, &(struct msg_ctl_ready){.isolation = span_z(text)});
}

static const struct ipc_handler control[] = {
    {.id = MSG_ID_ctl_config, .post = ctl_config}, {.id = MSG_ID_ctl_self, .post = ctl_self},
    {.id = MSG_ID_ctl_page, .post = ctl_page},     {.id = MSG_ID_ctl_listener, .post = ctl_listener},
    {.id = MSG_ID_ctl_admin, .post = ctl_admin},   {.id = MSG_ID_ctl_peer, .post = ctl_peer},
    {.id = MSG_ID_ctl_go, .post = ctl_go},         {.id = MSG_ID_ctl_stop, .post = ctl_stop},
    {.id = MSG_ID_ctl_reload, .post = ctl_reload},
};

int role_main(const struct role_def *def)
{
    struct stat st;
    role = def;
    log_setup(role_kind_name(def->kind), LOG_INFO);
    if (fstat(CONTROL_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        fprintf(stderr, "A role is started by `postel serve`, not by hand.\n");
        return 2;
    }
    /* Master alone says when to stop: a terminal's ^C reaches every process of the group. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, role_kind_name(def->kind), 0, 0, 0); /* execveat leaves the number of a descriptor there */
    if (loop_init() < 0)
        base_die("loop_init");
    ipc_self(def->kind);
    ipc_serve(control, COUNT_OF(control));
    ipc_serve(def->handlers, def->n_handlers);
    ipc_on_close(closed);
    master = ipc_attach(CONTROL_FD, (struct ipc_peer){.kind = ROLE_MASTER}, false, true);
    if (master == NULL)
        return 1;
    loop_run();
    ipc_flush();
    work_stop();
    return 0;
}
