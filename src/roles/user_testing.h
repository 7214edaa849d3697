/* user_testing: sessions of front-user in this process, with the real store and scan beside it and an auth that lets
 * everybody in: for tests and fuzzing of whole dialogues. */
#ifndef POSTEL_USER_TESTING_H
#define POSTEL_USER_TESTING_H

#include "base/str.h"
#include "run/session.h"

/* Starts the processes, on a store of their own in memory. Once, before any loop. 0, or -1. */
int user_testing_start(void);
void user_testing_stop(void); /* ends them and removes the store; an end of this process does that as well */

/* From now on every login but with the password "wrong" leads to a new account, which is empty. */
void user_testing_new_account(void);

/* Runs fn(arg) in a coroutine that may call the others; again and again. */
void user_testing_run(void (*fn)(void *arg), void *arg);

/* session_testing_talk from loopback, in a coroutine; lives in mem. */
WAITS struct span user_testing_imap(struct span input, size_t step, struct arena *mem);
WAITS struct span user_testing_pop3(struct span input, size_t step, struct arena *mem);

#endif
