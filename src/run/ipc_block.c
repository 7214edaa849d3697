/* Blocks of bytes for channels. The pool hands out the one used last, so that a busy role works in few warm pages;
 * untouched pages of a block cost nothing. */
#include "run/ipc_chan.h"

enum { POOL_MAX = 8 };

static struct ipc_block *pool;
static unsigned pooled;

struct ipc_block *ipc_block_new(void)
{
    struct ipc_block *b = pool;
    if (b) {
        pool = b->next;
        pooled--;
    } else {
        b = malloc(sizeof *b); /* not base_alloc: clearing would touch every page */
        if (!b)
            base_die("ipc: no memory for a block");
    }
    b->next = NULL;
    b->refs = 1;
    b->from = b->to = 0;
    return b;
}

void ipc_block_drop(struct ipc_block *b)
{
    if (!b || --b->refs > 0)
        return;
    if (pooled == POOL_MAX) {
        free(b);
        return;
    }
    b->next = pool;
    pool = b;
    pooled++;
}
