/* remember: passwords that were right a moment ago, so that a mail client which logs in every minute costs no PBKDF2. */
#ifndef POSTEL_REMEMBER_H
#define POSTEL_REMEMBER_H

#include "login/password.h"

struct remember;

/* most: accounts kept, the least recently used goes first. What is kept is HMAC(key of this process, password). */
struct remember *remember_new(size_t most);
void remember_free(struct remember *r);
void remember_put(struct remember *r, uint64_t account, const struct password *p); /* for 10 minutes */
bool remember_check(struct remember *r, uint64_t account, const struct password *p);
void remember_drop(struct remember *r, uint64_t account); /* the password changed, the account went */

#endif
