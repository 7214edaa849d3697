/* ipc_code: the messages of ipc_table.h as data: their fields, who may send them, and the bytes they travel as. */
#ifndef POSTEL_IPC_CODE_H
#define POSTEL_IPC_CODE_H

#include "run/ipc.h"

enum ipc_type { IPC_T_u32, IPC_T_u64, IPC_T_i64, IPC_T_bytes, IPC_T_fd, IPC_T_list };

/* On the wire a descriptor is a u32: 0 for none, 1 when one rides with the frame. ipc_decode, which sees bytes only,
 * gives IPC_FD_RIDES for the latter; the channel puts the real one in its place. */
enum { IPC_FD_NONE = -1, IPC_FD_RIDES = -2 };

struct ipc_layout;
typedef const struct ipc_layout *ipc_layout_fn(void);

struct ipc_field {
    const char *name;
    ipc_layout_fn *record;  /* of IPC_T_list */
    const char *record_name;
    uint16_t offset;        /* in the struct */
    uint8_t type;
};

struct ipc_layout {
    const struct ipc_field *fields;
    uint16_t n, size;       /* fields, bytes of the struct */
    uint32_t least;         /* bytes that it takes on the wire at least */
    int fd_at;              /* offset of its descriptor, -1 when it has none */
};

struct ipc_row {
    const char *name;
    ipc_layout_fn *in, *out; /* out NULL: a post */
    enum role_kind to;       /* ROLE_COUNT: every role */
    uint32_t from;
    bool retry;
};

extern const struct ipc_row ipc_code_rows[MSG_ID_COUNT];

/* What a refusal (a frame of kind fail) carries. */
#define MSG_fail(F, L) F(u32, kind) F(bytes, code) F(bytes, text)
IPC_STRUCT_(fail)
const struct ipc_layout *ipc_code_fail(void);

bool ipc_code_may(enum msg_id id, enum role_kind from, enum role_kind to);
size_t ipc_code_size(const struct ipc_layout *l, const void *msg);
/* Writes exactly ipc_code_size bytes at p; returns the descriptor to send along, or IPC_FD_NONE. */
int ipc_code_write(const struct ipc_layout *l, const void *msg, unsigned char *p);
/* As ipc_decode. msg and mem NULL: only checks. *rides: a descriptor belongs to it. */
int ipc_code_read(const struct ipc_layout *l, struct span in, struct arena *mem, void *msg, bool *rides) MUST_CHECK;
/* The descriptor in a message, to look at or to replace; NULL when the message has no such field. */
int *ipc_code_fd(const struct ipc_layout *l, void *msg);

static inline uint32_t ipc_code_get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline void ipc_code_put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

#endif
