/* span: a view of bytes, by value; owns nothing, knows its length, need not end in NUL. */
#ifndef POSTEL_SPAN_H
#define POSTEL_SPAN_H

#include "base/base.h"

struct span {
    const char *p;
    size_t n;
};

#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1}) /* of a string literal */
#define SPAN_NONE ((struct span){NULL, 0})
#define SPAN_ARGS(s) ((int)(s).n), ((s).p ? (s).p : "")    /* for "%.*s"; s.n must be < 2^31 */

static inline struct span span_of(const void *p, size_t n) { return (struct span){p, n}; }
static inline struct span span_z(const char *z) { return (struct span){z, z ? strlen(z) : 0}; }

bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b);          /* ASCII case only */
int span_cmp(struct span a, struct span b);                 /* bytewise, shorter first; <0, 0, >0 */
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);
ptrdiff_t span_find(struct span s, struct span what);       /* offset, or -1 */
ptrdiff_t span_find_char(struct span s, char c);            /* offset, or -1 */
ptrdiff_t span_rfind_char(struct span s, char c);           /* offset, or -1 */
struct span span_sub(struct span s, size_t off, size_t n);  /* clipped to s */
struct span span_from(struct span s, size_t off);           /* the rest behind off, clipped */
struct span span_trim(struct span s);                       /* without SP, HT, CR, LF at both ends */
/* Cuts `*rest` at the first `c`: returns what is before, `*rest` is what follows (p NULL when there was no `c`). */
struct span span_split(struct span *rest, char c);
uint64_t span_hash(struct span s);                          /* FNV-1a 64; stable, not for hostile maps */
uint64_t span_hash_nocase(struct span s);

#endif
