/* login_session: the live sessions: who is logged in through which front. */
#ifndef POSTEL_LOGIN_SESSION_H
#define POSTEL_LOGIN_SESSION_H

#include "base/span.h"

#define LOGIN_HANDLE 16

struct login_session {
    unsigned char handle[LOGIN_HANDLE]; /* random; names the session at store */
    uint64_t account, front_boot;
    uint32_t service;
    char lang[36];
};

struct login_sessions;

struct login_sessions *login_session_table(void);
void login_session_done(struct login_sessions *t);
/* NULL when one front has more sessions than it can hold connections (limit sessions). */
const struct login_session *login_session_add(struct login_sessions *t, uint64_t account, uint64_t front_boot,
                                              uint32_t service, struct span lang);
/* NULL when there is none, or it is another front's (SEC-24). */
const struct login_session *login_session_find(const struct login_sessions *t, struct span handle, uint64_t front_boot);
size_t login_session_count(const struct login_sessions *t);

typedef void login_session_fn(const struct login_session *s, void *arg);

/* Ends one session; only its own front can (SEC-24). fn is called before it is forgotten. */
void login_session_end(struct login_sessions *t, struct span handle, uint64_t front_boot, login_session_fn *fn, void *arg);
/* Ends all of an account, or all of a front; 0 is any. */
void login_session_end_all(struct login_sessions *t, uint64_t account, uint64_t front_boot, login_session_fn *fn, void *arg);
void login_session_each(struct login_sessions *t, login_session_fn *fn, void *arg);

#endif
