/* ipc_chan: what the three halves of ipc share: channels and their bytes (ipc_chan.c, ipc_block.c), serving
 * (ipc_serve.c), calling (ipc_call.c). Nobody else includes this. */
#ifndef POSTEL_IPC_CHAN_H
#define POSTEL_IPC_CHAN_H

#include "run/ipc_code.h"
#include "run/loop.h"

/* ---- blocks: 256 KiB for input or output, shared by counting; a frame always fits into one ---- */

#define IPC_BLOCK_BYTES (256 * 1024)

struct ipc_block {
    struct ipc_block *next; /* in a queue of output, or in the pool */
    unsigned refs;
    size_t from, to;        /* what is in it and not yet used */
    unsigned char data[IPC_BLOCK_BYTES];
};

struct ipc_block *ipc_block_new(void);          /* empty, refs 1 */
void ipc_block_drop(struct ipc_block *b);       /* one reference less; NULL is fine */

/* ---- frames ---- */

enum ipc_kind { IPC_KIND_CALL, IPC_KIND_REPLY, IPC_KIND_FAIL, IPC_KIND_POST, IPC_KIND_COUNT };
enum { IPC_HEAD = 12 };

struct ipc_frame {
    uint32_t call;
    enum msg_id id;
    enum ipc_kind kind;
    struct span body;
};

/* ---- channels ---- */

/* A call that was sent. The slot's number is in the low 12 bits of the call id, the rest tells its uses apart. */
struct ipc_slot {
    struct ipc_pending *p;  /* NULL: given up, the reply is still to come */
    uint32_t call;
    uint16_t id, next_free; /* next_free: of a free slot */
    bool used;
};
enum { IPC_SLOT_BITS = 12, IPC_SLOT_NONE = 0xffff };

struct ipc_mark {           /* a descriptor that leaves with the byte `at` of the stream */
    struct ipc_mark *next;
    uint64_t at;
    int fd;
};

struct ipc_chan {
    struct loop_io io;
    struct list node;       /* of all channels, in order of attaching */
    struct list dirty;      /* of those with output to write at the end of the turn */
    struct ipc_peer peer;
    bool calls, serves, draining, closed, reading, blocked;
    unsigned credits;

    struct ipc_block *in;   /* with a frame that is not complete, or still borrowed from; else NULL */
    int fds[2];             /* received, not yet claimed by a frame */
    unsigned n_fds;

    struct ipc_block *out, *out_last;
    uint64_t sent, queued;  /* bytes of the stream */
    struct ipc_mark *marks, *marks_last;

    struct list reqs;       /* being served */
    unsigned serving;
    struct ipc_slot *slots; /* `credits` of them */
    unsigned in_flight;
    uint16_t free_slot;
};

struct list *ipc_chan_all(void);
enum role_kind ipc_chan_self(void);
void ipc_chan_cut(struct ipc_chan *ch, const char *why);   /* logs, closes */
/* Appends a frame. raw: the encoded body, used when l is NULL. 0, or -1: too large for a frame, nothing was queued. */
int ipc_chan_queue(struct ipc_chan *ch, const struct ipc_frame *head, const struct ipc_layout *l, const void *msg);
/* The descriptor of the frame at hand: IPC_FD_NONE when none came (then the frame is a lie). */
int ipc_chan_take_fd(struct ipc_chan *ch);
void ipc_chan_unborrow(struct ipc_chan *ch, struct ipc_block *b); /* ipc_block_drop, and frees the input of an idle channel */

/* Take a frame each; false: cut the channel, *why says for what. */
bool ipc_serve_call(struct ipc_chan *ch, const struct ipc_frame *f, const char **why);
bool ipc_serve_post(struct ipc_chan *ch, const struct ipc_frame *f, const char **why);
bool ipc_call_reply(struct ipc_chan *ch, const struct ipc_frame *f, const char **why);

void ipc_serve_closed(struct ipc_chan *ch); /* its requests have no channel any more */
void ipc_call_opened(struct ipc_chan *ch);  /* makes its slots, wakes who waits for it */
void ipc_call_closed(struct ipc_chan *ch);  /* its calls are broken */

#endif
