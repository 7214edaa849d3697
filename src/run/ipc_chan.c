/* Channels: stream sockets on the loop, many frames a wakeup, everything that was queued in a turn sent at its end.
 *
 * The loop never blocks: what the socket does not take waits in blocks, bounded because a peer has only so many
 * credits. A descriptor is sent by a sendmsg of its own that begins with the first byte of its frame. The kernel may
 * hand it over with earlier bytes, never with later ones, so the receiver keeps arrivals in order and each frame that
 * says it has one takes the first. Once no frame is left that could claim it, a descriptor is a breach. */
#include "run/ipc_chan.h"

#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { IOV_MOST = 16, ROOM_LEAST = 64 * 1024, CLOSE_FNS = 8, POSTS_MOST = 64 };

static struct list all = {&all, &all};
static struct list dirty = {&dirty, &dirty};
static enum role_kind self_kind = ROLE_COUNT;
static void (*close_fns[CLOSE_FNS])(struct ipc_peer peer, bool calls);
static unsigned n_close_fns;

static void turn_end(struct loop_hook *h);
static struct loop_hook hook = {.run = turn_end};

struct list *ipc_chan_all(void) { return &all; }
enum role_kind ipc_chan_self(void) { return self_kind; }
void ipc_self(enum role_kind self) { self_kind = self; }

void ipc_on_close(void (*fn)(struct ipc_peer peer, bool calls))
{
    if (n_close_fns == CLOSE_FNS)
        base_die("ipc_on_close: too many");
    close_fns[n_close_fns++] = fn;
}

/* ---- closing ---- */

static void drop_output(struct ipc_chan *ch)
{
    for (struct ipc_block *b = ch->out, *next; b; b = next) {
        next = b->next;
        ipc_block_drop(b);
    }
    for (struct ipc_mark *m = ch->marks, *next; m; m = next) {
        next = m->next;
        close(m->fd);
        free(m);
    }
    ch->out = ch->out_last = NULL;
    ch->marks = ch->marks_last = NULL;
    ch->sent = ch->queued;
}

/* The struct stays in the list until the turn ends: loops over the list and callers further up still look at it. */
static void close_now(struct ipc_chan *ch)
{
    if (ch->closed)
        return;
    ch->closed = true;
    loop_unwatch(&ch->io);
    close(ch->io.fd);
    list_remove(&ch->dirty);
    drop_output(ch);
    ipc_block_drop(ch->in);
    ch->in = NULL;
    while (ch->n_fds > 0)
        close(ch->fds[--ch->n_fds]);
    ipc_serve_closed(ch);
    ipc_call_closed(ch);
    loop_turn_end(&hook);
}

void ipc_chan_cut(struct ipc_chan *ch, const char *why)
{
    if (ch->closed)
        return;
    LOG(LOG_WARN, "ipc.cut", L_Z("peer", role_kind_name(ch->peer.kind)), L_INT("index", ch->peer.index), L_Z("why", why));
    close_now(ch);
}

static void bury(void)
{
    for (struct list *n = all.next, *next; n != &all; n = next) {
        struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        next = n->next;
        if (!ch->closed || ch->reading)
            continue;
        list_remove(&ch->node);
        for (unsigned i = 0; i < n_close_fns; i++)
            close_fns[i](ch->peer, ch->calls);
        next = all.next; /* they may have closed or attached others */
        free(ch->slots);
        free(ch);
    }
}

/* ---- sending ---- */

static ssize_t send_some(struct ipc_chan *ch, uint64_t most, int fd)
{
    struct iovec iov[IOV_MOST];
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_iov = iov};
    for (struct ipc_block *b = ch->out; b && most > 0 && m.msg_iovlen < IOV_MOST; b = b->next) {
        size_t n = MIN_OF(b->to - b->from, most);
        iov[m.msg_iovlen++] = (struct iovec){b->data + b->from, n};
        most -= n;
    }
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control.room;
        control.h.cmsg_level = SOL_SOCKET;
        control.h.cmsg_type = SCM_RIGHTS;
        control.h.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.h), &fd, sizeof fd);
    }
    return sendmsg(ch->io.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void sent_some(struct ipc_chan *ch, size_t n)
{
    ch->sent += n;
    while (n > 0) {
        struct ipc_block *b = ch->out;
        size_t part = MIN_OF(b->to - b->from, n);
        b->from += part;
        n -= part;
        if (b->from < b->to)
            break;
        ch->out = b->next;
        if (!ch->out)
            ch->out_last = NULL;
        ipc_block_drop(b);
    }
}

static void pop_mark(struct ipc_chan *ch)
{
    struct ipc_mark *m = ch->marks;
    ch->marks = m->next;
    if (!ch->marks)
        ch->marks_last = NULL;
    close(m->fd);
    free(m);
}

static void chan_read(struct ipc_chan *ch, bool hup);

static void chan_flush(struct ipc_chan *ch)
{
    list_remove(&ch->dirty);
    while (!ch->closed && ch->sent < ch->queued) {
        const struct ipc_mark *m = ch->marks;
        bool with_fd = m && m->at == ch->sent;
        const struct ipc_mark *border = with_fd ? m->next : m;
        ssize_t n = send_some(ch, (border ? border->at : ch->queued) - ch->sent, with_fd ? m->fd : -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ch->blocked = true;
            loop_wait_write(&ch->io, true);
            return;
        }
        if (n < 0) { /* the other end is gone; what it still said counts */
            drop_output(ch);
            chan_read(ch, true);
            close_now(ch);
            return;
        }
        if (with_fd)
            pop_mark(ch);
        sent_some(ch, (size_t)n);
    }
}

static void turn_end(struct loop_hook *h)
{
    (void)h;
    ipc_flush();
    bury();
    ipc_flush(); /* what was queued by those told of a close */
}

void ipc_flush(void)
{
    while (!list_empty(&dirty))
        chan_flush(LIST_ITEM(dirty.next, struct ipc_chan, dirty));
}

static int add_mark(struct ipc_chan *ch, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the sender may close its own before the turn ends */
    if (copy < 0)
        return -1;
    struct ipc_mark *m = base_alloc(sizeof *m);
    *m = (struct ipc_mark){NULL, ch->queued, copy};
    if (ch->marks_last)
        ch->marks_last->next = m;
    else
        ch->marks = m;
    ch->marks_last = m;
    return 0;
}

static struct ipc_block *room_for(struct ipc_chan *ch, size_t n)
{
    struct ipc_block *b = ch->out_last;
    if (b && IPC_BLOCK_BYTES - b->to >= n)
        return b;
    struct ipc_block *fresh = ipc_block_new();
    if (b)
        b->next = fresh;
    else
        ch->out = fresh;
    return ch->out_last = fresh;
}

int ipc_chan_queue(struct ipc_chan *ch, const struct ipc_frame *head, const struct ipc_layout *l, const void *msg)
{
    size_t body = l ? ipc_code_size(l, msg) : head->body.n;
    if (body > IPC_FRAME_MAX - IPC_HEAD) {
        errno = EMSGSIZE;
        return -1;
    }
    struct ipc_block *b = room_for(ch, IPC_HEAD + body);
    unsigned char *p = b->data + b->to;
    ipc_code_put32(p, (uint32_t)(IPC_HEAD - 4 + body));
    ipc_code_put32(p + 4, head->call);
    ipc_code_put32(p + 8, (uint32_t)head->id | (uint32_t)head->kind << 16);
    if (l) {
        int fd = ipc_code_write(l, msg, p + IPC_HEAD);
        assert(fd >= IPC_FD_NONE);
        if (fd >= 0 && add_mark(ch, fd) < 0)
            return -1;
    } else if (body > 0) {
        memcpy(p + IPC_HEAD, head->body.p, body);
    }
    b->to += IPC_HEAD + body;
    ch->queued += IPC_HEAD + body;
    if (ch->queued - ch->sent > (uint64_t)IPC_FRAME_MAX * (ch->credits + POSTS_MOST)) {
        ipc_chan_cut(ch, "does not read");
        return 0;
    }
    if (!ch->blocked && !list_linked(&ch->dirty)) {
        list_push(&dirty, &ch->dirty);
        loop_turn_end(&hook);
    }
    return 0;
}

/* ---- receiving ---- */

int ipc_chan_take_fd(struct ipc_chan *ch)
{
    if (ch->n_fds == 0)
        return IPC_FD_NONE;
    int fd = ch->fds[0];
    ch->fds[0] = ch->fds[1];
    ch->n_fds--;
    return fd;
}

/* Keeps what arrived, at most what honest frames can leave unclaimed. False: too many; those are closed. */
static bool keep_fds(struct ipc_chan *ch, struct msghdr *m, bool *came)
{
    bool fine = (m->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        *came = true;
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (ch->n_fds < COUNT_OF(ch->fds)) {
                ch->fds[ch->n_fds++] = fd;
            } else {
                close(fd);
                fine = false;
            }
        }
    }
    return fine;
}

static const char *dispatch(struct ipc_chan *ch, const struct ipc_frame *f)
{
    static bool (*const by_kind[IPC_KIND_COUNT])(struct ipc_chan *, const struct ipc_frame *, const char **) = {
        [IPC_KIND_CALL] = ipc_serve_call,
        [IPC_KIND_REPLY] = ipc_call_reply,
        [IPC_KIND_FAIL] = ipc_call_reply,
        [IPC_KIND_POST] = ipc_serve_post,
    };
    const char *why = "bad frame";
    return by_kind[f->kind](ch, f, &why) ? NULL : why;
}

/* Handles every complete frame of the input. NULL, or what the peer did wrong. */
static const char *take_frames(struct ipc_chan *ch)
{
    for (;;) {
        struct ipc_block *b = ch->in;
        size_t have = b->to - b->from;
        unsigned char *p = b->data + b->from;
        uint32_t n = have >= 4 ? ipc_code_get32(p) : 0;
        if (have >= 4 && (n < IPC_HEAD - 4 || n > IPC_FRAME_MAX - 4))
            return "bad length";
        if (have < 4 || have - 4 < n)
            return ch->n_fds > (have > 0 ? 1 : 0) ? "unexpected descriptor" : NULL;
        uint32_t what = ipc_code_get32(p + 8);
        if ((what & 0xffff) >= MSG_ID_COUNT || what >> 16 >= IPC_KIND_COUNT)
            return "unknown message";
        struct ipc_frame f = {
            .call = ipc_code_get32(p + 4),
            .id = (enum msg_id)(what & 0xffff),
            .kind = (enum ipc_kind)(what >> 16),
            .body = span_of(p + IPC_HEAD, n - (IPC_HEAD - 4)),
        };
        b->from += 4 + n;
        const char *why = dispatch(ch, &f);
        if (why || ch->closed)
            return why;
    }
}

/* Frames that are being served borrow from the block: then it is left to them, and what is incomplete moves on. */
static void make_room(struct ipc_chan *ch)
{
    struct ipc_block *b = ch->in;
    if (!b) {
        ch->in = ipc_block_new();
        return;
    }
    if (b->from == b->to && b->refs == 1)
        b->from = b->to = 0;
    if (b->from == 0 || IPC_BLOCK_BYTES - b->to >= ROOM_LEAST)
        return;
    size_t have = b->to - b->from;
    struct ipc_block *to = b->refs == 1 ? b : ipc_block_new();
    memmove(to->data, b->data + b->from, have);
    to->from = 0;
    to->to = have;
    if (to != b) {
        ipc_block_drop(b);
        ch->in = to;
    }
}

/* One recvmsg and the frames that it completes. True: there may be more to read. */
static bool read_once(struct ipc_chan *ch, bool hup, bool *eof)
{
    make_room(ch);
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct ipc_block *b = ch->in;
    struct iovec iov = {b->data + b->to, IPC_BLOCK_BYTES - b->to};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(ch->io.fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0) {
        *eof = n == 0 || errno != EAGAIN;
        return false;
    }
    bool came = false;
    b->to += (size_t)n;
    const char *why = keep_fds(ch, &m, &came) ? take_frames(ch) : "too many descriptors";
    if (why)
        ipc_chan_cut(ch, why);
    /* A short read has drained the socket, but for descriptors, at which the kernel stops, and a hangup, which is
     * told only once. */
    return !ch->closed && (hup || came || (size_t)n == iov.iov_len);
}

static void chan_read(struct ipc_chan *ch, bool hup)
{
    if (ch->reading || ch->closed)
        return;
    bool eof = false;
    ch->reading = true;
    while (read_once(ch, hup, &eof))
        ;
    ch->reading = false;
    if (ch->closed) {
        loop_turn_end(&hook);
        return;
    }
    if (eof && ch->in->from != ch->in->to)
        ipc_chan_cut(ch, "closed in the middle of a frame");
    else if (eof)
        close_now(ch);
    else
        ipc_chan_unborrow(ch, NULL);
}

void ipc_chan_unborrow(struct ipc_chan *ch, struct ipc_block *b)
{
    ipc_block_drop(b);
    if (!ch || ch->reading || !ch->in || ch->in->from != ch->in->to || ch->in->refs > 1)
        return;
    ipc_block_drop(ch->in);
    ch->in = NULL;
}

static void ready(struct loop_io *io, unsigned events)
{
    struct ipc_chan *ch = CONTAINER_OF(io, struct ipc_chan, io);
    if ((events & LOOP_WRITE) && ch->blocked) {
        ch->blocked = false;
        loop_wait_write(&ch->io, false);
        chan_flush(ch);
    }
    if (events & (LOOP_READ | LOOP_HUP))
        chan_read(ch, (events & LOOP_HUP) != 0);
}

/* ---- public ---- */

struct ipc_chan *ipc_attach(int fd, struct ipc_peer peer, bool calls, bool serves)
{
    struct ipc_chan *ch = base_alloc(sizeof *ch);
    ch->io = (struct loop_io){.fd = fd, .ready = ready, .quiet = true};
    ch->peer = peer;
    ch->calls = calls;
    ch->serves = serves;
    ch->credits = (unsigned)LIMIT(IPC_CREDITS);
    list_init(&ch->dirty);
    list_init(&ch->reqs);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || loop_watch(&ch->io) < 0) {
        LOG(LOG_ERROR, "ipc.attach", L_Z("peer", role_kind_name(peer.kind)), L_INT("errno", errno));
        close(fd);
        free(ch);
        return NULL;
    }
    list_push(&all, &ch->node);
    if (calls)
        ipc_call_opened(ch);
    return ch;
}

void ipc_detach(struct ipc_chan *ch)
{
    if (!ch->closed && !ch->blocked)
        chan_flush(ch);
    close_now(ch);
}

void ipc_each(enum role_kind kind, void (*fn)(struct ipc_chan *ch, const struct ipc_peer *peer, void *arg), void *arg)
{
    for (struct list *n = all.next; n != &all; n = n->next) {
        struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (!ch->closed && ch->peer.kind == kind)
            fn(ch, &ch->peer, arg);
    }
}

void ipc_poll(enum role_kind kind)
{
    for (struct list *n = all.next; n != &all; n = n->next) {
        struct ipc_chan *ch = LIST_ITEM(n, struct ipc_chan, node);
        if (ch->peer.kind == kind)
            chan_read(ch, true); /* to the last byte */
    }
}
