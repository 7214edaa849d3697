/* vec: how a vector grows. */
#include "base/vec.h"

void *vec_grow(void *v, size_t *cap, size_t item)
{
    size_t now = MAX_OF(*cap * 2, (size_t)8);
    if (now > SIZE_MAX / 2 / item)
        base_die("vec: absurd size");
    v = base_realloc(v, now * item);
    memset((char *)v + *cap * item, 0, (now - *cap) * item);
    *cap = now;
    return v;
}
