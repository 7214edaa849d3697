/* base: memory that never fails, and the one way to stop a role for a bug. */
#include "base/base.h"
#include "base/log.h"

void *base_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        base_die("out of memory");
    return p;
}

void *base_realloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p)
        base_die("out of memory");
    return p;
}

void base_die(const char *what)
{
    LOG(LOG_ERROR, "role.die", L_Z("what", what));
    abort();
}
