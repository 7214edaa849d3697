/* Where a message's bytes wait while they come in. Nothing is allocated by what a client claims: the buffer grows in
 * steps by what has come; and what a front's bodies hold in buffers is bounded for all together, for a thousand clients may
 * stop before their last line (SEC-07). */
#include "run/body.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { OWN = 8192 }; /* bytes that each buffer may have; what it has beyond them is shared */

static uint64_t held;   /* bytes of all bodies of this front, in buffers and memfds */
static uint64_t shared; /* of them in buffers beyond OWN */

static void charge(struct body *b, uint64_t n)
{
    b->charged += n;
    held += n;
}

static void discharge(struct body *b, uint64_t n)
{
    assert(n <= b->charged && n <= held);
    b->charged -= n;
    held -= n;
}

bool body_room(void)
{
    return held + (uint64_t)LIMIT(BODY_INLINE) <= (uint64_t)LIMIT(MEMFD_BUDGET);
}

void body_init(struct body *b, const struct op_id *op)
{
    *b = (struct body){.fd = -1, .op = *op};
}

/* ---- spool ------------------------------------------------------------------------------------------------------------ */

static WAITS int land_one(struct body *b, struct fail *f)
{
    struct msg_spool_write_r out;
    struct arena mem;
    struct ipc_pending *p = b->flying[b->first];
    b->flying[b->first] = NULL;
    b->first = (b->first + 1) % BODY_FLYING;
    b->n_flying--;
    arena_init(&mem);
    int r = ipc_finish(p, &out, &mem, 0, f);
    arena_done(&mem);
    return r;
}

static WAITS int spool(struct body *b, struct span data, struct fail *f)
{
    if (data.n == 0)
        return 0;
    if (b->n_flying == BODY_FLYING && land_one(b, f) < 0)
        return -1;
    struct msg_spool_write in = {.op = span_of(b->op.b, sizeof b->op.b), .offset = b->passed, .data = data};
    struct ipc_pending *p = ipc_begin(ROLE_STORE, MSG_ID_spool_write, &in, f);
    if (p == NULL)
        return -1;
    b->flying[(b->first + b->n_flying++) % BODY_FLYING] = p;
    b->passed += data.n;
    return 0;
}

/* ---- memfd ------------------------------------------------------------------------------------------------------------ */

static int write_all(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t r = write(fd, s.p, s.n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        s = span_from(s, (size_t)r);
    }
    return 0;
}

static int to_memfd(struct body *b, struct fail *f)
{
    if (b->fd < 0) {
        b->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (b->fd < 0)
            return fail_errno(f, "memfd", errno);
        b->place = BODY_MEMFD;
    }
    charge(b, b->n);
    if (write_all(b->fd, span_of(b->buf, b->n)) < 0)
        return fail_errno(f, "memfd", errno);
    b->passed += b->n;
    b->n = 0;
    return 0;
}

/* From memory or memfd on to store. The tail in buf is put aside: the memfd's bytes come before it. */
static WAITS int start_spool(struct body *b, struct fail *f)
{
    uint64_t written = b->passed;
    char *piece = written > 0 ? base_realloc(NULL, b->cap) : NULL;
    int r = 0, fd = b->fd;
    b->place = BODY_SPOOL;
    b->passed = 0;
    while (r == 0 && b->passed < written) {
        ssize_t n = pread(fd, piece, b->cap, (off_t)b->passed);
        r = n > 0 ? spool(b, span_of(piece, (size_t)n), f) : fail_errno(f, "memfd", n < 0 ? errno : EIO);
    }
    free(piece);
    if (fd >= 0) {
        close(fd);
        b->fd = -1;
        discharge(b, written);
    }
    return r;
}

/* The buffer is full at its largest, or holds the tail: passes it on. */
static WAITS int pass_on(struct body *b, struct fail *f)
{
    uint64_t budget = (uint64_t)LIMIT(MEMFD_BUDGET);
    bool fits = b->passed + b->n <= (uint64_t)LIMIT(BODY_MEMFD) && held + b->n <= budget;
    if (b->place != BODY_SPOOL) {
        if (fits)
            return to_memfd(b, f);
        if (start_spool(b, f) < 0)
            return -1;
    }
    if (spool(b, span_of(b->buf, b->n), f) < 0)
        return -1;
    b->n = 0;
    return 0;
}

static WAITS int make_room(struct body *b, struct fail *f)
{
    size_t most = (size_t)LIMIT(BODY_INLINE), cap = MIN_OF((size_t)OWN, most);
    if (b->cap >= cap) {
        if (b->cap >= most || shared + (most - cap) > (uint64_t)LIMIT(BODY_SHARED))
            return pass_on(b, f);
        cap = most;
        shared += most - OWN;
    }
    b->buf = base_realloc(b->buf, cap);
    charge(b, cap - b->cap);
    b->cap = cap;
    return 0;
}

WAITS int body_add(struct body *b, struct span s, struct fail *f)
{
    while (s.n > 0) {
        if (b->n == b->cap && make_room(b, f) < 0)
            return -1;
        size_t n = MIN_OF(s.n, b->cap - b->n);
        memcpy(b->buf + b->n, s.p, n);
        b->n += n;
        b->size += n;
        s = span_from(s, n);
    }
    return 0;
}

/* Nobody may change under scan's or store's eyes what they have checked. */
static int seal(struct body *b, struct fail *f)
{
    if (fcntl(b->fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return fail_errno(f, "seal", errno);
    return 0;
}

WAITS int body_finish(struct body *b, struct arena *mem, struct fail *f)
{
    if (b->place == BODY_MEMORY)
        return 0;
    if (pass_on(b, f) < 0) /* the tail; it may be what makes the memfd too big */
        return -1;
    if (b->place == BODY_MEMFD)
        return seal(b, f);
    while (b->n_flying > 0)
        if (land_one(b, f) < 0)
            return -1;
    struct msg_spool_lend in = {.op = span_of(b->op.b, sizeof b->op.b)};
    struct msg_spool_lend_r out;
    if (IPC_CALL(ROLE_STORE, spool_lend, &in, &out, mem, f) < 0)
        return -1;
    b->fd = out.file;
    if (out.size != b->size || out.file < 0)
        return fail_temp(f, "4.3.0", "the spool has lost part of the message");
    return 0;
}

void body_drop(struct body *b)
{
    for (unsigned i = 0; i < BODY_FLYING; i++)
        if (b->flying[i] != NULL)
            ipc_forget(b->flying[i]);
    if (b->place == BODY_SPOOL) {
        struct msg_spool_drop in = {.op = span_of(b->op.b, sizeof b->op.b)};
        ipc_post_to(ROLE_STORE, MSG_ID_spool_drop, &in);
    }
    if (b->fd >= 0)
        close(b->fd);
    free(b->buf);
    if (b->cap > OWN)
        shared -= b->cap - OWN;
    discharge(b, b->charged);
    struct op_id op = b->op;
    body_init(b, &op);
}
