/* cut: a recording of a store under load, and what must be true of it after a power cut at any moment. */
#ifndef POSTEL_POWERCUT_CUT_H
#define POSTEL_POWERCUT_CUT_H

#include "disk.h"
#include "model.h"
#include "shim.h"

struct recording {
    struct ops *ops;
    struct model base;          /* what the store held when the recording began */
    struct trace trace;
};

struct cut { size_t at; uint64_t seed; };

/* The store in dir, loaded with `count` operations. Base is the caller's; the store is closed afterwards. */
void cut_record(struct recording *r, const char *dir, enum shim_break broken, uint32_t count, unsigned threads, uint64_t seed);
void cut_done(struct recording *r);     /* all but ops */
/* Opens the files in dir, left by this cut, and compares. *now: what the store held, 0; or -1 and *why. */
int cut_check(struct recording *r, const struct cut *c, const char *dir, struct model *now, struct model_why *why);
int cut_verify(struct store *s, struct model_why *why);      /* nothing at all is wrong: 0 */
int cut_save(const struct recording *r, const struct cut *c, const char *path);
int cut_load(struct recording *r, struct cut *c, const char *path);
void cut_remove(const char *dir);       /* with all in it */

#endif
