/* auth: what the parts of the role auth share: the directory, passwords and keys, and who is logged in. Loop thread only. */
#ifndef POSTEL_AUTH_H
#define POSTEL_AUTH_H

#include "base/vec.h"
#include "login/directory.h"
#include "login/key.h"
#include "login/login_session.h"
#include "login/remember.h"
#include "login/sasl.h"
#include "login/throttle.h"

struct auth {
    struct directory *directory;
    struct key_store *keys;
    struct sasl *sasl;
    struct throttle *throttle;
    struct remember *remember;
    struct login_sessions *sessions;
    VEC(uint64_t) gone;             /* accounts removed lately: store is told again when it starts */
    uint64_t directory_generation, tls_generation; /* as in the counters; a new start never repeats one */
};

extern struct auth auth;

void auth_changed(void); /* the directory did: caches elsewhere are stale */

/* auth_login.c */
WAITS void auth_login_sasl(struct ipc_req *req);
void auth_login_logout(const struct ipc_peer *peer, const void *in);
void auth_login_end_account(uint64_t account);  /* new password, or gone */
void auth_login_end_front(uint64_t boot);       /* its channel closed */
void auth_login_tell_store(struct ipc_chan *store); /* a store that started knows nobody yet */

/* auth_admin.c: the command line's calls */
WAITS void auth_admin_domain_add(struct ipc_req *req);
WAITS void auth_admin_domain_list(struct ipc_req *req);
WAITS void auth_admin_domain_admin(struct ipc_req *req);
WAITS void auth_admin_domain_remove(struct ipc_req *req);
WAITS void auth_admin_domain_alias_add(struct ipc_req *req);
WAITS void auth_admin_domain_alias_list(struct ipc_req *req);
WAITS void auth_admin_domain_alias_remove(struct ipc_req *req);
WAITS void auth_admin_account_add(struct ipc_req *req);
WAITS void auth_admin_account_list(struct ipc_req *req);
WAITS void auth_admin_account_passwd(struct ipc_req *req);
WAITS void auth_admin_account_state(struct ipc_req *req);
WAITS void auth_admin_account_remove(struct ipc_req *req);
WAITS void auth_admin_alias_add(struct ipc_req *req);
WAITS void auth_admin_alias_list(struct ipc_req *req);
WAITS void auth_admin_alias_remove(struct ipc_req *req);
void auth_admin_init(void);
bool auth_admin_idle(void); /* no change is on its way */
/* fn(arg) on the pool while no change is on its way. 0, or -1 and *f: fn did not run. */
WAITS int auth_admin_quiet(void (*fn)(void *arg), void *arg, struct fail *f);

/* auth_backup.c */
WAITS void auth_backup_read(struct ipc_req *req);

#endif
