/* vec: a growing array of any type in malloc'd memory.
 *
 *     VEC(struct rcpt) rcpts = {0};
 *     *VEC_PUSH(&rcpts) = (struct rcpt){...};      for (size_t i = 0; i < rcpts.n; i++) use(&rcpts.v[i]);
 *     VEC_FREE(&rcpts);
 */
#ifndef POSTEL_VEC_H
#define POSTEL_VEC_H

#include "base/base.h"

#define VEC(T) struct { T *v; size_t n, cap; }
#define VEC_PUSH(a) ((a)->n == (a)->cap ? ((a)->v = vec_grow((a)->v, &(a)->cap, sizeof *(a)->v)) : (a)->v, &(a)->v[(a)->n++])
#define VEC_FREE(a) (free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)

void *vec_grow(void *v, size_t *cap, size_t item); /* doubles *cap (at least 8); new part zeroed */

#endif
