/* ipc: calls and posts between roles over Unix sockets, from the one table (doc/architecture.md; SEC-24).
 *
 * Frame: u32 length of what follows, u32 call id, u16 message id, u16 kind (call, reply, fail, post); then the fields
 * in order, little endian, bytes as u32 length + bytes, lists as u32 count + records. At most IPC_FRAME_MAX; a
 * descriptor rides with the first byte of its frame. A frame that does not decode to its last byte ends the channel.
 */
#ifndef POSTEL_IPC_H
#define POSTEL_IPC_H

#include "base/arena.h"
#include "base/fail.h"
#include "run/coro.h"
#include "run/ipc_table.h"
#include "run/role_kind.h"

/* 64 KiB of body, 60 KiB of summary, 48 KiB of recipients and their account numbers (doc/decisions/02-frame-size.md). */
#define IPC_FRAME_MAX (224 * 1024)

#define IPC_C_u32 uint32_t
#define IPC_C_u64 uint64_t
#define IPC_C_i64 int64_t
#define IPC_C_bytes struct span
#define IPC_C_fd int
#define IPC_FIELD_(type, name) IPC_C_##type name;
#define IPC_LIST_(record, name) struct { struct msg_##record *v; uint32_t n; } name;
#define IPC_STRUCT_(name) struct msg_##name { MSG_##name(IPC_FIELD_, IPC_LIST_) char end_[0]; };
#define IPC_STRUCTS_CALL_(name, to, from, retry) IPC_STRUCT_(name) IPC_STRUCT_(name##_r)
#define IPC_STRUCTS_POST_(name, to, from) IPC_STRUCT_(name)
RECORD_TABLE(IPC_STRUCT_)
IPC_TABLE(IPC_STRUCTS_CALL_, IPC_STRUCTS_POST_)

#define IPC_ID_CALL_(name, to, from, retry) MSG_ID_##name,
#define IPC_ID_POST_(name, to, from) MSG_ID_##name,
enum msg_id { IPC_TABLE(IPC_ID_CALL_, IPC_ID_POST_) MSG_ID_COUNT };

/* Who is at the other end; boot differs for every start of a role. */
struct ipc_peer { enum role_kind kind; uint32_t index; uint64_t boot; };

struct ipc_chan;

/* ---- serving -------------------------------------------------------------------------------------------------- */

/* A request being served. Lives until ipc_reply or ipc_refuse; `in` and what it points to as well. */
struct ipc_req {
    enum msg_id id;
    const void *in;         /* struct msg_<name>; an fd in it is closed at the end unless set to -1 */
    struct arena *mem;      /* for the reply */
    struct ipc_peer peer;
    struct ipc_chan *chan;  /* NULL once the channel has closed: the reply then goes nowhere */
};

typedef void ipc_call_fn(struct ipc_req *req);          /* answers now or later, in the loop thread */
/* `in` lives until return; an fd in it is then closed unless it was set to -1. */
typedef void ipc_post_fn(const struct ipc_peer *peer, const void *in);

struct ipc_handler {
    enum msg_id id;
    ipc_call_fn *call;  /* one of the two */
    ipc_post_fn *post;
    bool coro;          /* run `call` in a coroutine of its own, so that it may wait */
};

void ipc_serve(const struct ipc_handler *rows, size_t n); /* what this process answers; rows live on */
void ipc_reply(struct ipc_req *req, const void *rep);     /* struct msg_<name>_r; copied; its fd, if any, is dup'ed */
void ipc_refuse(struct ipc_req *req, const struct fail *why);

/* ---- channels --------------------------------------------------------------------------------------------------- */

/* Takes a connected socket. calls: this process may call there. serves: requests are read from it.
 * `self` says who this process is, for the check of who may send what. */
struct ipc_chan *ipc_attach(int fd, struct ipc_peer peer, bool calls, bool serves);
void ipc_self(enum role_kind self);
void ipc_detach(struct ipc_chan *ch);                     /* flushes what goes at once, closes; calls in flight fail TEMP */
/* No new call takes this channel; it closes, and ipc_on_close is told, once the last reply has come. The caller's side of
 * a role's orderly replacement: the old instance sees the end of file and exits, so that no call meets a closing door. */
void ipc_drain(struct ipc_chan *ch);
void ipc_on_close(void (*fn)(struct ipc_peer peer, bool calls)); /* told when a channel has closed */
void ipc_each(enum role_kind kind, void (*fn)(struct ipc_chan *ch, const struct ipc_peer *peer, void *arg), void *arg);
size_t ipc_in_flight(enum role_kind kind);                /* calls sent and not answered */
void ipc_flush(void);                                     /* writes what is queued now, not at the end of the turn */
/* Reads and handles what lies in the sockets from `kind` now: for a session_add that must not be missed. */
void ipc_poll(enum role_kind kind);
bool ipc_idle(void);                                      /* no call in flight either way, nothing to write */

/* ---- calling ---------------------------------------------------------------------------------------------------- */

/* Calls a role of kind `to` (of several instances the least busy) and waits: for a credit, for the role to come back
 * when it is down, for the reply; a row with retry = 1 is sent again after a restart; all within wait_ms (0: limit
 * ipc_call_s). out: struct msg_<name>_r, its spans live in mem, its fd is the caller's to close.
 * 0, or -1 with *f (the other side's refusal, or FAIL_TEMP IPC_NO_ANSWER when the role did not answer, 4.3.0 on cancel).
 * *broken (NULL allowed): the role died with this call in flight (retry = 0 rows). */
WAITS int ipc_call(enum role_kind to, enum msg_id id, const void *in, void *out, struct arena *mem, int64_t wait_ms,
                   struct fail *f, bool *broken);
#define IPC_NO_ANSWER "4.3.2" /* the code then; a role that is too busy may say the same */
#define IPC_CALL(to, name, in, out, mem, f)                                                                            \
    ipc_call((to), MSG_ID_##name, (const struct msg_##name *)(in), (struct msg_##name##_r *)(out), (mem), 0, (f), NULL)

/* The same in two halves, so that several calls overlap (windows of reads). Begin waits only for a credit. */
struct ipc_pending;
WAITS struct ipc_pending *ipc_begin(enum role_kind to, enum msg_id id, const void *in, struct fail *f);
WAITS int ipc_finish(struct ipc_pending *p, void *out, struct arena *mem, int64_t wait_ms, struct fail *f);
void ipc_forget(struct ipc_pending *p); /* instead of ipc_finish */

/* 0, or -1 when no such channel stands. Posts are never repeated. */
int ipc_post_to(enum role_kind to, enum msg_id id, const void *in);                 /* every instance */
int ipc_post_on(struct ipc_chan *ch, enum msg_id id, const void *in);
int ipc_post_boot(enum role_kind to, uint64_t boot, enum msg_id id, const void *in); /* that one instance */

/* ---- bytes (for tests, fuzzing, the command line) --------------------------------------------------------------- */

struct str;
/* Appends the fields (no frame header). part: false the request or post, true the reply. Returns the fd to send, or -1. */
int ipc_encode(struct str *out, enum msg_id id, bool reply, const void *msg);
/* 0 and msg filled (spans borrowed from in, lists in mem), or -1 when `in` is not exactly one such message. */
int ipc_decode(enum msg_id id, bool reply, struct span in, struct arena *mem, void *msg);
size_t ipc_struct_size(enum msg_id id, bool reply);
const char *ipc_name(enum msg_id id);
void ipc_print_doc(FILE *to); /* doc/ipc.md */

#endif
