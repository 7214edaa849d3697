/* coro_stack: stacks with a guard page below, pooled; used by coro.c only. */
#ifndef POSTEL_CORO_STACK_H
#define POSTEL_CORO_STACK_H

#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define CORO_STACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORO_STACK_ASAN 1
#endif
#endif
#ifndef CORO_STACK_ASAN
#define CORO_STACK_ASAN 0
#endif

/* ASan's red zones make frames several times as large. */
#define CORO_STACK_BYTES ((size_t)(CORO_STACK_ASAN ? 256 : 64) * 1024)

char *coro_stack_take(void);        /* lowest usable byte of CORO_STACK_BYTES, or NULL with errno */
void coro_stack_give(char *low);    /* back to the pool; nobody may stand on it any more */
/* Gives the pages of a stack in use below `sp` back to the system. */
void coro_stack_trim(char *low, const char *sp);
void coro_stack_drop_all(void);     /* unmaps the pool */

#endif
