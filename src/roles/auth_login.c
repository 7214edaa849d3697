/* auth_login: SASL steps, password checks, and the sessions that come of them. */
#include <arpa/inet.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "login/directory_find.h"
#include "roles/auth.h"
#include "run/service.h"
#include "run/shared.h"
#include "run/work.h"

/* ---- sessions -------------------------------------------------------------------------------------------------------- */

static void post_end(const struct login_session *s, void *arg)
{
    struct msg_session_end end = {.handle = span_of(s->handle, LOGIN_HANDLE)};

    ipc_post_to(ROLE_STORE, MSG_ID_session_end, &end);
}

static struct msg_session_add add_of(const struct login_session *s)
{
    return (struct msg_session_add){.handle = span_of(s->handle, LOGIN_HANDLE),
                                    .account = s->account,
                                    .front_boot = s->front_boot,
                                    .service = s->service,
                                    .lang = span_z(s->lang)};
}

static void tell(const struct login_session *s, void *arg)
{
    struct msg_session_add add = add_of(s);

    ipc_post_on(arg, MSG_ID_session_add, &add);
}

void auth_login_tell_store(struct ipc_chan *store)
{
    login_session_each(auth.sessions, tell, store);
}

void auth_login_end_account(uint64_t account)
{
    remember_drop(auth.remember, account);
    login_session_end_all(auth.sessions, account, 0, post_end, NULL);
}

void auth_login_end_front(uint64_t boot)
{
    login_session_end_all(auth.sessions, 0, boot, post_end, NULL);
}

void auth_login_logout(const struct ipc_peer *peer, const void *in)
{
    const struct msg_logout *logout = in;

    login_session_end(auth.sessions, logout->handle, peer->boot, post_end, NULL);
}

/* ---- the password ------------------------------------------------------------------------------------------------------ */

struct check_job {
    struct password_verifier verifier;
    struct password password;
    bool right;
};

static void check_run(void *arg)
{
    struct check_job *job = arg;

    job->right = password_check(&job->verifier, &job->password);
}

/* The name as the directory has it; what cannot be one stays as it is, and is nobody's. */
static struct span canonical(struct span name, char folded[LOGIN_NAME_BYTES])
{
    size_t at = 0, n = login_name_fold(name, folded, &at);

    if (n > 0)
        n = directory_find_home(directory_memory(auth.directory), folded, n, at);
    return n > 0 ? span_of(folded, n) : name;
}

static struct directory_account *find(struct span name)
{
    return directory_cache_account(directory_memory(auth.directory), name);
}

static bool opens(const struct directory_account *a, const struct app_password *app, uint32_t service)
{
    return app != NULL && !a->disabled && app_password_opens(app, service);
}

/* Whether the password is right, computed if need be: an app password at once, for it needs only a hash, the account's own
 * one on the pool. Unknown and disabled accounts, and app passwords for other services, cost the same as a wrong password
 * (SEC-13). The account is looked up again afterwards: meanwhile it may have changed or gone. app_id: of the app password. */
static WAITS struct directory_account *check(struct span name, uint32_t service, struct check_job *job, uint64_t *app_id)
{
    struct directory_account *a = find(name);
    const struct app_password *app = app_password_find(a != NULL ? a->apps : NULL, &job->password);
    uint64_t id = a != NULL ? a->id : 0;
    bool right = a != NULL && remember_check(auth.remember, id, &job->password), computed = !right;

    *app_id = 0;
    if (a != NULL)
        job->verifier = a->verifier;
    else
        password_fake(&job->verifier, directory_secret(auth.directory), name);
    if (a != NULL && opens(a, app, service)) {
        counter_add(COUNTER_PASSWORD_CHECKS, 1);
        *app_id = app->id;
        return a;
    }
    if (computed) {
        counter_add(COUNTER_PASSWORD_CHECKS, 1);
        work_run(check_run, job);
        right = job->right;
        a = find(name);
    }
    if (!right || a == NULL || a->id != id || a->disabled ||
        memcmp(a->verifier.stored_key, job->verifier.stored_key, PASSWORD_KEY) != 0)
        return NULL;
    if (computed) {
        remember_put(auth.remember, id, &job->password);
        auth_admin_raise(a, &job->password);
    }
    return a;
}

/* ---- what comes of it ---------------------------------------------------------------------------------------------------- */

/* For the owner of the account, if there is one; and for its app password's last use. */
static void note(struct span name, const struct msg_sasl *in, const char *mech, enum login_result result, uint64_t app_id)
{
    struct directory_account *a = find(name);
    struct directory_attempt attempt = {.at_s = clock_now_s(), .count = 1, .result = result, .app = app_id,
                                        .service = service_table[in->service].name, .mech = mech};

    if (a == NULL)
        return;
    attempt.account = a->id;
    memcpy(attempt.ip, in->ip.p, sizeof attempt.ip);
    for (struct app_password *app = a->apps; app != NULL; app = app->next)
        if (app->id == app_id) {
            snprintf(attempt.label, sizeof attempt.label, "%s", app->label);
            if (result == LOGIN_OK)
                app->used_s = attempt.at_s;
        }
    auth_attempts_note(&attempt);
}

static void log_login(struct span name, const struct msg_sasl *in, const char *mech, const char *result)
{
    char ip[INET6_ADDRSTRLEN] = "";
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool v4 = memcmp(in->ip.p, mapped, sizeof mapped) == 0;

    inet_ntop(v4 ? AF_INET : AF_INET6, in->ip.p + (v4 ? 12 : 0), ip, sizeof ip);
    LOG(LOG_INFO, "auth.login", L_SPAN("account", name), L_Z("service", service_table[in->service].name), L_Z("ip", ip),
        L_Z("mech", mech), L_Z("result", result));
}

static void answer_bad(struct span name, const struct msg_sasl *in, const char *mech, uint32_t wait_ms,
                       struct msg_sasl_r *out)
{
    out->state = SASL_BAD;
    out->wait_ms = wait_ms;
    counter_add(COUNTER_LOGINS_FAILED, 1);
    log_login(name, in, mech, "bad");
    note(name, in, mech, LOGIN_BAD, 0);
}

static void answer_busy(struct span name, const struct msg_sasl *in, const char *mech, uint32_t wait_ms,
                        struct msg_sasl_r *out)
{
    out->state = SASL_BUSY;
    out->wait_ms = wait_ms;
    counter_add(COUNTER_LOGINS_FAILED, 1);
    log_login(name, in, mech, "busy");
    note(name, in, mech, LOGIN_BUSY, 0);
}

/* A session of the account. NULL: the front has too many. */
static const struct login_session *mint(const struct directory_account *a, uint64_t boot, const struct msg_sasl *in)
{
    const struct login_session *s = login_session_add(auth.sessions, a->id, boot, in->service, span_z(a->lang));
    struct msg_session_add add;

    if (s == NULL)
        return NULL;
    add = add_of(s);
    /* Store must hear of the handle before the front can use it. With store down: it is told when it is back. */
    ipc_post_to(ROLE_STORE, MSG_ID_session_add, &add);
    ipc_flush();
    counter_add(COUNTER_LOGINS, 1);
    return s;
}

static void answer_ok(struct ipc_req *req, struct directory_account *a, const struct msg_sasl *in, const char *mech,
                      uint64_t app_id, struct msg_sasl_r *out)
{
    const struct login_session *s = mint(a, req->peer.boot, in);

    if (s == NULL) {
        answer_busy(span_z(a->address), in, mech, 1000, out);
        return;
    }
    out->state = SASL_OK;
    out->handle = arena_copy(req->mem, span_of(s->handle, LOGIN_HANDLE));
    out->account = a->id;
    out->address = span_z(a->address);
    out->lang = span_z(a->lang);
    log_login(span_z(a->address), in, mech, "ok");
    note(span_z(a->address), in, mech, LOGIN_OK, app_id);
}

const struct login_session *auth_login_uid(struct span address, uint32_t uid, uint64_t boot, struct msg_uid_login *m)
{
    static const char local[16] = {[15] = 1};
    static const struct msg_sasl in = {.service = SERVICE_sendmail, .ip = {local, sizeof local}};
    static const char *const said[] = {[LOGIN_OK] = "ok", [LOGIN_BAD] = "bad", [LOGIN_BUSY] = "busy"};
    static const char mech[] = "uid";
    char folded[LOGIN_NAME_BYTES], who[20];
    struct span name = canonical(address, folded);
    struct directory_account *a = find(name);
    const struct login_session *s = NULL;

    m->result = a == NULL || a->disabled ? LOGIN_BAD : LOGIN_BUSY;
    if (m->result == LOGIN_BUSY && (s = mint(a, boot, &in)) != NULL) {
        m->result = LOGIN_OK;
        m->handle = span_of(s->handle, LOGIN_HANDLE);
        m->address = span_z(a->address);
    } else {
        counter_add(COUNTER_LOGINS_FAILED, 1);
    }
    snprintf(who, sizeof who, "uid %u", uid);
    log_login(name, &in, who, said[m->result]);
    note(name, &in, mech, (enum login_result)m->result, 0);
    return s;
}

void auth_login_end(const struct login_session *s)
{
    login_session_end(auth.sessions, span_of(s->handle, LOGIN_HANDLE), s->front_boot, post_end, NULL);
}

static WAITS void try_password(struct ipc_req *req, const struct sasl_step *step, struct msg_sasl_r *out)
{
    const struct msg_sasl *in = req->in;
    char folded[LOGIN_NAME_BYTES];
    struct span name = canonical(step->name, folded);
    struct directory_account *a;
    struct throttle_check ticket;
    struct check_job *job;
    uint32_t wait_ms = 0;
    uint64_t app_id = 0;

    if (!throttle_begin(auth.throttle, name, (const unsigned char *)in->ip.p, &ticket, &wait_ms)) {
        answer_busy(name, in, step->mech, wait_ms, out);
        return;
    }
    job = base_alloc(sizeof *job);
    /* RFC 4616 2: what cannot be prepared is no password; that it fails tells nothing about the account */
    a = password_prepare(&job->password, step->password, NULL) == 0 ? check(name, in->service, job, &app_id) : NULL;
    OPENSSL_cleanse(job, sizeof *job);
    free(job);
    wait_ms = throttle_end(auth.throttle, &ticket, a != NULL);
    if (a == NULL)
        answer_bad(name, in, step->mech, wait_ms, out);
    else if (req->chan != NULL)
        answer_ok(req, a, in, step->mech, app_id, out);
    else
        out->state = SASL_BUSY; /* the front is gone: nobody is there to have a session */
}

/* ---- SCRAM ------------------------------------------------------------------------------------------------------------- */

static void verifier_of(struct span name, struct password_verifier *v)
{
    const struct directory_account *a = find(name);

    if (a != NULL)
        *v = a->verifier;
    else
        password_fake(v, directory_secret(auth.directory), name); /* SEC-13: a salt that is the same each time */
}

static void give_salt(struct ipc_req *req, struct sasl_step *step)
{
    char folded[LOGIN_NAME_BYTES];
    struct password_verifier v;

    verifier_of(canonical(step->name, folded), &v);
    sasl_salt(auth.sasl, step, span_of(v.salt, PASSWORD_SALT), v.iterations, req->mem);
}

/* A key of an account: by its first bytes it is found again in the last step, if it is still one. */
static uint64_t credential_of(const unsigned char *stored_key)
{
    uint64_t id;

    memcpy(&id, stored_key, sizeof id);
    return id;
}

/* The key that the proof is of, or NULL: the account's own (SCRAM-SHA-256 alone), or that of an app password for this
 * service. Looks at as many whatever the account has, or whether there is one (SEC-13). */
static const unsigned char *proven_key(const struct directory_account *a, const struct password_verifier *own, uint32_t service,
                                       const struct sasl_step *step, const unsigned char **server_key)
{
    static const unsigned char nothing[SCRAM_KEY];
    const struct app_password *app = a != NULL ? a->apps : NULL;
    const unsigned char *found = NULL;

    if (scram_proves(step->hash, own->stored_key, step->auth_message, step->proof) && step->hash == SCRAM_SHA256) {
        found = own->stored_key;
        *server_key = own->server_key;
    }
    for (int64_t i = 0; i < LIMIT(APP_PASSWORDS); i++) {
        const unsigned char *key = app != NULL ? app->stored_key[step->hash] : nothing;
        bool right = scram_proves(step->hash, key, step->auth_message, step->proof);
        if (right && app != NULL && app_password_opens(app, service)) {
            found = key;
            *server_key = app->server_key[step->hash];
        }
        app = app != NULL ? app->next : NULL;
    }
    return a != NULL && !a->disabled ? found : NULL;
}

/* The proof costs hashes only, but is counted as a password check: it tells a guesser as much (SEC-14). */
static void try_proof(struct ipc_req *req, struct sasl_step *step, struct msg_sasl_r *out)
{
    const struct msg_sasl *in = req->in;
    char folded[LOGIN_NAME_BYTES];
    struct span name = canonical(step->name, folded);
    const struct directory_account *a = find(name);
    const unsigned char *key, *server_key = NULL;
    struct password_verifier v;
    struct throttle_check ticket;
    uint32_t wait_ms = 0;

    if (!throttle_begin(auth.throttle, name, (const unsigned char *)in->ip.p, &ticket, &wait_ms)) {
        answer_busy(name, in, step->mech, wait_ms, out);
        sasl_refused(auth.sasl, step);
        return;
    }
    counter_add(COUNTER_PASSWORD_CHECKS, 1);
    verifier_of(name, &v);
    key = proven_key(a, &v, in->service, step, &server_key);
    wait_ms = throttle_end(auth.throttle, &ticket, key != NULL);
    if (key != NULL) {
        sasl_proven(auth.sasl, step, server_key, a->id, credential_of(key), req->mem);
    } else {
        answer_bad(name, in, step->mech, wait_ms, out);
        sasl_refused(auth.sasl, step);
        step->state = SASL_BAD;
    }
    OPENSSL_cleanse(&v, sizeof v);
}

/* Is that key still one of the account? app_id: of the app password whose it is, else 0. */
static bool still_good(const struct directory_account *a, const struct sasl_step *step, uint64_t *app_id)
{
    *app_id = 0;
    if (a == NULL || a->disabled)
        return false;
    if (credential_of(a->verifier.stored_key) == step->credential)
        return true;
    for (const struct app_password *app = a->apps; app != NULL; app = app->next)
        if (credential_of(app->stored_key[step->hash]) == step->credential)
            *app_id = app->id;
    return *app_id != 0;
}

/* The client has seen our signature and goes on. Meanwhile the account may have changed. */
static void begin_session(struct ipc_req *req, const struct sasl_step *step, struct msg_sasl_r *out)
{
    struct directory_account *a = map_get_u64(&directory_memory(auth.directory)->accounts, step->account);
    uint64_t app_id;

    if (still_good(a, step, &app_id))
        answer_ok(req, a, req->in, step->mech, app_id, out);
    else
        answer_bad(step->name, req->in, step->mech, 0, out);
}

/* ---- a step -------------------------------------------------------------------------------------------------------------- */

static void answer_step(const struct msg_sasl *in, const struct sasl_step *step, struct msg_sasl_r *out)
{
    if (step->state == SASL_BAD) {
        answer_bad(step->name, in, step->mech, 0, out);
        return;
    }
    out->state = step->state;
    out->dialog = step->dialog;
    out->challenge = step->challenge;
}

WAITS void auth_login_sasl(struct ipc_req *req)
{
    const struct msg_sasl *in = req->in;
    struct msg_sasl_r out = {0};
    struct sasl_step step;
    struct fail f;

    if (in->ip.n != 16 || in->service >= SERVICE_COUNT || in->service == SERVICE_sendmail) {
        fail_perm(&f, "5.5.4", "Not an address, or not a service.");
        ipc_refuse(req, &f);
        return;
    }
    sasl_step(auth.sasl, in, req->peer.boot, req->mem, &step);
    if (step.want == SASL_WANT_CHECK) {
        try_password(req, &step, &out);
    } else if (step.want == SASL_WANT_SESSION) {
        begin_session(req, &step, &out);
    } else {
        if (step.want == SASL_WANT_SALT)
            give_salt(req, &step);
        if (step.want == SASL_WANT_PROOF)
            try_proof(req, &step, &out);
        if (out.state == SASL_OK) /* not answered yet */
            answer_step(in, &step, &out);
    }
    password_wipe_span(in->response);
    ipc_reply(req, &out);
}
