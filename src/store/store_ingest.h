/* store_ingest: a message comes into the store, by delivery or by a client. */
#ifndef POSTEL_STORE_INGEST_H
#define POSTEL_STORE_INGEST_H

#include "store/store_body.h"

/* Plans op->arrival: the record, uids, modseqs into op->results. 0, or -1 as plan functions do. */
int store_ingest_message(struct store *s, struct store_op *op, const struct store_body_from *from,
                         struct span keywords);
int store_ingest_insert(struct store *s, struct store_op *op); /* its rows */

#endif
