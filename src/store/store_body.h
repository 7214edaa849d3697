/* store_body: the bytes that a write brings: a record of the log. */
#ifndef POSTEL_STORE_BODY_H
#define POSTEL_STORE_BODY_H

#include "store/store_impl.h"

/* What is in the log already. */
struct store_body_from {
    struct msglog_place place;
    uint32_t crc;
};

/* Adds a record to the batch's for op->arrival; its meta is the caller's. from NULL: arrival has the body. 0, or -1
 * with *f set and nothing added. */
int store_body_take(struct store *s, struct store_op *op, const struct store_body_from *from, struct fail *f);
void store_body_give(struct store *s,
                     struct store_op *op); /* the operation is refused after all: takes the record back */
int store_body_insert(struct store *s, const struct store_op *op, size_t refs); /* the blob's row */

#endif
