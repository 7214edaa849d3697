/* Reading ahead of the client: while one window is written to it, the next are already asked for. */
#include "imap/imap_read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static WAITS int ask(struct imap_read *r, struct imap *s, struct fail *f)
{
    while (r->n_flying < IMAP_READ_FLYING && r->asked < r->to) {
        uint64_t n = MIN_OF(r->to - r->asked, (uint64_t)IMAP_READ_WINDOW);
        struct msg_email_read in = {.handle = imap_session_handle(s), .eid = r->eid, .offset = r->asked,
                                    .length = (uint32_t)n};
        struct ipc_pending *p = ipc_begin(ROLE_STORE, MSG_ID_email_read, &in, f);
        if (p == NULL)
            return -1;
        r->flying[(r->first + r->n_flying++) % IMAP_READ_FLYING] = p;
        r->asked += n;
    }
    return 0;
}

WAITS int imap_read_start(struct imap_read *r, struct imap *s, uint64_t eid, uint64_t size, uint64_t from, uint64_t to,
                          struct fail *f)
{
    *r = (struct imap_read){.eid = eid, .size = size, .asked = from, .at = from, .to = to};
    return ask(r, s, f);
}

WAITS int imap_read_next(struct imap_read *r, struct imap *s, struct span *data, struct arena *mem, struct fail *f)
{
    struct msg_email_read_r out;
    *data = SPAN_NONE;
    if (r->n_flying == 0)
        return 0;
    struct ipc_pending *p = r->flying[r->first];
    r->flying[r->first] = NULL;
    r->first = (r->first + 1) % IMAP_READ_FLYING;
    r->n_flying--;
    if (ipc_finish(p, &out, mem, 0, f) < 0)
        return -1;
    if (out.size != r->size || out.data.n != MIN_OF(r->to - r->at, (uint64_t)IMAP_READ_WINDOW))
        return fail_temp(f, "4.3.0", "The message cannot be read as it was listed");
    r->at += out.data.n;
    *data = out.data;
    return ask(r, s, f);
}

void imap_read_stop(struct imap_read *r)
{
    for (unsigned i = 0; i < IMAP_READ_FLYING; i++)
        if (r->flying[i] != NULL)
            ipc_forget(r->flying[i]);
    *r = (struct imap_read){0};
}

static WAITS int fill(struct imap *s, uint64_t eid, uint64_t size, uint64_t n, int fd, struct fail *f)
{
    struct imap_read read;
    struct arena mem;
    struct span piece;
    arena_init(&mem);
    int r = imap_read_start(&read, s, eid, size, 0, n, f);
    while (r == 0 && (r = imap_read_next(&read, s, &piece, &mem, f)) == 0 && piece.n > 0) {
        if (write(fd, piece.p, piece.n) != (ssize_t)piece.n)
            r = fail_errno(f, "memfd", errno);
        arena_done(&mem);
    }
    imap_read_stop(&read);
    arena_done(&mem);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return fail_errno(f, "seal", errno);
    return r;
}

WAITS int imap_read_file(struct imap *s, uint64_t eid, uint64_t size, uint64_t n, int *fd, struct fail *f)
{
    *fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return fail_errno(f, "memfd", errno);
    int r = fill(s, eid, size, n, *fd, f);
    if (r != 0) {
        close(*fd);
        *fd = -1;
    }
    return r;
}
