/* relay_probe POSTEL CONFIG NAME TYPE(number)...: starts a relay role as master does, closed in as in life, and asks it for
 * names as front-mx does. Prints the isolation that it reached, and a line for each answer. "-kill" "-" between them: the
 * relay is killed and another one takes its place, while the question behind it is under way. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "run/config.h"
#include "run/dns.h"
#include "run/loop.h"

static char **words;
static int n_words;
static const char *program;
static struct span config;
static struct ipc_chan *control;
static struct coro *waiter;
static bool ready;
static pid_t relay;
static uint64_t boots;

static void die(const char *what)
{
    fprintf(stderr, "relay_probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_ready(const struct ipc_peer *peer, const void *in)
{
    const struct msg_ctl_ready *m = in;
    printf("isolation %.*s\n", SPAN_ARGS(m->isolation));
    ready = true;
    coro_wake(waiter);
}

static int spawn(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        die("socketpair");
    relay = fork();
    if (relay == 0) {
        if (ends[1] == 3)
            fcntl(3, F_SETFD, 0);
        else
            dup2(ends[1], 3);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the search for leaks at exit starts a thread */
        execl(program, "postel", "role", "relay", NULL);
        _exit(127);
    }
    close(ends[1]);
    return ends[0];
}

/* Starts a relay, waits until it is ready, opens a channel to it as front-mx. */
static WAITS void start(void)
{
    int ends[2];
    ready = false;
    ipc_self(ROLE_MASTER);
    control = ipc_attach(spawn(), (struct ipc_peer){.kind = ROLE_RELAY, .boot = ++boots}, false, true);
    ipc_post_on(control, MSG_ID_ctl_config, &(struct msg_ctl_config){.text = config});
    ipc_post_on(control, MSG_ID_ctl_self, &(struct msg_ctl_self){.kind = ROLE_RELAY, .boot = boots});
    ipc_post_on(control, MSG_ID_ctl_go, &(struct msg_ctl_go){});
    while (!ready && coro_wait(clock_mono_ms() + 20000) == WAIT_OK)
        ;
    if (!ready || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        die("the relay did not get ready");
    ipc_post_on(control, MSG_ID_ctl_peer, &(struct msg_ctl_peer){.kind = ROLE_FRONT_MX, .boot = 1, .socket = ends[1]});
    ipc_flush();
    close(ends[1]); /* else its channel never ends */
    ipc_self(ROLE_FRONT_MX);
    ipc_attach(ends[0], (struct ipc_peer){.kind = ROLE_RELAY, .boot = boots}, true, false);
}

static void kill_relay(void *arg)
{
    coro_sleep(100);
    kill(relay, SIGKILL);
    waitpid(relay, NULL, 0);
    waiter = coro_self();
    start();
}

static void ask(const char *name, int type)
{
    struct arena mem;
    struct dns_answer a;
    arena_init(&mem);
    dns_query(span_z(name), (enum dns_type)type, &a, &mem);
    printf("%s %d %s %s %zu %.*s\n", name, type, dns_status_word(a.status), a.secure ? "secure" : "insecure", a.n,
           SPAN_ARGS(a.canonical));
    fflush(stdout);
    arena_done(&mem);
}

static void run(void *arg)
{
    waiter = coro_self();
    start();
    for (int i = 0; i + 1 < n_words; i += 2)
        if (strcmp(words[i], "-kill") == 0)
            coro_start(kill_relay, NULL);
        else
            ask(words[i], (int)strtol(words[i + 1], NULL, 10));
    ipc_self(ROLE_MASTER);
    ipc_post_on(control, MSG_ID_ctl_stop, &(struct msg_ctl_stop){});
    ipc_flush();
    loop_stop();
}

int main(int argc, char **argv)
{
    static struct arena mem;
    static const struct ipc_handler handlers[] = {{.id = MSG_ID_ctl_ready, .post = on_ready}};
    struct fail f;
    int status = 0;
    if (argc < 5)
        return 2;
    program = argv[1];
    words = argv + 3;
    n_words = argc - 3;
    struct config *c = config_read(argv[2], &config, &mem, &f);
    if (c == NULL || loop_init() != 0)
        die("start");
    config_use(c);
    ipc_serve(handlers, COUNT_OF(handlers));
    coro_start(run, NULL);
    loop_run();
    alarm(20);
    waitpid(relay, &status, 0);
    printf("status %d\n", status);
    config_free(c);
    arena_done(&mem);
    return 0;
}
