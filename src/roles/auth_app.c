/* auth_app: app passwords, and what an account's owner sees of attempts to log in. */
#include "roles/auth.h"

WAITS void auth_app_add(struct ipc_req *req)
{
    const struct msg_app_password_add *in = req->in;
    char text[APP_PASSWORD_TEXT + 1];
    struct msg_app_password_add_r out;
    struct change_job job = {.app = text};
    struct fail f;

    if (!auth_admin_turn(req))
        return;
    app_password_text(text);
    out = (struct msg_app_password_add_r){.password = span_z(text)};
    auth_admin_finish(req, &job,
                      directory_plan_app_add(auth.directory, in->address, in->label, in->scope, &job.change, req->mem, &f),
                      &out, &f);
    explicit_bzero(text, sizeof text);
}

WAITS void auth_app_remove(struct ipc_req *req)
{
    const struct msg_app_password_remove *in = req->in;
    struct msg_app_password_remove_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job,
                          directory_plan_app_remove(auth.directory, in->address, in->label, &job.change, req->mem, &f),
                          &out, &f);
}

void auth_app_list(struct ipc_req *req)
{
    const struct msg_app_password_list *in = req->in;
    struct msg_app_password_list_r out = {0};
    struct directory_account *a;
    struct fail f;

    a = directory_account(auth.directory, in->address, req->mem, &f);
    if (a == NULL) {
        ipc_refuse(req, &f);
        return;
    }
    out.passwords.v = arena_alloc(req->mem, (directory_cache_apps(a) + 1) * sizeof *out.passwords.v);
    for (const struct app_password *app = a->apps; app != NULL; app = app->next)
        out.passwords.v[out.passwords.n++] = (struct msg_app_password_row){
            .label = span_z(app->label), .scope = app->scope, .created_s = app->created_s, .used_s = app->used_s};
    ipc_reply(req, &out);
}

/* ---- attempts ------------------------------------------------------------------------------------------------------------ */

struct job {
    uint64_t account, before;
    struct msg_logins_r out;
    struct arena *mem;
    int rc;
    struct fail fail;
};

static void logins_run(void *arg)
{
    struct job *job = arg;

    job->rc = directory_list_logins(auth.directory, job->account, job->before, &job->out, job->mem, &job->fail);
}

/* Whose: the session's, or for the command line the address's. 0: nobody's, *f says why. */
static uint64_t whose(struct ipc_req *req, struct fail *f)
{
    const struct msg_logins *in = req->in;
    const struct login_session *s = login_session_find(auth.sessions, in->handle, req->peer.boot);
    const struct directory_account *a;

    if (s != NULL)
        return s->account;
    if (req->peer.kind != ROLE_ADMIN) { /* SEC-24: a front sees what its sessions may see */
        fail_perm(f, "5.7.0", "No such session.");
        return 0;
    }
    a = directory_account(auth.directory, in->address, req->mem, f);
    return a != NULL ? a->id : 0;
}

WAITS void auth_app_logins(struct ipc_req *req)
{
    struct job job = {.before = ((const struct msg_logins *)req->in)->before, .mem = req->mem};
    struct fail f;

    job.account = whose(req, &f);
    if (job.account != 0) {
        auth_attempts_flush();
        if (auth_admin_quiet(logins_run, &job, &f) < 0)
            job.account = 0;
        else if (job.rc < 0)
            f = job.fail;
    }
    if (job.account == 0 || job.rc < 0)
        ipc_refuse(req, &f);
    else
        ipc_reply(req, &job.out);
}
