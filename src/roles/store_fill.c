/* store_fill: batches of messages: read on the pool, to scan all at once, their texts kept on the pool. One request at a
 * time, a slice of a second each: whoever searches first pays, nobody's mail waits for it. */
#include "roles/store_fill.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "roles/store_session.h"
#include "run/work.h"
#include "store/store_text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { BATCH = 64, BATCH_BYTES = 1 << 20, WINDOW = 65536, SLICE_MS = 200, TURN_MS = 20000 };

struct message {
    uint64_t eid, size;
    struct span body;
    int file;   /* -1: body has it */
};

struct fill {
    const struct msg_search_fill *in;
    uint64_t account, next;
    struct message v[BATCH];
    struct ipc_pending *asked[BATCH];
    struct store_text_new text[BATCH];
    size_t n, n_text;
    struct arena mem;   /* of a batch */
};

static struct store *store;
static bool busy;
static struct waitq turn;

/* ---- on the pool ---- */

/* A large message as sealed memfd, so that it fits no frame and nobody's memory for long. */
static int copy_large(struct fill *x, struct message *m)
{
    struct msg_email_read in = {.eid = m->eid, .length = WINDOW};
    struct msg_email_read_r out;
    struct fail f;
    struct arena mem;
    int r = -1, fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    arena_init(&mem);
    while ((r = store_email_read(store, x->account, &in, &out, &mem, &f)) == 0 && out.data.n > 0) {
        if (write(fd, out.data.p, out.data.n) != (ssize_t)out.data.n) {
            r = -1;
            break;
        }
        in.offset += out.data.n;
        arena_reset(&mem);
    }
    arena_done(&mem);
    if (r == 0 && in.offset == m->size && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) {
        m->file = fd;
        return 0;
    }
    close(fd);
    return -1;
}

static int read_one(struct fill *x, struct message *m)
{
    struct msg_email_read in = {.eid = m->eid, .length = WINDOW};
    struct msg_email_read_r out;
    struct fail f;
    if (store_email_read(store, x->account, &in, &out, &x->mem, &f) != 0)
        return -1; /* gone, or damaged: whoever searches finds that out */
    m->size = out.size;
    m->body = out.data;
    return out.data.n == out.size ? 0 : copy_large(x, m);
}

static void gather(void *arg)
{
    struct fill *x = arg;
    uint64_t eids[BATCH], next, bytes = 0;
    size_t n = store_text_missing(store, x->account, x->in, x->next, eids, BATCH, &next);
    x->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct message *m = &x->v[x->n];
        *m = (struct message){.eid = eids[i], .file = -1};
        if (bytes > BATCH_BYTES) {
            next = eids[i];
            break;
        }
        if (read_one(x, m) == 0) {
            bytes += m->size;
            x->n++;
        }
    }
    x->next = next;
}

static void keep(void *arg)
{
    struct fill *x = arg;
    store_text_put(store, x->account, x->text, x->n_text);
}

/* ---- to scan and back ---- */

static struct msg_scan_text question(const struct message *m)
{
    return (struct msg_scan_text){.size = m->size, .body = m->file < 0 ? m->body : SPAN(""), .file = m->file};
}

static void take(struct fill *x, uint64_t eid, const struct msg_scan_text_r *r)
{
    x->text[x->n_text++] = (struct store_text_new){
        .eid = eid, .none = r == NULL || r->whole == 0 || r->parts_at > r->body_at || r->body_at > r->text.n,
        .text = r != NULL ? (struct match_text){r->text, r->parts_at, r->body_at} : (struct match_text){SPAN(""), 0, 0}};
}

/* One that came to nothing with others in flight. One that brings scan down alone has no text. */
static WAITS int alone(struct fill *x, const struct message *m, struct fail *f)
{
    struct msg_scan_text in = question(m);
    struct msg_scan_text_r out;
    bool broken = false;
    if (ipc_call(ROLE_SCAN, MSG_ID_scan_text, &in, &out, &x->mem, LIMIT(SCAN_CALL_S) * 1000, f, &broken) == 0)
        take(x, m->eid, &out);
    else if (broken)
        take(x, m->eid, NULL);
    else
        return -1;
    return 0;
}

static WAITS int scan(struct fill *x, struct fail *f)
{
    x->n_text = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct msg_scan_text in = question(&x->v[i]);
        if ((x->asked[i] = ipc_begin(ROLE_SCAN, MSG_ID_scan_text, &in, f)) == NULL)
            return -1;
    }
    for (size_t i = 0; i < x->n; i++) {
        struct msg_scan_text_r out;
        struct ipc_pending *p = x->asked[i];
        x->asked[i] = NULL;
        if (ipc_finish(p, &out, &x->mem, LIMIT(SCAN_CALL_S) * 1000, f) == 0)
            take(x, x->v[i].eid, &out);
        else if (alone(x, &x->v[i], f) < 0)
            return -1;
    }
    return 0;
}

static WAITS int batch(struct fill *x, struct fail *f)
{
    arena_reset(&x->mem);
    work_run(gather, x);
    int r = scan(x, f);
    for (size_t i = 0; i < x->n; i++) {
        if (x->asked[i] != NULL)
            ipc_forget(x->asked[i]);
        x->asked[i] = NULL;
        if (x->v[i].file >= 0)
            close(x->v[i].file);
    }
    if (x->n_text > 0)
        work_run(keep, x); /* what came, whatever became of the rest */
    return r;
}

static WAITS int run(struct fill *x, struct fail *f)
{
    int64_t end = clock_mono_ms() + SLICE_MS;
    int r = 0;
    do
        r = batch(x, f);
    while (r == 0 && x->next != 0 && clock_mono_ms() < end);
    return r;
}

void store_fill_start(struct store *s)
{
    store = s;
    waitq_init(&turn);
}

WAITS void store_fill_call(struct ipc_req *req)
{
    const struct msg_search_fill *in = req->in;
    struct fail f = {0};
    int64_t deadline = clock_mono_ms() + TURN_MS;
    struct store_session *session = store_session_find(in->handle, &req->peer, &f);
    uint64_t account = session != NULL ? session->account : 0;
    int r = session != NULL ? 0 : -1;
    while (r == 0 && busy)
        r = waitq_wait(&turn, deadline) == 0 ? 0 : fail_temp(&f, "4.3.2", "too many searches at once");
    if (r != 0) {
        ipc_refuse(req, &f);
        return;
    }
    busy = true;
    struct fill *x = base_alloc(sizeof *x);
    *x = (struct fill){.in = in, .account = account, .next = in->from};
    arena_init(&x->mem);
    r = run(x, &f);
    struct msg_search_fill_r out = {.next = x->next};
    arena_done(&x->mem);
    free(x);
    busy = false;
    waitq_wake_one(&turn);
    if (r == 0)
        ipc_reply(req, &out);
    else
        ipc_refuse(req, &f);
}
