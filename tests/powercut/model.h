/* model: what the store must hold after a row of operations, in memory and plain, and the comparison with a store. */
#ifndef POSTEL_POWERCUT_MODEL_H
#define POSTEL_POWERCUT_MODEL_H

#include "ops.h"

struct model_row { uint64_t uid, eid, modseq, size; uint32_t flags, op; };
struct model_gone { uint64_t modseq, uid, eid; };

struct model_account {
    uint64_t mailbox, uidnext, modseq;
    VEC(struct model_row) rows;     /* by uid */
    VEC(struct model_gone) gone;    /* by modseq */
};

struct model { struct model_account a[OPS_ACCOUNTS]; };

struct model_why {
    char text[300];
    unsigned depth;                 /* of the comparison: the greater, the more was equal */
};

void model_free(struct model *m);
void model_copy(struct model *to, const struct model *from);
/* The operation has happened with this answer. -1: the answer cannot be right. */
int model_apply(struct model *m, uint32_t i, const struct op *op, struct model_why *why);
/* Rows, counters, changes, and each text byte by byte. 0 the same, -1 not. */
int model_compare(const struct model *m, struct ops *o, struct store *s, struct model_why *why);

#endif
