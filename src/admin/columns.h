/* columns: what commands print: aligned for people, separated by tabs for scripts, safe for terminals (SEC-10). */
#ifndef POSTEL_COLUMNS_H
#define POSTEL_COLUMNS_H

#include "base/arena.h"
#include "base/vec.h"

struct columns {
    struct arena mem;
    VEC(struct span) cells; /* row by row, escaped */
    size_t width;           /* cells in a row */
};

/* heads: names of the columns, shown to people only; static; NULL for no heading. */
void columns_init(struct columns *c, size_t width, const char *const *heads, bool plain);
void columns_add(struct columns *c, struct span cell);
void columns_addf(struct columns *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void columns_print(struct columns *c, bool plain, FILE *to); /* and gives the memory back */

/* Control characters, tabs, bidi marks and bad UTF-8 as \xNN, everything else as it is. */
void columns_escaped(FILE *to, struct span s);
/* A line of output: before, name as columns_escaped has it, after. */
void columns_said(const char *before, const char *name, const char *after);

#endif
