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
#include "run/role.h"

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

/* A session of front `boot` for a user whom the kernel named. address: the account's, folded. m: result, handle and address
 * are filled, borrowed from the session and the account. NULL: no such account, disabled, or too many sessions. */
const struct login_session *auth_login_uid(struct span address, uint32_t uid, uint64_t boot, struct msg_uid_login *m);
void auth_login_end(const struct login_session *s); /* nobody ever got it */

/* auth_uid.c: the sendmail command's socket */
void auth_uid_is(const struct ipc_peer *peer, const void *in); /* master: this uid is that account */
void auth_uid_accepted(enum service_id service, int fd, const struct conn_addr *peer, const struct conn_addr *local);
void auth_uid_front(uint64_t boot);      /* a front-user came */
void auth_uid_front_gone(uint64_t boot);

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
/* One change at a time: waits for the turn, or refuses the request and returns false; then plans, then finishes. */
struct change_job {
    struct directory_change change;
    struct span password;           /* for an account made, or its new one */
    struct msg_account_add_r *made; /* gets the account's number; or NULL */
    const char *app;                /* text of an app password to be made; or NULL */
    int rc;
    bool broken;
    struct fail fail;
};
WAITS bool auth_admin_turn(struct ipc_req *req);
WAITS void auth_admin_finish(struct ipc_req *req, struct change_job *job, int rc, const void *out, struct fail *f);
/* The account's password, which was right just now, is hashed anew if limit password_iterations has grown since; soon. */
void auth_admin_raise(const struct directory_account *a, const struct password *p);
void auth_admin_init(void);
bool auth_admin_idle(void); /* no change is on its way */
/* fn(arg) on the pool while no change is on its way. 0, or -1 and *f: fn did not run. */
WAITS int auth_admin_quiet(void (*fn)(void *arg), void *arg, struct fail *f);

/* auth_app.c: app passwords and the log of attempts */
WAITS void auth_app_add(struct ipc_req *req);
void auth_app_list(struct ipc_req *req);
WAITS void auth_app_remove(struct ipc_req *req);
WAITS void auth_app_logins(struct ipc_req *req);

/* auth_attempts.c */
void auth_attempts_init(void);
void auth_attempts_note(const struct directory_attempt *a);
WAITS void auth_attempts_flush(void);   /* what was noted so far is on disk, or logged as lost */
bool auth_attempts_idle(void);          /* all is written; begins to write what is not */

/* auth_backup.c */
WAITS void auth_backup_read(struct ipc_req *req);

#endif
