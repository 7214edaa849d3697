/* Commands against a server at a control socket whose path no sockaddr_un could hold. */
#include "admin/admin_account.h"
#include "admin/admin_domain.h"
#include "base/log.h"
#include "run/ipc.h"
#include "run/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char top[64], data_dir[256];
enum { DATA_NAME = 150 };

/* ---- the server ---- */

static void list_accounts(struct ipc_req *req) /* two pages of two, then none */
{
    static struct msg_account_row rows[] = {
        {.account = 1, .address = SPAN("alice@example.org"), .lang = SPAN("en")},
        {.account = 2, .address = SPAN("b\x1b[2J@example.org"), .lang = SPAN("de"), .disabled = 1},
        {.account = 3, .address = SPAN("carol@other.test"), .lang = SPAN("en"), .created_s = 86400},
        {.account = 4, .address = SPAN("dave@Example.ORG"), .lang = SPAN("en")},
    };
    const struct msg_account_list *in = req->in;
    uint32_t at = 0;
    while (in->after.n > 0 && at < COUNT_OF(rows) && !span_eq(rows[at].address, in->after))
        at++;
    at += in->after.n > 0;
    struct msg_account_list_r r = {.accounts = {rows + at, at < COUNT_OF(rows) ? 2 : 0}};
    ipc_reply(req, &r);
}

static void add_account(struct ipc_req *req)
{
    const struct msg_account_add *in = req->in;
    struct fail f;
    if (span_eq(in->address, SPAN("die@example.org")))
        _exit(0);
    if (span_eq(in->password, SPAN("long enough")) && span_eq(in->lang, SPAN("de"))) {
        ipc_reply(req, &(struct msg_account_add_r){.account = 9});
        return;
    }
    fail_perm(&f, "5.7.0", "the password is too short");
    ipc_refuse(req, &f);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_account_list, .call = list_accounts},
    {.id = MSG_ID_account_add, .call = add_account},
};

static void stop(struct ipc_peer peer, bool calls) { loop_stop(); }

static void serve_one(int listening)
{
    int fd = accept(listening, NULL, NULL);
    loop_init();
    ipc_self(ROLE_AUTH);
    ipc_serve(handlers, COUNT_OF(handlers));
    ipc_on_close(stop);
    ipc_attach(fd, (struct ipc_peer){.kind = ROLE_ADMIN}, false, true);
    loop_run();
    _exit(0);
}

static pid_t server(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "auth.sock"};
    int here = open(".", 0), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(chdir(data_dir), 0);
    assert_int_equal(chdir("run"), 0);
    unlink(a.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(fchdir(here), 0);
    close(here);
    pid_t pid = fork();
    if (pid == 0)
        serve_one(fd);
    close(fd);
    return pid;
}

/* ---- the command ---- */

static char said[4096];

/* Runs fn as a process of its own; stdin holds `input`. Gives its exit status; what it printed is in said. */
static int run(command_fn *fn, const char *name, const char *word, const char *input, bool plain)
{
    struct command row = {.name = name, .words = ""};
    char copy[64], *words[] = {copy};
    struct command_input in = {.row = &row, .words = words, .n_words = word ? 1 : 0};
    int out[2], to[2], status;
    snprintf(copy, sizeof copy, "%s", word ? word : "");
    in.option[OPTION_DATA] = data_dir;
    in.option[OPTION_PASSWORD_STDIN] = input;
    in.option[OPTION_LANGUAGE] = "de";
    in.option[OPTION_ADMIN] = "a@example.org";
    in.option[OPTION_PLAIN] = plain ? "" : NULL;
    assert_int_equal(pipe(out) | pipe(to), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(to[1]);
        dup2(to[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        status = fn(&in);
        fflush(NULL);
        _exit(status);
    }
    assert_int_equal(write(to[1], input ? input : "", input ? strlen(input) : 0), input ? strlen(input) : 0);
    close(to[0]);
    close(to[1]);
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(out[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void lists_all_pages(void **state)
{
    pid_t pid = server();
    assert_int_equal(run(admin_account_list, "account list", NULL, NULL, true), 0);
    assert_string_equal(said, "alice@example.org\ten\tenabled\t1970-01-01T00:00:00Z\t1\n"
                              "b\\x1b[2J@example.org\tde\tdisabled\t1970-01-01T00:00:00Z\t2\n"
                              "carol@other.test\ten\tenabled\t1970-01-02T00:00:00Z\t3\n"
                              "dave@Example.ORG\ten\tenabled\t1970-01-01T00:00:00Z\t4\n");
    waitpid(pid, NULL, 0);
    pid = server();
    assert_int_equal(run(admin_account_list, "account list", "example.org", NULL, false), 0);
    assert_non_null(strstr(said, "ADDRESS"));
    assert_non_null(strstr(said, "alice@"));
    assert_non_null(strstr(said, "dave@"));
    assert_null(strstr(said, "carol@"));
    waitpid(pid, NULL, 0);
}

static void passwords_come_from_stdin(void **state)
{
    static const struct {
        const char *address, *input;
        int status;
        const char *said;
    } cases[] = {
        {"x@example.org", "long enough\nnot this\n", 0, "Account x@example.org added.\n"},
        {"x@example.org", "long enough", 0, "added"},
        {"x@example.org", "short\n", 1, "postel account add: the password is too short (5.7.0)\n"},
        {"x@example.org", "", 1, "holds no password"},
        {"die@example.org", "x\n", 1, "the server closed the connection"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pid_t pid = server();
        int status = run(admin_account_add, "account add", cases[i].address, cases[i].input, false);
        if (status != cases[i].status || !strstr(said, cases[i].said))
            print_error("%zu: %d %s\n", i, status, said);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(said, cases[i].said));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void nobody_there(void **state)
{
    pid_t pid = server();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(run(admin_domain_list, "domain list", NULL, NULL, false), 1); /* refused */
    assert_non_null(strstr(said, "the server is not running"));
    snprintf(data_dir, sizeof data_dir, "%s/none", top);
    assert_int_equal(run(admin_domain_list, "domain list", NULL, NULL, false), 1);
    assert_non_null(strstr(said, "the server is not running"));
}

int main(void)
{
    char path[300];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_all_pages),
        cmocka_unit_test(passwords_come_from_stdin),
        cmocka_unit_test(nobody_there),
    };
    snprintf(top, sizeof top, "/tmp/postel-control-XXXXXX");
    if (!mkdtemp(top))
        return 1;
    snprintf(data_dir, sizeof data_dir, "%s/%0*d", top, DATA_NAME, 0);
    snprintf(path, sizeof path, "%s/run", data_dir);
    if (mkdir(data_dir, 0700) < 0 || mkdir(path, 0700) < 0)
        return 1;
    log_setup("test", LOG_ERROR);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char sock[320];
    snprintf(sock, sizeof sock, "%s/auth.sock", path);
    unlink(sock);
    rmdir(path);
    *strstr(path, "/run") = '\0';
    rmdir(path);
    rmdir(top);
    return failed;
}
