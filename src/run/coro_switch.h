/* coro_switch: saves the registers of one stack and goes on with another; used by coro.c only. */
#ifndef POSTEL_CORO_SWITCH_H
#define POSTEL_CORO_SWITCH_H

#include "base/base.h"

/* Define CORO_SWITCH_UCONTEXT to try the portable way on x86-64 too. */
#if !defined(__x86_64__) && !defined(CORO_SWITCH_UCONTEXT)
#define CORO_SWITCH_UCONTEXT
#endif

#ifdef CORO_SWITCH_UCONTEXT
#include <ucontext.h>
struct coro_switch { ucontext_t uc; };
#else
struct coro_switch { void *sp; }; /* everything else lies on the stack */
#endif

/* Prepares *s so that the first jump to it calls fn, which must never return, on the stack [low, low + n). */
void coro_switch_make(struct coro_switch *s, char *low, size_t n, void (*fn)(void));
/* Stores this place in *from and goes on at *to; returns when somebody jumps to *from. */
void coro_switch_jump(struct coro_switch *from, struct coro_switch *to);

#endif
