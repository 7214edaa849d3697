/* auth_admin: the command line's changes to the directory, one at a time: plan, write on the pool, apply. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "login/login_name.h"
#include "roles/auth.h"
#include "run/role.h"
#include "run/work.h"

static struct waitq turn;
static bool taken;

void auth_admin_init(void)
{
    waitq_init(&turn);
}

bool auth_admin_idle(void)
{
    return !taken;
}

static WAITS int begin(struct fail *f)
{
    int64_t until_ms = clock_mono_ms() + 30000;

    while (taken)
        if (waitq_wait(&turn, until_ms) != WAIT_OK)
            return fail_temp(f, "4.3.2", "The directory is busy with another change: try again.");
    taken = true;
    return 0;
}

static void end(void)
{
    taken = false;
    waitq_wake_one(&turn);
}

WAITS int auth_admin_quiet(void (*fn)(void *arg), void *arg, struct fail *f)
{
    if (begin(f) != 0)
        return -1;
    work_run(fn, arg);
    end();
    return 0;
}

/* ---- changes --------------------------------------------------------------------------------------------------------- */

/* A password that others would try first. */
static int too_easy(const struct directory_change *c, const struct password *p, struct fail *f)
{
    struct span text = span_of(p->b, p->n);
    size_t letters = 0;

    for (size_t i = 0; i < p->n; i++)
        letters += ((unsigned char)p->b[i] & 0xc0) != 0x80;
    if (letters < (size_t)LIMIT(PASSWORD_LEAST))
        return fail_perm(f, "5.7.0", "A password has at least %d characters.", (int)LIMIT(PASSWORD_LEAST));
    if (span_eq_nocase(text, c->address) ||
        span_eq_nocase(text, span_sub(c->address, 0, (size_t)span_rfind_char(c->address, '@'))))
        return fail_perm(f, "5.7.0", "The address is no password: it is what everybody tries first.");
    return 0;
}

static int hash_password(struct change_job *job)
{
    struct directory_change *c = &job->change;
    struct password p;
    int rc = password_prepare(&p, job->password, &job->fail);

    if (rc == 0)
        rc = too_easy(c, &p, &job->fail);
    if (rc == 0)
        rc = c->keep_salt ? password_derive(&c->verifier, &p, &job->fail) : password_make(&c->verifier, &p, &job->fail);
    password_wipe(&p);
    return rc;
}

static void change_run(void *arg)
{
    struct change_job *job = arg;

    job->rc = 0;
    if (job->change.new_account || job->change.kind == DIRECTORY_PASSWORD)
        job->rc = hash_password(job);
    else if (job->app != NULL)
        job->rc = app_password_make(&job->change.app, job->app, &job->change.verifier, &job->fail);
    if (job->rc == 0)
        job->rc = directory_write(auth.directory, &job->change, &job->broken, &job->fail);
}

/* No session of it any more, and store drops its mail. */
static void gone(uint64_t account)
{
    struct msg_account_gone post = {.account = account};

    auth_login_end_account(account);
    *VEC_PUSH(&auth.gone) = account;
    ipc_post_to(ROLE_STORE, MSG_ID_account_gone, &post);
}

static WAITS int change(struct change_job *job, struct fail *f)
{
    static const char *const names[] = {
        [DIRECTORY_DOMAIN_ADD] = "domain_add",
        [DIRECTORY_DOMAIN_ADMIN] = "domain_admin",
        [DIRECTORY_DOMAIN_REMOVE] = "domain_remove",
        [DIRECTORY_DOMAIN_ALIAS_ADD] = "domain_alias_add",
        [DIRECTORY_DOMAIN_ALIAS_REMOVE] = "domain_alias_remove",
        [DIRECTORY_ACCOUNT_ADD] = "account_add",
        [DIRECTORY_ACCOUNT_STATE] = "account_state",
        [DIRECTORY_PASSWORD] = "password",
        [DIRECTORY_APP_ADD] = "app_add",
        [DIRECTORY_APP_REMOVE] = "app_remove",
        [DIRECTORY_ACCOUNT_REMOVE] = "account_remove",
        [DIRECTORY_ALIAS_ADD] = "alias_add",
        [DIRECTORY_ALIAS_REMOVE] = "alias_remove",
    };
    struct directory_change *c = &job->change;

    work_run(change_run, job);
    if (job->broken)
        role_fatal(&job->fail);
    if (job->rc < 0) {
        *f = job->fail;
        return -1;
    }
    directory_apply(auth.directory, c);
    auth_changed();
    if (c->kind == DIRECTORY_PASSWORD || c->kind == DIRECTORY_APP_REMOVE || (c->kind == DIRECTORY_ACCOUNT_STATE && c->disabled))
        auth_login_end_account(c->account);
    if (c->kind == DIRECTORY_ACCOUNT_REMOVE)
        gone(c->account);
    for (size_t i = 0; i < c->n_gone; i++)
        gone(c->gone[i]);
    LOG(LOG_INFO, "auth.change", L_Z("what", names[c->kind]),
        L_SPAN("name", c->address.n == 0 ? c->domain : c->address), L_INT("account", (int64_t)c->account));
    return 0;
}

/* Ends the turn and answers: rc 0 with out, -1 with f. */
static void answer(struct ipc_req *req, int rc, const void *out, const struct fail *f)
{
    end();
    if (rc == 0)
        ipc_reply(req, out);
    else
        ipc_refuse(req, f);
}

/* Waits for the turn, or refuses the request and returns false. */
WAITS bool auth_admin_turn(struct ipc_req *req)
{
    struct fail f;

    if (begin(&f) == 0)
        return true;
    ipc_refuse(req, &f);
    return false;
}

/* The rest of each change, behind its plan. */
WAITS void auth_admin_finish(struct ipc_req *req, struct change_job *job, int rc, const void *out, struct fail *f)
{
    if (rc == 0)
        rc = change(job, f);
    if (job->made != NULL)
        job->made->account = job->change.account;
    if (job->password.n > 0)
        password_wipe_span(job->password);
    answer(req, rc, out, f);
}

WAITS void auth_admin_domain_add(struct ipc_req *req)
{
    const struct msg_domain_add *in = req->in;
    struct change_job job = {.password = in->password};
    struct msg_domain_add_r out = {0};
    struct fail f;
    int rc;

    if (!auth_admin_turn(req))
        return;
    rc = directory_plan_domain_add(auth.directory, in->name, in->admin, in->lang, &job.change, req->mem, &f);
    out.account_made = job.change.new_account;
    auth_admin_finish(req, &job, rc, &out, &f);
}

WAITS void auth_admin_domain_admin(struct ipc_req *req)
{
    const struct msg_domain_admin *in = req->in;
    struct msg_domain_admin_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_domain_admin(auth.directory, in->name, in->admin, &job.change, req->mem, &f),
               &out, &f);
}

WAITS void auth_admin_domain_remove(struct ipc_req *req)
{
    const struct msg_domain_remove *in = req->in;
    struct msg_domain_remove_r out = {0};
    struct change_job job = {0};
    struct fail f;
    int rc;

    if (!auth_admin_turn(req))
        return;
    rc = directory_plan_domain_remove(auth.directory, in->name, in->accounts != 0, &job.change, req->mem, &f);
    out.accounts = job.change.n_gone;
    out.leads = job.change.leads.all;
    out.aliases.v = job.change.leads.v;
    out.aliases.n = (uint32_t)job.change.leads.n;
    out.removed = out.leads == 0 || in->forwards == 1;
    if (rc == 0 && !out.removed)
        answer(req, 0, &out, &f);
    else
        auth_admin_finish(req, &job, rc, &out, &f);
}

WAITS void auth_admin_domain_alias_add(struct ipc_req *req)
{
    const struct msg_domain_alias_add *in = req->in;
    struct msg_domain_alias_add_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_domain_alias_add(auth.directory, in->name, in->domain, &job.change, req->mem, &f),
               &out, &f);
}

WAITS void auth_admin_domain_alias_remove(struct ipc_req *req)
{
    const struct msg_domain_alias_remove *in = req->in;
    struct msg_domain_alias_remove_r out = {0};
    struct change_job job = {0};
    struct fail f;
    int rc;

    if (!auth_admin_turn(req))
        return;
    rc = directory_plan_domain_alias_remove(auth.directory, in->name, &job.change, req->mem, &f);
    out.leads = job.change.leads.all;
    out.aliases.v = job.change.leads.v;
    out.aliases.n = (uint32_t)job.change.leads.n;
    out.removed = out.leads == 0 || in->forwards == 1;
    if (rc == 0 && !out.removed)
        answer(req, 0, &out, &f);
    else
        auth_admin_finish(req, &job, rc, &out, &f);
}

WAITS void auth_admin_account_add(struct ipc_req *req)
{
    const struct msg_account_add *in = req->in;
    struct change_job job = {.password = in->password, .made = &(struct msg_account_add_r){0}};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_account_add(auth.directory, in->address, in->lang, &job.change, req->mem, &f),
               job.made, &f);
}

WAITS void auth_admin_account_passwd(struct ipc_req *req)
{
    const struct msg_account_passwd *in = req->in;
    struct change_job job = {.password = in->password};
    struct msg_account_passwd_r out = {0};
    struct fail f;
    int rc;

    if (!auth_admin_turn(req))
        return;
    rc = directory_plan_password(auth.directory, in->address, in->revoke_apps == 1, &job.change, req->mem, &f);
    out.apps = (uint32_t)job.change.n_apps;
    auth_admin_finish(req, &job, rc, &out, &f);
}

WAITS void auth_admin_account_state(struct ipc_req *req)
{
    const struct msg_account_state *in = req->in;
    struct msg_account_state_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job,
               directory_plan_account_state(auth.directory, in->address, in->disabled != 0, &job.change, req->mem, &f),
               &out, &f);
}

WAITS void auth_admin_account_remove(struct ipc_req *req)
{
    const struct msg_account_remove *in = req->in;
    struct msg_account_remove_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_account_remove(auth.directory, in->address, &job.change, req->mem, &f), &out, &f);
}

WAITS void auth_admin_alias_add(struct ipc_req *req)
{
    const struct msg_alias_add *in = req->in;
    struct msg_alias_add_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_alias_add(auth.directory, in->address, in->targets, &job.change, req->mem, &f),
               &out, &f);
}

WAITS void auth_admin_alias_remove(struct ipc_req *req)
{
    const struct msg_alias_remove *in = req->in;
    struct msg_alias_remove_r out = {};
    struct change_job job = {0};
    struct fail f;

    if (auth_admin_turn(req))
        auth_admin_finish(req, &job, directory_plan_alias_remove(auth.directory, in->address, &job.change, req->mem, &f), &out, &f);
}

/* ---- more rounds ------------------------------------------------------------------------------------------------------- */

struct raise_job {
    struct change_job change;
    struct password password;
    unsigned char stored_key[PASSWORD_KEY]; /* of the verifier that it was right for */
    char address[LOGIN_NAME_BYTES + 1];
    struct arena mem;
};

static void raise_run(void *arg)
{
    struct raise_job *job = arg;
    struct change_job *c = &job->change;

    c->rc = password_make(&c->change.verifier, &job->password, &c->fail);
    if (c->rc == 0)
        c->rc = directory_write(auth.directory, &c->change, &c->broken, &c->fail);
}

static WAITS void raise_coro(void *arg)
{
    struct raise_job *job = arg;
    struct change_job *c = &job->change;
    struct fail f;

    if (begin(&f) == 0) {
        if (directory_plan_password(auth.directory, span_z(job->address), false, &c->change, &job->mem, &f) == 0 &&
            !c->change.keep_salt && memcmp(c->change.verifier.stored_key, job->stored_key, PASSWORD_KEY) == 0) {
            work_run(raise_run, job);
            if (c->broken)
                role_fatal(&c->fail);
            if (c->rc == 0)
                directory_apply(auth.directory, &c->change);
            LOG(LOG_INFO, "auth.raise", L_Z("account", job->address), L_Z("why", c->rc == 0 ? "" : c->fail.text));
        }
        end();
    }
    arena_done(&job->mem);
    explicit_bzero(job, sizeof *job);
    free(job);
}

void auth_admin_raise(const struct directory_account *a, const struct password *p)
{
    struct raise_job *job;

    if (a->verifier.iterations >= (uint32_t)LIMIT(PASSWORD_ITERATIONS) || a->apps != NULL)
        return;
    job = base_alloc(sizeof *job);
    job->password = *p;
    memcpy(job->stored_key, a->verifier.stored_key, PASSWORD_KEY);
    snprintf(job->address, sizeof job->address, "%s", a->address);
    arena_init(&job->mem);
    if (coro_start(raise_coro, job) == NULL) {
        explicit_bzero(job, sizeof *job);
        free(job);
    }
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

struct list_job {
    enum msg_id id;
    struct span after;
    union {
        struct msg_domain_list_r domains;
        struct msg_domain_alias_list_r domain_aliases;
        struct msg_account_list_r accounts;
        struct msg_alias_list_r aliases;
    } out;
    struct arena *mem;
    int rc;
    struct fail fail;
};

static void list_run(void *arg)
{
    struct list_job *job = arg;

    if (job->id == MSG_ID_domain_list)
        job->rc = directory_list_domains(auth.directory, &job->out.domains, job->mem, &job->fail);
    else if (job->id == MSG_ID_domain_alias_list)
        job->rc = directory_list_domain_aliases(auth.directory, &job->out.domain_aliases, job->mem, &job->fail);
    else if (job->id == MSG_ID_account_list)
        job->rc = directory_list_accounts(auth.directory, job->after, &job->out.accounts, job->mem, &job->fail);
    else
        job->rc = directory_list_aliases(auth.directory, job->after, &job->out.aliases, job->mem, &job->fail);
}

static WAITS void list(struct ipc_req *req, struct span after)
{
    struct list_job job = {.id = req->id, .after = after, .mem = req->mem};

    if (!auth_admin_turn(req))
        return;
    work_run(list_run, &job);
    answer(req, job.rc, &job.out, &job.fail);
}

WAITS void auth_admin_domain_list(struct ipc_req *req)
{
    list(req, SPAN_NONE);
}

WAITS void auth_admin_domain_alias_list(struct ipc_req *req)
{
    list(req, SPAN_NONE);
}

WAITS void auth_admin_account_list(struct ipc_req *req)
{
    list(req, ((const struct msg_account_list *)req->in)->after);
}

WAITS void auth_admin_alias_list(struct ipc_req *req)
{
    list(req, ((const struct msg_alias_list *)req->in)->after);
}
