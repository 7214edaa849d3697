/* auth: the role that holds the directory, the passwords and the private keys. It calls nobody. */
#include "roles/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "login/directory_near.h"
#include "login/directory_rcpt.h"
#include "roles/roles.h"
#include "run/config.h"
#include "run/loop.h"
#include "run/shared.h"

enum { BUCKETS = 50000, REMEMBERED = 20000, DAY_MS = 24 * 3600 * 1000, IDLE_POLL_MS = 20 };

struct auth auth;
static struct loop_timer daily;

/* ---- calls that are answered at once ------------------------------------------------------------------------------- */

static void rcpt_check(struct ipc_req *req)
{
    const struct msg_rcpt_check *in = req->in;
    struct msg_rcpt_check_r out = {.generation = auth.directory_generation};

    directory_rcpt_check(directory_memory(auth.directory), in->address, req->mem, &out);
    ipc_reply(req, &out);
}

static void identity(struct ipc_req *req)
{
    const struct msg_identity *in = req->in;
    const struct login_session *s = login_session_find(auth.sessions, in->handle, req->peer.boot);
    struct msg_identity_r out;
    struct fail f;

    if (s == NULL) {
        fail_perm(&f, "5.7.0", "No such session.");
        ipc_refuse(req, &f);
        return;
    }
    out = (struct msg_identity_r){.own = directory_rcpt_owns(directory_memory(auth.directory), s->account, in->address)};
    ipc_reply(req, &out);
}

static void rcpt_near(struct ipc_req *req)
{
    const struct msg_rcpt_near *in = req->in;
    const struct login_session *s = login_session_find(auth.sessions, in->handle, req->peer.boot);
    struct directory_cache *c = directory_memory(auth.directory);
    const struct directory_account *a = s != NULL ? map_get_u64(&c->accounts, s->account) : NULL;
    struct msg_rcpt_near_r out = {0};
    struct fail f;

    if (a == NULL) {
        fail_perm(&f, "5.7.0", "No such session.");
        ipc_refuse(req, &f);
        return;
    }
    out.address = directory_near(c, a, in->address, req->mem);
    ipc_reply(req, &out);
}

static void srs_make(struct ipc_req *req)
{
    const struct msg_srs_make *in = req->in;
    struct msg_srs_make_r out = {0};
    struct fail f;

    if (directory_rcpt_srs(directory_memory(auth.directory), in->sender, in->via, req->mem, &out, &f) < 0)
        ipc_refuse(req, &f);
    else
        ipc_reply(req, &out);
}

static void account_find(struct ipc_req *req)
{
    const struct msg_account_find *in = req->in;
    const struct directory_account *a = map_get_u64(&directory_memory(auth.directory)->accounts, in->account);
    struct msg_account_find_r out;
    struct fail f;

    if (a == NULL) {
        fail_perm(&f, "5.1.1", "No such account.");
        ipc_refuse(req, &f);
        return;
    }
    out = (struct msg_account_find_r){.address = span_z(a->address), .lang = span_z(a->lang)};
    ipc_reply(req, &out);
}

static void tls_chains(struct ipc_req *req)
{
    struct msg_tls_chains_r out = {.generation = auth.tls_generation};

    key_chains(auth.keys, &out, req->mem);
    ipc_reply(req, &out);
}

static void tls_sign(struct ipc_req *req)
{
    const struct msg_tls_sign *in = req->in;
    unsigned char sig[256];
    ptrdiff_t n = key_sign(auth.keys, in->key_id, in->digest, sig, sizeof sig);
    struct msg_tls_sign_r out;
    struct fail f;

    if (n < 0) {
        fail_perm(&f, "5.7.0", "No such key, or no digest.");
        ipc_refuse(req, &f);
        return;
    }
    out = (struct msg_tls_sign_r){.signature = span_of(sig, (size_t)n)};
    ipc_reply(req, &out);
}

/* ---- channels -------------------------------------------------------------------------------------------------------- */

static void peer_came(const struct ipc_peer *peer, struct ipc_chan *ch)
{
    struct msg_account_gone gone;

    if (peer->kind == ROLE_FRONT_USER)
        auth_uid_front(peer->boot);
    if (peer->kind != ROLE_STORE)
        return;
    for (size_t i = 0; i < auth.gone.n; i++) {
        gone.account = auth.gone.v[i];
        ipc_post_on(ch, MSG_ID_account_gone, &gone);
    }
    auth_login_tell_store(ch);
}

static void peer_went(struct ipc_peer peer, bool calls)
{
    if (ROLE_BIT(peer.kind) & ROLES_FRONT)
        auth_login_end_front(peer.boot);
    if (peer.kind == ROLE_FRONT_USER)
        auth_uid_front_gone(peer.boot);
}

void auth_changed(void)
{
    auth.directory_generation++;
    counter_add(COUNTER_DIRECTORY_GENERATION, 1);
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static int load_gone(struct fail *f)
{
    struct arena mem;
    uint64_t *ids;
    size_t n;
    int rc;

    arena_init(&mem);
    rc = directory_list_gone(auth.directory, &ids, &n, &mem, f);
    for (size_t i = 0; rc == 0 && i < n; i++)
        *VEC_PUSH(&auth.gone) = ids[i];
    arena_done(&mem);
    return rc;
}

static int prepare(struct fail *f)
{
    auth.directory = directory_open("directory.db", f);
    if (auth.directory == NULL || load_gone(f) < 0)
        return -1;
    auth.keys = key_open("keys", config_text(CONFIG_server_hostname), f);
    return auth.keys != NULL ? 0 : -1;
}

static void daily_fire(struct loop_timer *t)
{
    key_warn(auth.keys);
    loop_timer_set(t, clock_mono_ms() + DAY_MS);
}

static int begin(struct fail *f)
{
    directory_memory(auth.directory)->sign =
        span_eq(config_text(CONFIG_server_subaddress), SPAN("none")) ? 0 : config_text(CONFIG_server_subaddress).p[0];
    auth.sasl = sasl_new(config_bool(CONFIG_server_cleartext_loopback));
    auth.throttle = throttle_new(BUCKETS);
    auth.remember = remember_new(REMEMBERED);
    auth.sessions = login_session_table();
    auth_admin_init();
    auth_attempts_init();
    /* What a front saved under a number of an earlier start must not look current. */
    auth.directory_generation = rand_below(1ull << 48) + 1;
    auth.tls_generation = rand_below(1ull << 48) + 1;
    counter_add(COUNTER_DIRECTORY_GENERATION, (int64_t)auth.directory_generation);
    counter_add(COUNTER_TLS_GENERATION, (int64_t)auth.tls_generation);
    role_on_peer(peer_came);
    ipc_on_close(peer_went);
    loop_timer_init(&daily, daily_fire);
    loop_timer_set(&daily, clock_mono_ms() + DAY_MS);
    return 0;
}

static void stop_when_idle(struct loop_timer *t)
{
    if (!ipc_idle() || !auth_attempts_idle() || !auth_admin_idle()) {
        loop_timer_set(t, clock_mono_ms() + IDLE_POLL_MS);
        return;
    }
    directory_checkpoint(auth.directory);
    role_stopped();
}

static void stop(void)
{
    static struct loop_timer idle;

    loop_timer_init(&idle, stop_when_idle);
    stop_when_idle(&idle);
}

/* The keys that lie there now. What cannot be read leaves those that were, so that nobody loses TLS by a slip. */
static void reload(void)
{
    struct fail f;
    struct key_store *fresh = key_open("keys", config_text(CONFIG_server_hostname), &f);

    if (fresh == NULL) {
        LOG(LOG_ERROR, "auth.reload", L_Z("why", f.text));
        return;
    }
    key_close(auth.keys);
    auth.keys = fresh;
    auth.tls_generation++;
    counter_add(COUNTER_TLS_GENERATION, 1);
    LOG(LOG_INFO, "auth.reload", L_INT("keys", (int64_t)key_count(fresh)));
    key_warn(fresh);
}

static const struct ipc_handler handlers[] = {
    {.id = MSG_ID_rcpt_check, .call = rcpt_check},
    {.id = MSG_ID_identity, .call = identity},
    {.id = MSG_ID_rcpt_near, .call = rcpt_near},
    {.id = MSG_ID_srs_make, .call = srs_make},
    {.id = MSG_ID_account_find, .call = account_find},
    {.id = MSG_ID_sasl, .call = auth_login_sasl, .coro = true},
    {.id = MSG_ID_logout, .post = auth_login_logout},
    {.id = MSG_ID_ctl_uid, .post = auth_uid_is},
    {.id = MSG_ID_tls_chains, .call = tls_chains},
    {.id = MSG_ID_tls_sign, .call = tls_sign},
    {.id = MSG_ID_domain_add, .call = auth_admin_domain_add, .coro = true},
    {.id = MSG_ID_domain_list, .call = auth_admin_domain_list, .coro = true},
    {.id = MSG_ID_domain_admin, .call = auth_admin_domain_admin, .coro = true},
    {.id = MSG_ID_domain_remove, .call = auth_admin_domain_remove, .coro = true},
    {.id = MSG_ID_domain_alias_add, .call = auth_admin_domain_alias_add, .coro = true},
    {.id = MSG_ID_domain_alias_list, .call = auth_admin_domain_alias_list, .coro = true},
    {.id = MSG_ID_domain_alias_remove, .call = auth_admin_domain_alias_remove, .coro = true},
    {.id = MSG_ID_account_add, .call = auth_admin_account_add, .coro = true},
    {.id = MSG_ID_account_list, .call = auth_admin_account_list, .coro = true},
    {.id = MSG_ID_account_passwd, .call = auth_admin_account_passwd, .coro = true},
    {.id = MSG_ID_account_state, .call = auth_admin_account_state, .coro = true},
    {.id = MSG_ID_account_remove, .call = auth_admin_account_remove, .coro = true},
    {.id = MSG_ID_app_password_add, .call = auth_app_add, .coro = true},
    {.id = MSG_ID_app_password_list, .call = auth_app_list},
    {.id = MSG_ID_app_password_remove, .call = auth_app_remove, .coro = true},
    {.id = MSG_ID_logins, .call = auth_app_logins, .coro = true},
    {.id = MSG_ID_alias_add, .call = auth_admin_alias_add, .coro = true},
    {.id = MSG_ID_alias_list, .call = auth_admin_alias_list, .coro = true},
    {.id = MSG_ID_auth_backup, .call = auth_backup_read, .coro = true},
    {.id = MSG_ID_alias_remove, .call = auth_admin_alias_remove, .coro = true},
};

const struct role_def auth_role = {
    .kind = ROLE_AUTH,
    .dir = "auth",
    .threads = 2,
    .prepare = prepare,
    .begin = begin,
    .accepted = auth_uid_accepted,
    .stop = stop,
    .reload = reload,
    .handlers = handlers,
    .n_handlers = COUNT_OF(handlers),
};
