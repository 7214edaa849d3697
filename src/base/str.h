/* str: bytes that grow, in an arena. */
#ifndef POSTEL_STR_H
#define POSTEL_STR_H

#include "base/arena.h"

struct str {
    char *p;
    size_t n, cap;
    struct arena *mem;
};

void str_init(struct str *s, struct arena *mem);        /* empty; allocates nothing yet */
void str_reserve(struct str *s, size_t more);           /* room for `more` bytes behind n */
void str_add(struct str *s, struct span what);
void str_addz(struct str *s, const char *z);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_addu(struct str *s, uint64_t v);               /* decimal */
void str_clear(struct str *s);                          /* n = 0, memory kept */
static inline struct span str_span(const struct str *s) { return (struct span){s->p, s->n}; }
const char *str_z(struct str *s);                       /* NUL added behind n; borrowed until the next change */

#endif
