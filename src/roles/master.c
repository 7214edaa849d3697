/* master: starts the roles, wires them together, starts again what dies, stops them in order. It reads nothing that
 * comes from outside: no byte of the net, no mail, only signals and what roles post on their control channels.
 *
 * A slot is a place for one role process; boot tells the processes that fill it one after the other apart. A process is
 * wired when it is ready (master_wire.c). A scan that asks to be replaced leaves its slot and lives on among the leavers
 * until its callers have let it go. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/vec.h"
#include "roles/master_listen.h"
#include "roles/master_notify.h"
#include "roles/master_place.h"
#include "roles/master_spawn.h"
#include "roles/master_wire.h"
#include "roles/roles.h"
#include "run/loop.h"
#include "run/shared.h"

enum { QUICK_DEATH_MS = 2000, DELAY_FIRST_MS = 100, DELAY_MOST_MS = 5000, START_TRIES = 5, STOP_ORDINARY_MS = 10000 };

struct leaver { uint64_t boot; pid_t pid; int64_t until_ms; };

/* doc/architecture.md, 1: the order of stopping; they start the other way round. */
static const struct stage { unsigned roles; enum limit_id limit; } stages[] = {
    {ROLES_FRONT, LIMIT_STOP_FRONT_S},
    {ROLE_BIT(ROLE_RELAY), LIMIT_STOP_RELAY_S},
    {ROLE_BIT(ROLE_SCAN), LIMIT_COUNT},
    {ROLE_BIT(ROLE_STORE), LIMIT_COUNT},
    {ROLE_BIT(ROLE_AUTH), LIMIT_COUNT},
};

static struct master_slot *slots;
static size_t n_slots;
static VEC(struct leaver) leavers;
static bool ready_told, stopping;
static size_t stage;
static struct loop_timer stage_timer, leaver_timer;
static char weakest[128]; /* isolation that the least isolated role has reached */
static int exit_status;

static void spawn(struct master_slot *s);
static void begin_stop(void);

/* A role that lacks a channel or a socket would look well and serve nobody: away with it, and on to the next try. */
static void give_up(const struct master_slot *s)
{
    LOG(LOG_ERROR, "role.incomplete", L_Z("name", role_kind_name(s->kind)), L_INT("pid", s->pid),
        L_Z("why", "not all of its descriptors could be handed over; is master's limit of open files too low?"));
    kill(s->pid, SIGKILL);
}

/* ---- starting ----------------------------------------------------------------------------------------------------------------- */

static void try_again_later(struct master_slot *s)
{
    int64_t wait = s->delay_ms;
    s->delay_ms = MIN_OF(MAX_OF(s->delay_ms * 2, DELAY_FIRST_MS), DELAY_MOST_MS);
    loop_timer_set(&s->restart, clock_mono_ms() + wait);
}

static void spawn(struct master_slot *s)
{
    int fd;
    s->boot = rand_u64();
    s->started_ms = clock_mono_ms();
    s->pid = master_spawn_role(s->kind, &fd);
    if (s->pid < 0) {
        LOG(LOG_ERROR, "role.start", L_Z("name", role_kind_name(s->kind)), L_Z("error", strerror(errno)));
        s->pid = 0;
        try_again_later(s);
        return;
    }
    s->state = MASTER_STARTING;
    s->control = ipc_attach(fd, (struct ipc_peer){.kind = s->kind, .index = s->index, .boot = s->boot}, false, true);
    if (s->control == NULL)
        base_die("master: a control channel");
    LOG(s->relief ? LOG_DEBUG : LOG_INFO, "role.start", L_Z("name", role_kind_name(s->kind)), L_INT("index", s->index), L_INT("pid", s->pid));
    if (!master_wire_hand_over(s))
        give_up(s);
}

static void restart_due(struct loop_timer *t)
{
    if (!stopping)
        spawn(CONTAINER_OF(t, struct master_slot, restart));
}

/* ---- what roles post ------------------------------------------------------------------------------------------------------------ */

static struct master_slot *slot_of(uint64_t boot)
{
    for (struct master_slot *s = slots; s < slots + n_slots; s++)
        if (s->pid != 0 && s->boot == boot)
            return s;
    return NULL;
}

static void tell_ready(void)
{
    const struct master_listener *all;
    size_t n = master_listen_all(&all);
    if (ready_told)
        return;
    for (const struct master_slot *s = slots; s < slots + n_slots; s++)
        if (s->state != MASTER_READY)
            return;
    ready_told = true;
    for (size_t i = 0; i < n; i++)
        LOG(LOG_INFO, "listen", L_Z("service", service_table[all[i].service].name), L_Z("at", all[i].where));
    if (strstr(weakest, "landlock") == NULL || strstr(weakest, "seccomp") == NULL) /* SEC-29 */
        LOG(LOG_WARN, "isolation.partial", L_Z("reached", weakest),
            L_Z("why", "this kernel lacks Landlock or seccomp; a broken-in role could do more than it should"));
    LOG(LOG_INFO, "postel.ready", L_Z("version", POSTEL_VERSION), L_INT("pid", getpid()), L_Z("isolation", weakest));
    master_notify_send("READY=1");
}

static void ctl_ready(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_ready *m = in;
    struct master_slot *s = slot_of(peer->boot);
    if (s == NULL || s->state != MASTER_STARTING)
        return;
    s->state = MASTER_READY;
    s->failed_starts = 0;
    if (weakest[0] == '\0' || m->isolation.n < strlen(weakest))
        snprintf(weakest, sizeof weakest, "%.*s", SPAN_ARGS(m->isolation));
    LOG(s->relief ? LOG_DEBUG : LOG_INFO, "role.ready", L_Z("name", role_kind_name(s->kind)), L_INT("index", s->index), L_INT("pid", s->pid),
        L_INT("ms", clock_mono_ms() - s->started_ms), L_SPAN("isolation", m->isolation));
    if (!master_wire_peers(s))
        give_up(s);
    else
        tell_ready();
}

static void ctl_retire(const struct ipc_peer *peer, const void *in)
{
    struct master_slot *s = slot_of(peer->boot);
    if (s == NULL || stopping)
        return;
    int64_t until = clock_mono_ms() + (LIMIT(SCAN_CALL_S) + LIMIT(IPC_CALL_S)) * 1000;
    *VEC_PUSH(&leavers) = (struct leaver){s->boot, s->pid, until};
    if (leavers.n == 1)
        loop_timer_set(&leaver_timer, until);
    LOG(LOG_DEBUG, "role.retire", L_Z("name", role_kind_name(s->kind)), L_INT("index", s->index), L_INT("pid", s->pid));
    s->control = NULL;
    s->delay_ms = 0;
    s->relief = true;
    spawn(s);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_ctl_ready, .post = ctl_ready},
    {.id = MSG_ID_ctl_retire, .post = ctl_retire},
};

/* A role without its control channel has ended, or was cut off for what it sent. */
static void control_closed(struct ipc_peer peer, bool calling)
{
    struct master_slot *s = slot_of(peer.boot);
    if (s == NULL)
        return;
    s->control = NULL;
    kill(s->pid, SIGKILL);
}

/* ---- deaths ------------------------------------------------------------------------------------------------------------------- */

static void leaver_late(struct loop_timer *t)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < leavers.n; i++) {
        if (leavers.v[i].until_ms <= clock_mono_ms())
            kill(leavers.v[i].pid, SIGKILL);
        else
            next = MIN_OF(next, leavers.v[i].until_ms);
    }
    if (next != INT64_MAX)
        loop_timer_set(t, next);
}

static bool leaver_left(pid_t pid)
{
    for (size_t i = 0; i < leavers.n; i++)
        if (leavers.v[i].pid == pid) {
            leavers.v[i] = leavers.v[--leavers.n];
            return true;
        }
    return false;
}

static void died(struct master_slot *s, int status)
{
    bool early = s->state == MASTER_STARTING;
    s->relief = false;
    int64_t lived = clock_mono_ms() - s->started_ms;
    if (!stopping)
        LOG(LOG_WARN, "role.died", L_Z("name", role_kind_name(s->kind)), L_INT("index", s->index), L_INT("pid", s->pid),
            L_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
            L_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0), L_INT("lived_ms", lived));
    s->state = MASTER_DOWN;
    s->pid = 0;
    if (s->control != NULL)
        ipc_detach(s->control);
    s->control = NULL;
    if (stopping)
        return;
    if (early && !ready_told && ++s->failed_starts == START_TRIES) {
        LOG(LOG_ERROR, "postel.failed", L_Z("name", role_kind_name(s->kind)), L_Z("why", "does not start, see above"));
        exit_status = 1;
        begin_stop();
        return;
    }
    if (lived >= QUICK_DEATH_MS)
        s->delay_ms = 0;
    try_again_later(s);
}

static void next_stage(void);

static void reap(void)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (leaver_left(pid))
            continue;
        for (struct master_slot *s = slots; s < slots + n_slots; s++)
            if (s->pid == pid) {
                died(s, status);
                break;
            }
    }
    if (stopping)
        next_stage();
}

/* ---- stopping ------------------------------------------------------------------------------------------------------------------- */

static bool in_stage(const struct master_slot *s)
{
    return s->pid != 0 && (stages[stage].roles & ROLE_BIT(s->kind));
}

static bool stage_over(void)
{
    for (const struct master_slot *s = slots; s < slots + n_slots; s++)
        if (in_stage(s))
            return false;
    return true;
}

static void enter_stage(void)
{
    int64_t wait = STOP_ORDINARY_MS;
    if (stages[stage].limit != LIMIT_COUNT)
        wait = limit_value[stages[stage].limit] * 1000 + 1000; /* the role itself knows the limit; this is for one that hangs */
    for (const struct master_slot *s = slots; s < slots + n_slots; s++)
        if (in_stage(s) && s->control != NULL)
            ipc_post_on(s->control, MSG_ID_ctl_stop, &(struct msg_ctl_stop){});
    loop_timer_set(&stage_timer, clock_mono_ms() + wait);
}

static void next_stage(void)
{
    while (stage < COUNT_OF(stages) && stage_over())
        if (++stage < COUNT_OF(stages))
            enter_stage();
    if (stage == COUNT_OF(stages))
        loop_stop();
}

static void stage_late(struct loop_timer *t)
{
    for (const struct master_slot *s = slots; s < slots + n_slots; s++)
        if (in_stage(s)) {
            LOG(LOG_WARN, "role.killed", L_Z("name", role_kind_name(s->kind)), L_INT("pid", s->pid),
                L_Z("why", "did not stop in time"));
            kill(s->pid, SIGKILL);
        }
}

static void begin_stop(void)
{
    if (stopping)
        return;
    stopping = true;
    LOG(LOG_INFO, "postel.stopping");
    master_notify_send("STOPPING=1");
    master_listen_end(); /* with the fronts' own copies gone, connecting is refused */
    for (struct master_slot *s = slots; s < slots + n_slots; s++)
        loop_timer_clear(&s->restart);
    for (size_t i = 0; i < leavers.n; i++)
        kill(leavers.v[i].pid, SIGKILL);
    stage = 0;
    enter_stage();
    next_stage();
}

/* ---- the process ------------------------------------------------------------------------------------------------------------------ */

/* SIGHUP. Logs go to standard error: there is no file to open anew; keys are what changes outside. */
static void reload(void)
{
    LOG(LOG_INFO, "postel.reload");
    for (const struct master_slot *s = slots; s < slots + n_slots; s++)
        if (s->control != NULL)
            ipc_post_on(s->control, MSG_ID_ctl_reload, &(struct msg_ctl_reload){});
}

static void on_signal(struct loop_io *io, unsigned events)
{
    struct signalfd_siginfo info;
    while (read(io->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            begin_stop();
        else if (info.ssi_signo == SIGHUP && !stopping)
            reload();
    }
    reap(); /* SIGCHLDs are merged: whichever signal came, look */
}

static int watch_signals(struct fail *f)
{
    static struct loop_io io = {.ready = on_signal};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    io.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return io.fd < 0 || loop_watch(&io) < 0 ? fail_errno(f, "signalfd", errno) : 0;
}

static uint32_t instances(enum role_kind kind)
{
    if (ROLE_BIT(kind) & ROLES_FRONT)
        return (uint32_t)config_count(CONFIG_server_fronts);
    return kind == ROLE_SCAN ? (uint32_t)config_count(CONFIG_server_scans) : 1;
}

static void add_slots(enum role_kind kind)
{
    for (uint32_t i = 0; i < instances(kind); i++) {
        struct master_slot *s = &slots[n_slots++];
        s->kind = kind;
        s->index = i;
        loop_timer_init(&s->restart, restart_due);
        if (shared_make(sizeof(struct shared_page), &s->page, &s->page_ro) < 0)
            base_die("shared_make");
    }
}

static void make_slots(void)
{
    slots = base_alloc((4 + 2 * instances(ROLE_FRONT_MX) + instances(ROLE_SCAN)) * sizeof *slots);
    for (size_t i = COUNT_OF(stages); i-- > 0;)
        for (enum role_kind kind = ROLE_FRONT_MX; kind <= ROLE_AUTH; kind++)
            if (stages[i].roles & ROLE_BIT(kind))
                add_slots(kind);
    master_wire.slots = slots;
    master_wire.n_slots = n_slots;
}

/* For tests: the clock that all roles obey is a file of two numbers (struct clock_page), which the test changes. */
static int open_test_clock(struct fail *f)
{
    const char *path = getenv("POSTEL_TEST_CLOCK");
    if (path == NULL)
        return 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct clock_page)) < 0 || shared_map_clock(fd) < 0)
        return fail_errno(f, path, errno);
    master_wire.clock_page = fd;
    LOG(LOG_WARN, "master.clock", L_Z("why", "POSTEL_TEST_CLOCK is set: time is what a test says"));
    return 0;
}

static int set_up(const struct config *config, struct fail *f)
{
    for (size_t i = 0; i < ROLE_COUNT; i++)
        master_wire.control_socket[i] = -1;
    if (open_test_clock(f) < 0 || master_spawn_prepare(f) < 0 || master_place_data(config, f) < 0
        || login_uid_parse(&master_wire.uids, config_text(CONFIG_sendmail_logins), f) < 0
        || master_listen_services(config, f) < 0 || master_place_user(config, f) < 0 || master_place_enter(config, f) < 0
        || (master_wire.control_socket[ROLE_STORE] = master_listen_control(ROLE_STORE, f)) < 0
        || (master_wire.control_socket[ROLE_AUTH] = master_listen_control(ROLE_AUTH, f)) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno(f, "NO_NEW_PRIVS", errno);
    if (loop_init() < 0)
        return fail_errno(f, "loop_init", errno);
    return watch_signals(f);
}

int master_main(const struct config *config, struct span text)
{
    struct fail f = {0};
    config_use(config);
    master_wire.config = text;
    log_setup("master", (enum log_level)config_count(CONFIG_server_log_level));
    if (set_up(config, &f) < 0) {
        LOG(LOG_ERROR, "postel.failed", L_Z("why", f.text));
        return 1;
    }
    ipc_self(ROLE_MASTER);
    ipc_serve(handlers, COUNT_OF(handlers));
    ipc_on_close(control_closed);
    loop_timer_init(&stage_timer, stage_late);
    loop_timer_init(&leaver_timer, leaver_late);
    make_slots();
    for (struct master_slot *s = slots; s < slots + n_slots; s++)
        spawn(s);
    loop_run();
    LOG(LOG_INFO, "postel.stopped");
    master_place_leave();
    return exit_status;
}
