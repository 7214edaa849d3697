/* cut: a recording of a store under load, and what must be true of it after a power cut at any moment. */
#ifndef POSTEL_POWERCUT_CUT_H
#define POSTEL_POWERCUT_CUT_H

#include "../model/drive.h"
#include "disk.h"
#include "shim.h"

enum { CUT_SEGMENT = 64 * 1024, CUT_BIG = 16 * 1024, CUT_WAL_PAGES = 60 }; /* small: much happens to files */

/* An operation of the load. Its number is its place in the recording. */
struct cut_op {
    struct model_request q;
    struct model_answer got;
    uint32_t round;
};

struct recording {
    struct model_world base;        /* what the store held when the recording began */
    VEC(struct cut_op) ops;
    VEC(uint32_t) order;            /* of the same: as the model explains them, round by round */
    int64_t began_ms;
    struct trace trace;
};

struct cut { size_t at; uint64_t seed; };

struct cut_why {
    char text[500];
    unsigned depth;                 /* of the comparison: the greater, the more was equal */
};

void cut_world(struct model_world *w);  /* of an empty store */
void cut_world_copy(struct model_world *to, const struct model_world *from); /* to: of cut_world, or zeros */
void cut_world_free(struct model_world *w);
struct store *cut_open(const char *dir, struct fail *f);
/* Everything there is against d->world. */
int cut_compare(struct drive *d, const char *when, struct cut_why *why);
int cut_verify(struct store *s, struct cut_why *why);        /* nothing at all is wrong: 0 */

/* The store in dir, loaded with `rounds` rounds of operations; then hours pass. Base is the caller's; the store is closed
 * afterwards. */
void cut_record(struct recording *r, const char *dir, enum shim_break broken, uint32_t rounds, uint64_t seed);
void cut_done(struct recording *r);     /* all but base */
/* Opens the files in dir, left by this cut, and compares. *now: what the store held, 0; or -1 and *why. first_only: what
 * recovery gave and verify; else also what the store does afterwards. */
int cut_check(struct recording *r, const struct cut *c, const char *dir, bool first_only, struct model_world *now,
              struct cut_why *why);
int cut_save(const struct recording *r, const struct cut *c, const char *path);
int cut_load(struct recording *r, struct cut *c, const char *path);
void cut_remove(const char *dir);       /* with all in it */

#endif
