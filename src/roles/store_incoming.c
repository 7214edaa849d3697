/* store_incoming: bodies that come in parts (see the header). Their writes keep their order: one after another, on the pool. */
#include "roles/store_incoming.h"

#include "run/work.h"

#include <unistd.h>

struct job {
    struct work_job in_line;
    struct ipc_req *req; /* NULL: a drop */
    unsigned char op[16];
    union {
        struct msg_spool_write_r write;
        struct msg_spool_lend_r lend;
    } out;
    int rc;
    struct fail fail;
};

static struct store *store;

static void run(struct work_job *in_line)
{
    struct job *j = CONTAINER_OF(in_line, struct job, in_line);
    if (j->req == NULL)
        store_spool_drop(store, span_of(j->op, sizeof j->op));
    else if (j->req->id == MSG_ID_spool_write)
        j->rc = store_spool_write(store, j->req->in, &j->out.write, &j->fail);
    else
        j->rc = store_spool_lend(store, ((const struct msg_spool_lend *)j->req->in)->op, &j->out.lend, &j->fail);
}

static void done(struct work_job *in_line)
{
    struct job *j = CONTAINER_OF(in_line, struct job, in_line);
    if (j->req == NULL) {
        free(j);
        return;
    }
    int lent = j->req->id == MSG_ID_spool_lend && j->rc == 0 ? j->out.lend.file : -1;
    if (j->rc == 0)
        ipc_reply(j->req, &j->out);
    else
        ipc_refuse(j->req, &j->fail); /* j goes with its request */
    if (lent >= 0)
        close(lent); /* the reply has its own */
}

static struct work_line line = {.run = run, .done = done};

void store_incoming_start(struct store *s) { store = s; }

void store_incoming_spool(struct ipc_req *req)
{
    struct job *j = arena_zalloc(req->mem, sizeof *j);
    j->req = req;
    work_line_add(&line, &j->in_line);
}

void store_incoming_drop(const struct ipc_peer *peer, const void *in)
{
    const struct msg_spool_drop *m = in;
    if (m->op.n != 16)
        return;
    struct job *j = base_alloc(sizeof *j);
    memcpy(j->op, m->op.p, sizeof j->op);
    work_line_add(&line, &j->in_line);
}
