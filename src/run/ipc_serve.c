/* Serving: requests and posts, checked against their row, decoded into an arena of their own, given to their handler.
 * Spans of a request point into the channel's input block, which it holds by a reference; nothing is copied. Request
 * objects are pooled with their arenas: a small request allocates nothing. */
#include "run/ipc_chan.h"

#include "base/limits.h"
#include "base/log.h"

enum { POOL_MAX = 128 };

struct request {
    struct ipc_req pub;
    struct arena mem;
    struct list node;               /* of its channel */
    struct ipc_block *block;        /* NULL: not in use */
    const struct ipc_layout *layout;
    uint32_t call;
    struct request *next;           /* in the pool */
};

static const struct ipc_handler *handlers[MSG_ID_COUNT];
static struct request *pool;
static unsigned pooled, unanswered;

void ipc_serve(const struct ipc_handler *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(ipc_code_rows[rows[i].id].out ? rows[i].call != NULL : rows[i].post != NULL);
        handlers[rows[i].id] = &rows[i];
    }
}

static void request_free(struct request *r)
{
    int *fd = ipc_code_fd(r->layout, (void *)(uintptr_t)r->pub.in);
    if (fd && *fd >= 0)
        close(*fd);
    ipc_chan_unborrow(r->pub.chan, r->block);
    r->block = NULL;
    if (pooled == POOL_MAX) {
        arena_done(&r->mem);
        free(r);
        return;
    }
    arena_reset(&r->mem);
    r->next = pool;
    pool = r;
    pooled++;
}

static struct request *request_new(struct ipc_chan *ch)
{
    struct request *r = pool;
    if (r) {
        pool = r->next;
        pooled--;
    } else {
        r = base_alloc(sizeof *r);
        arena_init(&r->mem);
    }
    r->block = ch->in;
    r->block->refs++;
    r->pub = (struct ipc_req){.mem = &r->mem, .peer = ch->peer, .chan = ch};
    list_init(&r->node);
    return r;
}

/* NULL: the frame is not what it says. */
static struct request *request_read(struct ipc_chan *ch, const struct ipc_frame *f)
{
    struct request *r = request_new(ch);
    r->call = f->call;
    r->pub.id = f->id;
    r->layout = ipc_code_rows[f->id].in();
    void *in = arena_zalloc(&r->mem, r->layout->size + 1u);
    r->pub.in = in;
    int *fd = ipc_code_fd(r->layout, in);
    bool rides;
    if (fd)
        *fd = IPC_FD_NONE;
    if (ipc_code_read(r->layout, f->body, &r->mem, in, &rides) < 0)
        goto bad;
    if (rides && (*fd = ipc_chan_take_fd(ch)) == IPC_FD_NONE)
        goto bad;
    return r;
bad:
    request_free(r);
    return NULL;
}

/* ---- frames from a channel ---- */

static void run_coro(void *arg)
{
    struct request *r = arg;
    handlers[r->pub.id]->call(&r->pub);
}

static void run(struct request *r)
{
    const struct ipc_handler *h = handlers[r->pub.id];
    struct fail f;
    if (!h) {
        fail_temp(&f, "4.3.2", "%s is not served here", ipc_name(r->pub.id));
        LOG(LOG_ERROR, "ipc.unserved", L_Z("message", ipc_name(r->pub.id)));
        ipc_refuse(&r->pub, &f);
    } else if (!h->coro) {
        h->call(&r->pub);
    } else if (!coro_start(run_coro, r)) {
        fail_temp(&f, "4.3.2", "too much at once, try again later");
        ipc_refuse(&r->pub, &f);
    }
}

bool ipc_serve_call(struct ipc_chan *ch, const struct ipc_frame *f, const char **why)
{
    if (!ch->serves || !ipc_code_rows[f->id].out || !ipc_code_may(f->id, ch->peer.kind, ipc_chan_self())) {
        *why = "forbidden call";
        return false;
    }
    if (ch->serving >= ch->credits) {
        *why = "more calls than credits";
        return false;
    }
    struct request *r = request_read(ch, f);
    if (!r)
        return false;
    ch->serving++;
    unanswered++;
    list_push(&ch->reqs, &r->node);
    run(r);
    return true;
}

bool ipc_serve_post(struct ipc_chan *ch, const struct ipc_frame *f, const char **why)
{
    if (ipc_code_rows[f->id].out || f->call != 0 || !ipc_code_may(f->id, ch->peer.kind, ipc_chan_self())) {
        *why = "forbidden post";
        return false;
    }
    struct request *r = request_read(ch, f);
    if (!r)
        return false;
    if (handlers[f->id])
        handlers[f->id]->post(&r->pub.peer, r->pub.in);
    else
        LOG(LOG_ERROR, "ipc.unserved", L_Z("message", ipc_name(f->id)));
    request_free(r);
    return true;
}

void ipc_serve_closed(struct ipc_chan *ch)
{
    for (struct list *n; (n = list_shift(&ch->reqs)) != NULL;)
        LIST_ITEM(n, struct request, node)->pub.chan = NULL;
    ch->serving = 0;
}

/* ---- answers ---- */

static void queue_refusal(struct ipc_chan *ch, const struct request *r, const struct fail *why)
{
    struct msg_fail m = {
        .kind = why->kind == FAIL_PERM ? FAIL_PERM : FAIL_TEMP,
        .code = span_z(why->code),
        .text = span_z(why->text),
    };
    struct ipc_frame head = {.call = r->call, .id = r->pub.id, .kind = IPC_KIND_FAIL};
    (void)!ipc_chan_queue(ch, &head, ipc_code_fail(), &m); /* is small, has no descriptor */
}

static void queue_reply(struct ipc_chan *ch, const struct request *r, const void *rep)
{
    struct ipc_frame head = {.call = r->call, .id = r->pub.id, .kind = IPC_KIND_REPLY};
    if (ipc_chan_queue(ch, &head, ipc_code_rows[r->pub.id].out(), rep) == 0)
        return;
    struct fail f;
    LOG(LOG_ERROR, "ipc.reply", L_Z("message", ipc_name(r->pub.id)), L_Z("why", "too large, or no descriptor left"));
    fail_temp(&f, "4.3.0", "the answer to %s could not be sent", ipc_name(r->pub.id));
    queue_refusal(ch, r, &f);
}

static struct request *answering(struct ipc_req *req)
{
    struct request *r = CONTAINER_OF(req, struct request, pub);
    assert(r->block); /* else it was answered before */
    unanswered--;
    if (req->chan) {
        list_remove(&r->node);
        req->chan->serving--;
    }
    return r;
}

void ipc_reply(struct ipc_req *req, const void *rep)
{
    struct request *r = answering(req);
    if (req->chan)
        queue_reply(req->chan, r, rep);
    request_free(r);
}

void ipc_refuse(struct ipc_req *req, const struct fail *why)
{
    struct request *r = answering(req);
    if (req->chan)
        queue_refusal(req->chan, r, why);
    request_free(r);
}

bool ipc_idle(void)
{
    if (unanswered > 0)
        return false;
    for (struct list *n = ipc_chan_all()->next; n != ipc_chan_all(); n = n->next) {
        const struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (!ch->closed && (ch->in_flight > 0 || ch->sent < ch->queued))
            return false;
    }
    return true;
}
