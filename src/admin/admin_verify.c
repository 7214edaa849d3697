/* postel verify: through the server's control socket while it runs, else on the data directory itself. */
#include "admin/admin_verify.h"

#include "admin/columns.h"
#include "admin/control.h"
#include "admin/place.h"
#include "base/log.h"
#include "store/store_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ROUNDS = 5 };

static size_t n_damage;

/* ---- what is said ---- */

static void progress(uint64_t done, uint64_t total, bool end)
{
    static unsigned last = 101;
    unsigned percent = total > 0 ? (unsigned)(done * 100 / total) : 100;
    if (!isatty(STDERR_FILENO) || (percent == last && !end))
        return;
    last = percent;
    fprintf(stderr, end ? "\r                    \r" : "\rlooked at %u %%", percent);
}

static void say(uint32_t kind, struct span text, struct span remedy)
{
    progress(0, 0, true);
    printf("%s: ", kind == VERIFY_NOTE ? "note" : "damage");
    columns_escaped(stdout, text);
    if (remedy.n > 0 && kind != VERIFY_NOTE)
        printf(" [repair: %.*s]", SPAN_ARGS(remedy));
    printf("\n");
    n_damage += kind != VERIFY_NOTE;
}

static int verdict(void)
{
    progress(0, 0, true);
    if (n_damage == 0)
        printf("clean\n");
    else
        printf("%zu damaged\n", n_damage);
    return n_damage == 0 ? 0 : 1;
}

/* ---- while the server runs ---- */

static WAITS int ask(struct control *c)
{
    struct msg_verify m = {.begin = 1};
    struct msg_verify_r r;
    do {
        if (control_call(c, MSG_ID_verify, &m, &r) < 0)
            return -1;
        m.begin = 0;
        for (uint32_t i = 0; i < r.found.n; i++)
            say(r.found.v[i].kind, r.found.v[i].text, r.found.v[i].remedy);
        progress(r.done, r.total, false);
    } while (r.more != 0);
    return 0;
}

/* ---- on the directory ---- */

/* Looks once; *out is the caller's to free. */
static int look(struct store_place *p, bool tell, struct store_verify **out, struct fail *f)
{
    const struct verify_finding *x;
    size_t told = 0;
    int rc;
    *out = store_verify_new(p->dir);
    do {
        rc = store_verify_step(*out, p->db, f);
        size_t n = store_verify_findings(*out, told, &x);
        for (size_t i = 0; i < n && tell; i++) {
            const char *remedy = store_verify_remedy(x[i].kind);
            say(x[i].kind, x[i].text, span_z(remedy != NULL ? remedy : ""));
        }
        told += n;
        struct verify_progress at = store_verify_progress(*out);
        progress(at.done, at.total, false);
    } while (rc == 1);
    return rc;
}

/* Mending one thing can show another (a row that came back is counted nowhere): a few rounds, then what is left stays. */
static int mend(struct store_place *p, struct store_verify *first, struct fail *f)
{
    const struct verify_finding *x;
    struct store_verify *v = NULL;
    size_t n = store_verify_findings(first, 0, &x);
    int rc = store_verify_repair(p->db, x, n, f);
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        store_verify_free(v);
        rc = look(p, false, &v, f);
        n = store_verify_findings(v, 0, &x);
        if (rc == 0 && n > 0)
            rc = store_verify_repair(p->db, x, n, f);
    }
    store_verify_free(v);
    return rc;
}

static bool agreed(const struct command_input *in)
{
    char line[16];
    if (in->option[OPTION_YES] != NULL)
        return true;
    printf("Repair does what stands in brackets, in one go. Go on? [y/N] ");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static int unreadable(const struct command_input *in, const struct fail *f)
{
    control_say(in, f);
    if (strncmp(f->text, "index:", 6) == 0)
        fprintf(stderr, "If it cannot be read at all: postel rebuild makes a new one of the message log.\n");
    return 1;
}

static int offline(const struct command_input *in, const char *dir)
{
    struct store_place p;
    struct fail f = {0};
    struct store_verify *v = NULL;
    bool repair = in->option[OPTION_REPAIR] != NULL;
    if (place_become_owner(dir, &f) != 0 || store_verify_open(&p, dir, repair, &f) != 0)
        return unreadable(in, &f);
    int rc = look(&p, true, &v, &f), status = rc == 0 ? verdict() : 1;
    if (rc == 0 && repair && n_damage > 0 && agreed(in)) {
        rc = mend(&p, v, &f);
        store_verify_free(v);
        v = NULL;
        n_damage = 0;
        if (rc == 0) {
            printf("repaired; what is left:\n");
            rc = look(&p, true, &v, &f);
            status = rc == 0 ? verdict() : 1;
        }
    }
    store_verify_free(v);
    store_verify_close(&p);
    return rc != 0 ? unreadable(in, &f) : status;
}

/* Whether a store role listens there. */
static bool serving(const char *dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[4096];
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/run", dir);
    bool yes = false;
    if (chdir(path) == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(a.sun_path, sizeof a.sun_path, "store.sock");
        yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
        if (fd >= 0)
            close(fd);
    }
    if (here >= 0 && fchdir(here) != 0)
        yes = true;
    if (here >= 0)
        close(here);
    return yes;
}

int admin_verify(const struct command_input *in)
{
    struct arena mem;
    struct fail f = {0};
    char store[4096];
    arena_init(&mem);
    log_setup("postel", LOG_ERROR);
    const char *dir = place_data(in, &mem, &f);
    int status;
    if (dir == NULL)
        status = control_say(in, &f);
    else if (serving(dir) && in->option[OPTION_REPAIR] != NULL)
        status = command_wrong(in, "--repair wants the server stopped");
    else if (serving(dir))
        status = control_run(in, ROLE_STORE, ask) == 0 ? verdict() : 1;
    else if ((size_t)snprintf(store, sizeof store, "%s/store", dir) < sizeof store)
        status = offline(in, store);
    else
        status = command_wrong(in, "the path is too long");
    arena_done(&mem);
    return status;
}
