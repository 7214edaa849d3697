/* coro_loop: what loop.c and conn.c need of coro.c beyond its public face. */
#ifndef POSTEL_CORO_LOOP_H
#define POSTEL_CORO_LOOP_H

#include "base/base.h"

bool coro_ready(void);      /* some coroutine could run now */
void coro_run_ready(void);  /* runs what is ready, in order, and what that wakes, a few rounds deep */
/* Gives back the pages below the running coroutine's present depth: after something deep (a TLS handshake), before a
 * long life in the shallows. One system call. */
void coro_trim(void);
void coro_drop_stacks(void); /* unmaps all pooled stacks */

#endif
