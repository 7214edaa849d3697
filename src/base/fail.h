/* fail: why something did not work, as the protocol edge will say it. */
#ifndef POSTEL_FAIL_H
#define POSTEL_FAIL_H

#include "base/span.h"

enum fail_kind {
    FAIL_NONE = 0,
    FAIL_TEMP, /* 4xx, NO [UNAVAILABLE]: may work later */
    FAIL_PERM, /* 5xx, NO: will not work as asked */
};

struct fail {
    enum fail_kind kind;
    char code[10];  /* RFC 3463 enhanced code, "5.1.1" */
    char text[160]; /* one line for people, no CR, LF, NUL; says what to do where there is something to do */
};

/* Both fill *f (NULL allowed) and return -1, so that `return fail_temp(f, ...)` reads well. */
int fail_temp(struct fail *f, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int fail_perm(struct fail *f, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* FAIL_TEMP 4.3.0 "what: strerror(err)"; ENOSPC and EDQUOT become 4.3.1. */
int fail_errno(struct fail *f, const char *what, int err);

#endif
