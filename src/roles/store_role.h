/* store_role: what the files of the store role share. */
#ifndef POSTEL_STORE_ROLE_H
#define POSTEL_STORE_ROLE_H

#include "run/ipc.h"
#include "store/store_queue.h"

/* A request goes to the committer; the answer comes from the loop. extra lives in req->mem. */
void store_role_write(struct ipc_req *req, uint64_t account, const struct store_extra *extra);
void store_role_ingest(struct ipc_req *req, const struct store_extra *extra); /* once the body was looked at; refuses it else */

/* A write that nobody waits for: made, its `in` (size bytes, zeroed) filled with what lives in its mem, posted. */
struct store_write *store_role_alone(int id, uint64_t account, size_t size);
void store_role_post(struct store_write *w);

#endif
