/* Calling: a call takes a credit (a slot of its channel), is sent, and its coroutine sleeps until the reply, the
 * deadline, cancel, or the end of the channel. The slot of a call that was given up stays taken until its reply really
 * comes, because the other side still works on it. */
#include "run/ipc_chan.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>

enum state { NEW, SENT, ANSWERED, BROKEN };

struct ipc_pending {
    enum msg_id id;
    enum role_kind to;
    enum state state;
    struct ipc_chan *ch;    /* while SENT */
    unsigned slot;
    const void *in;         /* ipc_call: the caller's; else NULL */
    struct span again;      /* ipc_begin: the encoded body of a row that may be sent again, malloc'd */
    struct coro *waiter;
    struct ipc_block *block; /* ANSWERED: body is in it */
    struct span body;
    bool refused;
    int fd;
};

static struct waitq waiting[ROLE_COUNT]; /* for a credit of a role, or for the role itself */

static struct waitq *queue_of(enum role_kind to)
{
    if (waiting[to].waiters.next == NULL)
        waitq_init(&waiting[to]);
    return &waiting[to];
}

/* ---- slots ---- */

void ipc_call_opened(struct ipc_chan *ch)
{
    ch->slots = base_alloc(ch->credits * sizeof *ch->slots);
    for (unsigned i = 0; i < ch->credits; i++) {
        ch->slots[i].call = i;
        ch->slots[i].next_free = (uint16_t)(i + 1 < ch->credits ? i + 1 : IPC_SLOT_NONE);
    }
    ch->free_slot = 0;
    waitq_wake_all(queue_of(ch->peer.kind));
}

static struct ipc_slot *slot_take(struct ipc_chan *ch, struct ipc_pending *p)
{
    unsigned i = ch->free_slot;
    struct ipc_slot *s = &ch->slots[i];
    ch->free_slot = s->next_free;
    s->used = true;
    s->p = p;
    s->id = (uint16_t)p->id;
    s->call += 1u << IPC_SLOT_BITS; /* a reply to an earlier use of the slot does not fit any more */
    ch->in_flight++;
    p->ch = ch;
    p->slot = i;
    return s;
}

static void slot_free(struct ipc_chan *ch, struct ipc_slot *s)
{
    s->used = false;
    s->p = NULL;
    s->next_free = ch->free_slot;
    ch->free_slot = (uint16_t)(s - ch->slots);
    ch->in_flight--;
    waitq_wake_one(queue_of(ch->peer.kind));
}

/* Of the channels to that role with a credit left, the one with the fewest calls. */
static struct ipc_chan *least_busy(enum role_kind to)
{
    struct ipc_chan *best = NULL;
    for (struct list *n = ipc_chan_all()->next; n != ipc_chan_all(); n = n->next) {
        struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (ch->calls && !ch->closed && !ch->draining && ch->peer.kind == to && ch->in_flight < ch->credits &&
            (!best || ch->in_flight < best->in_flight))
            best = ch;
    }
    return best;
}

size_t ipc_in_flight(enum role_kind kind)
{
    size_t sum = 0;
    for (struct list *n = ipc_chan_all()->next; n != ipc_chan_all(); n = n->next) {
        const struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (!ch->closed && ch->peer.kind == kind)
            sum += ch->in_flight;
    }
    return sum;
}

/* ---- what arrives ---- */

static bool code_fine(struct span code)
{
    if (code.n == 0 || code.n >= sizeof((struct fail *)0)->code)
        return false;
    for (size_t i = 0; i < code.n; i++)
        if (code.p[i] != '.' && (code.p[i] < '0' || code.p[i] > '9'))
            return false;
    return true;
}

/* Is the body what the slot's call can be answered with? *rides: it brings a descriptor. */
static bool reply_fine(const struct ipc_frame *f, bool *rides)
{
    if (f->kind == IPC_KIND_REPLY)
        return ipc_code_read(ipc_code_rows[f->id].out(), f->body, NULL, NULL, rides) == 0;
    struct msg_fail m;
    return ipc_code_read(ipc_code_fail(), f->body, NULL, &m, rides) == 0 &&
           (m.kind == FAIL_TEMP || m.kind == FAIL_PERM) && code_fine(m.code) &&
           m.text.n < sizeof((struct fail *)0)->text;
}

static void answered(struct ipc_chan *ch, struct ipc_pending *p, const struct ipc_frame *f, int fd)
{
    p->state = ANSWERED;
    p->ch = NULL;
    p->block = ch->in;
    p->block->refs++;
    p->body = f->body;
    p->refused = f->kind == IPC_KIND_FAIL;
    p->fd = fd;
    if (p->waiter)
        coro_wake(p->waiter);
}

bool ipc_call_reply(struct ipc_chan *ch, const struct ipc_frame *f, const char **why)
{
    unsigned i = f->call & ((1u << IPC_SLOT_BITS) - 1);
    struct ipc_slot *s = ch->slots && i < ch->credits ? &ch->slots[i] : NULL;
    if (!s || !s->used || s->call != f->call || s->id != f->id) {
        *why = "reply without a call";
        return false;
    }
    bool rides;
    if (!reply_fine(f, &rides))
        return false;
    int fd = rides ? ipc_chan_take_fd(ch) : IPC_FD_NONE;
    if (rides && fd == IPC_FD_NONE)
        return false;
    struct ipc_pending *p = s->p;
    slot_free(ch, s);
    if (p)
        answered(ch, p, f, fd);
    else if (fd >= 0) /* given up */
        close(fd);
    if (ch->draining && ch->in_flight == 0)
        ipc_detach(ch);
    return true;
}

void ipc_call_closed(struct ipc_chan *ch)
{
    for (unsigned i = 0; ch->slots && i < ch->credits; i++) {
        struct ipc_pending *p = ch->slots[i].p;
        if (!p)
            continue;
        p->state = BROKEN;
        p->ch = NULL;
        ch->slots[i].p = NULL;
        if (p->waiter)
            coro_wake(p->waiter);
    }
    ch->in_flight = 0;
}

void ipc_drain(struct ipc_chan *ch)
{
    ch->draining = true;
    if (ch->in_flight == 0)
        ipc_detach(ch);
}

/* ---- sending ---- */

static int wait_failed(int r, enum role_kind to, struct fail *f)
{
    if (r == WAIT_CANCELLED)
        return fail_temp(f, "4.3.0", "stopping, try again later");
    return fail_temp(f, IPC_NO_ANSWER, "%s did not answer in time, try again later", role_kind_name(to));
}

/* Waits for a channel to that role with a credit. */
WAITS static struct ipc_chan *credit(enum role_kind to, int64_t deadline, struct fail *f)
{
    struct waitq *q = queue_of(to);
    struct ipc_chan *ch;
    bool in_line = !list_empty(&q->waiters); /* nobody overtakes those who wait already */
    if (coro_cancelled()) {
        wait_failed(WAIT_CANCELLED, to, f);
        return NULL;
    }
    while ((ch = in_line ? NULL : least_busy(to)) == NULL) {
        int r = waitq_wait(q, deadline);
        in_line = false;
        if (r == WAIT_OK)
            continue;
        if (least_busy(to))
            waitq_wake_one(q); /* the wakeup may have been ours */
        wait_failed(r, to, f);
        return NULL;
    }
    return ch;
}

static int send_on(struct ipc_pending *p, struct ipc_chan *ch, struct fail *f)
{
    assert(ipc_code_may(p->id, ipc_chan_self(), p->to));
    struct ipc_slot *s = slot_take(ch, p);
    struct ipc_frame head = {.call = s->call, .id = p->id, .kind = IPC_KIND_CALL, .body = p->again};
    p->state = SENT;
    if (ipc_chan_queue(ch, &head, p->in ? ipc_code_rows[p->id].in() : NULL, p->in) == 0)
        return 0;
    int err = errno;
    slot_free(ch, s);
    p->state = NEW;
    p->ch = NULL;
    if (err == EMSGSIZE)
        return fail_perm(f, "5.3.4", "%s is too large for a frame", ipc_name(p->id));
    return fail_errno(f, ipc_name(p->id), err);
}

static void give_up(struct ipc_pending *p)
{
    if (p->state == SENT)
        p->ch->slots[p->slot].p = NULL;
    if (p->state == ANSWERED && p->fd >= 0)
        close(p->fd);
    ipc_block_drop(p->block);
    p->block = NULL;
    p->fd = IPC_FD_NONE;
    p->state = NEW;
}

/* ---- the answer ---- */

static int take_refusal(struct ipc_pending *p, struct fail *f)
{
    struct msg_fail m;
    bool rides;
    int r = ipc_code_read(ipc_code_fail(), p->body, NULL, &m, &rides);
    assert(r == 0); /* reply_fine saw it */
    (void)r;
    if (f) {
        *f = (struct fail){.kind = (enum fail_kind)m.kind};
        memcpy(f->code, m.code.p, m.code.n);
        for (size_t i = 0; i < m.text.n; i++) /* it goes into a protocol's reply line */
            f->text[i] = (unsigned char)m.text.p[i] < ' ' || m.text.p[i] == 127 ? ' ' : m.text.p[i];
    }
    give_up(p);
    return -1;
}

static int take_answer(struct ipc_pending *p, void *out, struct arena *mem, struct fail *f)
{
    if (p->refused)
        return take_refusal(p, f);
    const struct ipc_layout *l = ipc_code_rows[p->id].out();
    if (out) {
        bool rides;
        struct span body = p->body.n > 0 && mem ? arena_copy(mem, p->body) : p->body;
        int r = ipc_code_read(l, body, mem, out, &rides);
        assert(r == 0);
        (void)r;
        int *fd = ipc_code_fd(l, out);
        if (fd) {
            *fd = p->fd;
            p->fd = IPC_FD_NONE;
        }
    }
    give_up(p);
    return 0;
}

WAITS static int await(struct ipc_pending *p, int64_t deadline, void *out, struct arena *mem, struct fail *f, bool *broken)
{
    for (;;) {
        int r = WAIT_OK;
        p->waiter = coro_self();
        while (p->state == SENT && r == WAIT_OK)
            r = coro_wait(deadline);
        p->waiter = NULL;
        if (p->state == ANSWERED)
            return take_answer(p, out, mem, f);
        if (p->state == SENT) {
            give_up(p);
            return wait_failed(r, p->to, f);
        }
        if (!ipc_code_rows[p->id].retry || (!p->in && !p->again.p)) {
            if (broken)
                *broken = true;
            return fail_temp(f, IPC_NO_ANSWER, "%s broke off, try again later", role_kind_name(p->to));
        }
        LOG(LOG_DEBUG, "ipc.again", L_Z("message", ipc_name(p->id)), L_Z("to", role_kind_name(p->to)));
        struct ipc_chan *ch = credit(p->to, deadline, f);
        if (!ch || send_on(p, ch, f) < 0)
            return -1;
    }
}

static int64_t deadline_in(int64_t wait_ms)
{
    return clock_mono_ms() + (wait_ms > 0 ? wait_ms : LIMIT(IPC_CALL_S) * 1000);
}

/* ---- public ---- */

WAITS int ipc_call(enum role_kind to, enum msg_id id, const void *in, void *out, struct arena *mem, int64_t wait_ms,
                   struct fail *f, bool *broken)
{
    static const struct { char none; } empty; /* a message without fields may be NULL */
    struct ipc_pending p = {.id = id, .to = to, .in = in ? in : &empty, .fd = IPC_FD_NONE};
    int64_t deadline = deadline_in(wait_ms);
    assert(coro_self() && ipc_code_rows[id].out && (in || ipc_code_rows[id].in()->n == 0));
    if (broken)
        *broken = false;
    struct ipc_chan *ch = credit(to, deadline, f);
    if (!ch || send_on(&p, ch, f) < 0)
        return -1;
    return await(&p, deadline, out, mem, f, broken);
}

/* Keeps the encoded request if it may have to be sent again: `in` need not outlive ipc_begin. */
static void keep_request(struct ipc_pending *p, const void *in)
{
    const struct ipc_layout *l = ipc_code_rows[p->id].in();
    if (!ipc_code_rows[p->id].retry || l->fd_at >= 0)
        return;
    size_t n = ipc_code_size(l, in);
    unsigned char *copy = base_alloc(n + 1);
    ipc_code_write(l, in, copy);
    p->again = span_of(copy, n);
}

static void pending_free(struct ipc_pending *p)
{
    give_up(p);
    free((void *)(uintptr_t)p->again.p);
    free(p);
}

WAITS struct ipc_pending *ipc_begin(enum role_kind to, enum msg_id id, const void *in, struct fail *f)
{
    struct ipc_chan *ch = credit(to, deadline_in(0), f);
    if (!ch)
        return NULL;
    struct ipc_pending *p = base_alloc(sizeof *p);
    *p = (struct ipc_pending){.id = id, .to = to, .in = in, .fd = IPC_FD_NONE};
    if (send_on(p, ch, f) < 0) {
        pending_free(p);
        return NULL;
    }
    p->in = NULL;
    keep_request(p, in);
    return p;
}

WAITS int ipc_finish(struct ipc_pending *p, void *out, struct arena *mem, int64_t wait_ms, struct fail *f)
{
    int r = await(p, deadline_in(wait_ms), out, mem, f, NULL);
    pending_free(p);
    return r;
}

void ipc_forget(struct ipc_pending *p)
{
    if (p)
        pending_free(p);
}

/* ---- posts ---- */

int ipc_post_on(struct ipc_chan *ch, enum msg_id id, const void *in)
{
    struct ipc_frame head = {.call = 0, .id = id, .kind = IPC_KIND_POST};
    assert(!ipc_code_rows[id].out && ipc_code_may(id, ipc_chan_self(), ch->peer.kind));
    if (ch->closed)
        return -1;
    if (ipc_chan_queue(ch, &head, ipc_code_rows[id].in(), in) < 0) {
        LOG(LOG_ERROR, "ipc.post", L_Z("message", ipc_name(id)), L_INT("errno", errno));
        return -1;
    }
    return ch->closed ? -1 : 0;
}

static bool same_peer(const struct ipc_peer *a, const struct ipc_peer *b)
{
    return a->kind == b->kind && a->index == b->index && a->boot == b->boot;
}

/* Two channels may stand between the same two roles, one for each direction of calls: a post goes over the first. */
static bool told_before(const struct ipc_chan *ch)
{
    for (struct list *n = ipc_chan_all()->next; n != &ch->node; n = n->next) {
        const struct ipc_chan *other = LIST_ITEM(n, struct ipc_chan, node);
        if (!other->closed && same_peer(&other->peer, &ch->peer))
            return true;
    }
    return false;
}

static int post_where(enum role_kind to, const uint64_t *boot, enum msg_id id, const void *in)
{
    int r = -1;
    for (struct list *n = ipc_chan_all()->next; n != ipc_chan_all(); n = n->next) {
        struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (ch->closed || ch->peer.kind != to || (boot && ch->peer.boot != *boot) || told_before(ch))
            continue;
        if (ipc_post_on(ch, id, in) == 0)
            r = 0;
    }
    return r;
}

int ipc_post_to(enum role_kind to, enum msg_id id, const void *in) { return post_where(to, NULL, id, in); }

int ipc_post_boot(enum role_kind to, uint64_t boot, enum msg_id id, const void *in)
{
    return post_where(to, &boot, id, in);
}
