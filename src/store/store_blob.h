/* store_blob: uploads: bytes that belong to no email yet (RFC 8620 6). */
#ifndef POSTEL_STORE_BLOB_H
#define POSTEL_STORE_BLOB_H

#include "store/store_body.h"

/* Where an upload of the account lies. 0, or -1 and *f. */
int store_blob_find(struct db *db, uint64_t account, uint64_t blob, struct store_body_from *from, int64_t *expires_s,
                    struct fail *f);
/* In a transaction: removes some that nobody used in time. 1: there may be more, 0, or -1. *gone: how many went. */
int store_blob_purge(struct store *s, size_t most, size_t *gone);

#endif
