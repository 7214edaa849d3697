/* What every file includes: standard types, a few macros, and the functions nobody may call. */
#ifndef POSTEL_BASE_H
#define POSTEL_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Marks a function that may suspend its coroutine. Whatever is shared may have changed when it returns.
 * Every caller of a WAITS function carries it too; tools/waits checks that. */
#define WAITS

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))

/* malloc family that aborts the role when memory is out (HOUSE, Errors): never NULL. caller frees. */
void *base_alloc(size_t n);                 /* zeroed */
void *base_realloc(void *p, size_t n);      /* grown part not zeroed */
void base_die(const char *what) NORETURN;   /* logs `what` and aborts: only for bugs and lost memory */

/* SEC-06: nothing that relies on a NUL or parses numbers without a limit. */
#ifndef POSTEL_ALLOW_UNSAFE
#ifdef __clang__ /* with FORTIFY some are macros, and clang warns when a macro is poisoned */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#endif
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets system popen
#endif

#endif
