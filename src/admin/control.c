/* The command line as a peer of auth or store: the same channel and calls that roles use, in a loop of its own. */
#include "admin/control.h"

#include "admin/columns.h"
#include "admin/place.h"
#include "base/log.h"
#include "run/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

struct talk {
    struct control c;
    control_fn *fn;
    struct coro *coro;
    bool done, lost;
    int result;
};

static struct talk talk; /* one a process */

int control_say(const struct command_input *in, const struct fail *f)
{
    fprintf(stderr, "postel %s: ", in->row->name);
    columns_escaped(stderr, span_z(f->text));
    if (f->code[0] != '\0')
        fprintf(stderr, " (%s)", f->code);
    fprintf(stderr, "\n");
    return 1;
}

static int no_server(const char *dir, const char *name, int err, struct fail *f)
{
    if (err == EACCES || err == EPERM)
        return fail_perm(f, "", "no access to %.80s/run: run this as the user of the server, or as root", dir);
    if (err == ENOENT || err == ENOTDIR || err == ECONNREFUSED)
        return fail_perm(f, "", "the server is not running (nobody answers at %.60s/run/%s): postel serve", dir, name);
    return fail_perm(f, "", "%.80s/run/%s: %s", dir, name, strerror(err));
}

/* In the directory of the sockets. */
static int dial_here(const char *dir, enum role_kind to, struct fail *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s.sock", role_kind_name(to));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(f, "socket", errno);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    int err = errno;
    close(fd);
    return no_server(dir, a.sun_path, err, f);
}

/* A connected socket, or -1 and *f. */
static int dial(const char *dir, enum role_kind to, struct fail *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct arena mem;
    arena_init(&mem);
    snprintf(a.sun_path, sizeof a.sun_path, "%s.sock", role_kind_name(to));
    /* sun_path holds 107 bytes, the directory's name may be longer: go there. */
    const char *run = arena_z(&mem, arena_printf(&mem, "%s/run", dir));
    int there = chdir(run), err = errno;
    arena_done(&mem);
    if (there < 0)
        return no_server(dir, a.sun_path, err, f);
    return dial_here(dir, to, f);
}

static void run(void *arg)
{
    struct talk *t = arg;
    t->result = t->fn(&t->c); /* may wait */
    t->done = true;
    loop_stop();
}

static void closed(struct ipc_peer peer, bool calls)
{
    talk.lost = true;
    if (!talk.done)
        coro_cancel(talk.coro);
}

WAITS int control_call(struct control *c, enum msg_id id, const void *in, void *out)
{
    bool broken;
    if (ipc_call(c->to, id, in, out, &c->mem, 0, &c->fail, &broken) == 0)
        return 0;
    if (broken || talk.lost)
        return fail_temp(&c->fail, "", "the server closed the connection: see its log; it talks to its own user and to root");
    return -1;
}

int control_turn(struct control *c, enum role_kind to)
{
    int fd = dial_here("the data directory", to, &c->fail);
    if (fd < 0)
        return -1;
    if (ipc_attach(fd, (struct ipc_peer){.kind = to}, true, false) == NULL)
        return fail_temp(&c->fail, "", "out of memory");
    c->to = to;
    return 0;
}

int control_run(const struct command_input *in, enum role_kind to, control_fn *fn)
{
    talk = (struct talk){.c = {.in = in, .to = to, .plain = in->option[OPTION_PLAIN] != NULL}, .fn = fn, .result = -1};
    struct control *c = &talk.c;
    arena_init(&c->mem);
    log_setup("postel", LOG_ERROR);
    const char *dir = place_data(in, &c->mem, &c->fail);
    int fd = dir ? dial(dir, to, &c->fail) : -1;
    if (fd >= 0 && loop_init() < 0) {
        close(fd);
        fd = fail_errno(&c->fail, "loop", errno);
    }
    if (fd >= 0) {
        ipc_self(ROLE_ADMIN);
        ipc_on_close(closed);
        struct ipc_chan *ch = ipc_attach(fd, (struct ipc_peer){.kind = to}, true, false);
        talk.coro = ch ? coro_start(run, &talk) : NULL;
        if (talk.coro)
            loop_run();
        else
            fail_temp(&c->fail, "", "out of memory");
    }
    int status = talk.result == 0 ? 0 : control_say(in, &c->fail);
    arena_done(&c->mem);
    return status;
}
