/* Processes beside this one: scan; auth, played here; and store with a scan of its own, a child of auth, which removes the
 * store's directory when this process is gone, however it went. */
#include "roles/user_testing.h"

#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/rand.h"
#include "imap/imap_session.h"
#include "pop3/pop3_session.h"
#include "roles/roles.h"
#include "run/config.h"
#include "run/feed.h"
#include "run/ipc_testing.h"
#include "run/loop.h"
#include "run/session_testing.h"
#include "run/work.h"

enum { FRONT_BOOT = 21, AUTH_BOOT = 31, STORE_BOOT = 41, SCAN_BOOT = 51 };

static char dir[64];
static uint64_t *account; /* in memory that the processes share */
static pid_t auth, store;
static struct ipc_server scan;

/* ---- auth ------------------------------------------------------------------------------------------------------------ */

static void on_sasl(struct ipc_req *req)
{
    const struct msg_sasl *in = req->in;
    struct msg_sasl_r out = {.state = SASL_BAD};
    struct op_id id = rand_op_id();
    if (in->dialog == 0 && in->response.n == 0) {
        out = (struct msg_sasl_r){.state = SASL_MORE, .dialog = 1};
    } else if (!span_ends_nocase(in->response, SPAN("wrong"))) {
        out = (struct msg_sasl_r){.state = SASL_OK, .account = *account, .address = SPAN("alice@example.test"),
                                  .lang = SPAN("en"), .handle = span_of(id.b, sizeof id.b)};
        struct msg_session_add add = {.handle = out.handle, .account = *account, .front_boot = req->peer.boot,
                                      .service = in->service, .lang = out.lang};
        ipc_post_to(ROLE_STORE, MSG_ID_session_add, &add);
    }
    ipc_reply(req, &out);
}

static void on_logout(const struct ipc_peer *peer, const void *in)
{
    ipc_post_to(ROLE_STORE, MSG_ID_session_end, &(struct msg_session_end){.handle = ((const struct msg_logout *)in)->handle});
}

static const struct ipc_handler auth_rows[] = {{.id = MSG_ID_sasl, .call = on_sasl}, {.id = MSG_ID_logout, .post = on_logout}};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void on_close(struct ipc_peer peer, bool calls)
{
    kill(store, SIGKILL);
    waitpid(store, NULL, 0);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

static NORETURN void be_store(int front, int from_auth)
{
    struct fail f = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct ipc_server own = ipc_testing_server(ROLE_SCAN, ROLE_STORE, scan_role.handlers, scan_role.n_handlers);
    if (own.pid < 0 || chdir(dir) != 0 || loop_init() != 0 || work_start(store_role.threads) != 0 || store_role.prepare(&f) != 0)
        _exit(2);
    ipc_self(ROLE_STORE);
    ipc_serve(store_role.handlers, store_role.n_handlers);
    ipc_attach(front, (struct ipc_peer){ROLE_FRONT_USER, 0, FRONT_BOOT}, false, true);
    ipc_attach(from_auth, (struct ipc_peer){ROLE_AUTH, 0, AUTH_BOOT}, false, true);
    ipc_attach(own.fd, (struct ipc_peer){ROLE_SCAN, 0, SCAN_BOOT}, true, false);
    loop_run();
    _exit(0);
}

/* front_store: the store's end of the channel from the front. */
static NORETURN void be_auth(int front, int front_store)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || (store = fork()) < 0)
        _exit(2);
    if (store == 0) {
        close(front);
        close(ends[0]);
        be_store(front_store, ends[1]);
    }
    close(front_store);
    close(ends[1]);
    if (loop_init() != 0)
        _exit(2);
    ipc_self(ROLE_AUTH);
    ipc_serve(auth_rows, COUNT_OF(auth_rows));
    ipc_on_close(on_close);
    ipc_attach(front, (struct ipc_peer){ROLE_FRONT_USER, 0, FRONT_BOOT}, false, true);
    ipc_attach(ends[0], (struct ipc_peer){ROLE_STORE, 0, STORE_BOOT}, true, false);
    loop_run();
    _exit(0);
}

/* ---- the front ------------------------------------------------------------------------------------------------------- */

static const struct ipc_handler front_rows[] = {{.id = MSG_ID_changed, .post = feed_changed}};

static int configure(struct fail *f)
{
    struct config *c = config_parse(SPAN("[server]\nhostname = mx.example.test\ncleartext_loopback = yes\n"
                                         "[limits]\nimap_login_s = 5\n"), "test", f);
    if (c == NULL)
        return -1;
    config_use(c);
    log_setup("test", LOG_ERROR);
    return scan_role.prepare(f);
}

int user_testing_start(void)
{
    int to_auth[2], to_store[2];
    struct fail f;
    snprintf(dir, sizeof dir, "%s/postel-user.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    account = mmap(NULL, sizeof *account, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (account == MAP_FAILED || mkdtemp(dir) == NULL || configure(&f) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to_auth) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to_store) < 0 || (auth = fork()) < 0)
        return -1;
    if (auth == 0) {
        close(to_auth[0]);
        close(to_store[0]);
        be_auth(to_auth[1], to_store[1]);
    }
    close(to_auth[1]);
    close(to_store[1]);
    scan = ipc_testing_server(ROLE_SCAN, ROLE_FRONT_USER, scan_role.handlers, scan_role.n_handlers);
    if (scan.pid < 0 || loop_init() < 0)
        return -1;
    ipc_self(ROLE_FRONT_USER);
    ipc_serve(front_rows, COUNT_OF(front_rows));
    ipc_attach(to_auth[0], (struct ipc_peer){ROLE_AUTH, 0, AUTH_BOOT}, true, false);
    ipc_attach(to_store[0], (struct ipc_peer){ROLE_STORE, 0, STORE_BOOT}, true, false);
    ipc_attach(scan.fd, (struct ipc_peer){ROLE_SCAN, 0, SCAN_BOOT}, true, false);
    return 0;
}

static void detach(struct ipc_chan *ch, const struct ipc_peer *peer, void *arg)
{
    ipc_detach(ch);
}

static void detach_all(void *arg)
{
    for (int k = 0; k < ROLE_COUNT; k++)
        ipc_each((enum role_kind)k, detach, NULL);
}

void user_testing_stop(void)
{
    user_testing_run(detach_all, NULL);
    loop_done();
    waitpid(auth, NULL, 0);
    ipc_testing_wait(&scan);
}

void user_testing_new_account(void)
{
    ++*account;
}

struct running { void (*fn)(void *arg); void *arg; };

static void run(void *arg)
{
    struct running *r = arg;
    r->fn(r->arg);
    loop_stop();
}

void user_testing_run(void (*fn)(void *arg), void *arg)
{
    coro_start(run, &(struct running){fn, arg});
    loop_run();
}

WAITS struct span user_testing_imap(struct span input, size_t step, struct arena *mem)
{
    return session_testing_talk(imap_session_run, SERVICE_imap, true, input, step, mem);
}

WAITS struct span user_testing_pop3(struct span input, size_t step, struct arena *mem)
{
    return session_testing_talk(pop3_session_run, SERVICE_pop3, true, input, step, mem);
}
