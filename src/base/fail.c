/* fail: filling struct fail so that its text is one clean line. */
#include "base/fail.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>

static int PRINTF_LIKE(4, 0) fill(struct fail *f, enum fail_kind kind, const char *code, const char *fmt, va_list ap)
{
    if (!f)
        return -1;
    f->kind = kind;
    snprintf(f->code, sizeof f->code, "%s", code);
    int n = vsnprintf(f->text, sizeof f->text, fmt, ap);
    if (n >= (int)sizeof f->text) { /* was cut: not inside a character */
        struct span cut = utf8_clip(span_of(f->text, sizeof f->text - 1), sizeof f->text - 2);
        f->text[cut.n] = '\0';
    }
    for (char *p = f->text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return -1;
}

int fail_temp(struct fail *f, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(f, FAIL_TEMP, code, fmt, ap);
    va_end(ap);
    return -1;
}

int fail_perm(struct fail *f, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(f, FAIL_PERM, code, fmt, ap);
    va_end(ap);
    return -1;
}

int fail_errno(struct fail *f, const char *what, int err)
{
    /* RFC 3463 3.4: X.3.1 mail system full; X.3.0 other or undefined mail system status */
    const char *code = err == ENOSPC || err == EDQUOT ? "4.3.1" : "4.3.0";
    const char *why = strerrordesc_np(err); /* unlike strerror: no shared buffer, no locale files */
    if (!why)
        return fail_temp(f, code, "%s: error %d", what, err);
    return fail_temp(f, code, "%s: %s", what, why);
}
