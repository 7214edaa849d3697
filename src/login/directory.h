/* directory: domains, accounts and aliases: kept in directory.db, answered from memory.
 *
 * A change takes three steps, so that nothing blocks the loop: a plan (loop thread) checks it against the memory,
 * directory_write (pool thread) makes it durable, directory_apply (loop thread) brings the memory in step. One change at
 * a time, from plan to apply. What a plan points to lives in its mem or is borrowed from its arguments.
 */
#ifndef POSTEL_DIRECTORY_H
#define POSTEL_DIRECTORY_H

#include "login/directory_cache.h"
#include "login/directory_leads.h"

enum directory_change_kind {
    DIRECTORY_DOMAIN_ADD,
    DIRECTORY_DOMAIN_ADMIN,
    DIRECTORY_DOMAIN_REMOVE,
    DIRECTORY_DOMAIN_ALIAS_ADD,
    DIRECTORY_DOMAIN_ALIAS_REMOVE,
    DIRECTORY_ACCOUNT_ADD,
    DIRECTORY_ACCOUNT_STATE,
    DIRECTORY_PASSWORD,
    DIRECTORY_APP_ADD,
    DIRECTORY_APP_REMOVE,
    DIRECTORY_ACCOUNT_REMOVE,
    DIRECTORY_ALIAS_ADD,
    DIRECTORY_ALIAS_REMOVE,
};

struct directory_change {
    enum directory_change_kind kind;
    struct span domain, address, targets, lang; /* folded, checked; address: of DOMAIN_ALIAS_* the other name */
    bool new_account;                   /* the caller puts its password's verifier here before directory_write */
    struct password_verifier verifier;  /* of PASSWORD and APP_ADD: at first the present one */
    bool keep_salt;                     /* PASSWORD: app passwords hang on salt and iterations */
    bool revoke_apps;                   /* PASSWORD: they go */
    size_t n_apps;                      /* PASSWORD: how many there are */
    struct app_password app;            /* APP_ADD: the caller puts hash and keys there; APP_REMOVE: its label */
    uint64_t account;                   /* concerned; after the write also of the account made */
    int64_t domain_id;                  /* likewise */
    bool disabled;                      /* ACCOUNT_STATE */
    uint64_t *gone;                     /* DOMAIN_REMOVE: its accounts */
    size_t n_gone;
    struct directory_leads leads;       /* DOMAIN_REMOVE, DOMAIN_ALIAS_REMOVE: what would send mail out; the caller decides */
    int64_t now_s;
};

struct directory;

/* path: of directory.db. NULL and *f when it cannot be used. Files are made for their owner only. */
struct directory *directory_open(const char *path, struct fail *f);
void directory_close(struct directory *d);
void directory_checkpoint(struct directory *d); /* the WAL into the database, at stop */
struct directory_cache *directory_memory(struct directory *d);
struct span directory_secret(const struct directory *d); /* 32 bytes that never change, for password_fake */

/* Plans. 0, or -1 with FAIL_PERM that says what to do instead. */
int directory_plan_domain_add(struct directory *d, struct span name, struct span admin, struct span lang,
                              struct directory_change *c, struct arena *mem, struct fail *f);
int directory_plan_domain_admin(struct directory *d, struct span name, struct span admin, struct directory_change *c,
                                struct arena *mem, struct fail *f);
/* accounts: also one that has some, and them with it. */
int directory_plan_domain_remove(struct directory *d, struct span name, bool accounts, struct directory_change *c,
                                 struct arena *mem, struct fail *f);
int directory_plan_domain_alias_add(struct directory *d, struct span name, struct span domain, struct directory_change *c,
                                    struct arena *mem, struct fail *f);
int directory_plan_domain_alias_remove(struct directory *d, struct span name, struct directory_change *c,
                                       struct arena *mem, struct fail *f);
int directory_plan_account_state(struct directory *d, struct span address, bool disabled, struct directory_change *c,
                                 struct arena *mem, struct fail *f);
int directory_plan_account_add(struct directory *d, struct span address, struct span lang, struct directory_change *c,
                               struct arena *mem, struct fail *f);
/* revoke_apps: no app password is good any more; else all stay. */
int directory_plan_password(struct directory *d, struct span address, bool revoke_apps, struct directory_change *c,
                            struct arena *mem, struct fail *f);
int directory_plan_account_remove(struct directory *d, struct span address, struct directory_change *c,
                                  struct arena *mem, struct fail *f);
int directory_plan_alias_add(struct directory *d, struct span address, struct span targets, struct directory_change *c,
                             struct arena *mem, struct fail *f);
int directory_plan_alias_remove(struct directory *d, struct span address, struct directory_change *c,
                                struct arena *mem, struct fail *f);

/* scope: enum app_scope; label: of its own for each, some letters. */
int directory_plan_app_add(struct directory *d, struct span address, struct span label, uint32_t scope,
                           struct directory_change *c, struct arena *mem, struct fail *f);
int directory_plan_app_remove(struct directory *d, struct span address, struct span label, struct directory_change *c,
                              struct arena *mem, struct fail *f);
/* The account of an address, or NULL and *f. */
struct directory_account *directory_account(struct directory *d, struct span address, struct arena *mem, struct fail *f);

/* Attempts to log in that were alike, in one batch. */
struct directory_attempt {
    uint64_t account, app; /* app: id of the app password, 0: none */
    int64_t at_s;
    uint32_t count, result; /* enum login_result */
    unsigned char ip[16];
    const char *service, *mech; /* static */
    char label[APP_PASSWORD_LABEL + 1];
};

/* On the pool, not beside a change; one transaction for all. What is beyond the limits goes. *broken as in directory_write. */
int directory_write_attempts(struct directory *d, const struct directory_attempt *v, size_t n, bool *broken, struct fail *f);
int directory_list_logins(struct directory *d, uint64_t account, uint64_t before, struct msg_logins_r *out,
                          struct arena *mem, struct fail *f);

/* directory.db as a whole, for a backup; caller frees out->p. Blocks, while no change is written. */
int directory_snapshot(struct directory *d, struct span *out, struct fail *f);
int directory_write(struct directory *d, struct directory_change *c, bool *broken, struct fail *f);
void directory_apply(struct directory *d, const struct directory_change *c);

/* Lists, from the database; on the pool, not beside a change. At most 500 rows and what fits a frame; `after` as given by
 * an earlier row; no row: that was all. */
int directory_list_domains(struct directory *d, struct msg_domain_list_r *out, struct arena *mem, struct fail *f);
int directory_list_domain_aliases(struct directory *d, struct msg_domain_alias_list_r *out, struct arena *mem, struct fail *f);
int directory_list_accounts(struct directory *d, struct span after, struct msg_account_list_r *out, struct arena *mem,
                            struct fail *f);
int directory_list_aliases(struct directory *d, struct span after, struct msg_alias_list_r *out, struct arena *mem,
                           struct fail *f);
int directory_list_gone(struct directory *d, uint64_t **ids, size_t *n, struct arena *mem, struct fail *f);

#endif
