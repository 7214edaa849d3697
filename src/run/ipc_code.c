/* Encoder and decoder of all messages: one walk over the field tables that the macros below make from ipc_table.h.
 * Input is hostile on both sides (SEC-24): every length and count is compared with what is left before it is used. */
#include "run/ipc_code.h"

#include "base/str.h"

/* ---- tables made from ipc_table.h ---- */

#define LEAST_u32 4
#define LEAST_u64 8
#define LEAST_i64 8
#define LEAST_bytes 4
#define LEAST_fd 4
#define LEAST_FIELD(type, field) +LEAST_##type
#define LEAST_LIST(record, field) +4

#define FD_u32(field)
#define FD_u64(field)
#define FD_i64(field)
#define FD_bytes(field)
#define FD_fd(field) +1 + (int)offsetof(here, field)
#define FD_FIELD(type, field) FD_##type(field)
#define FD_LIST(record, field)

#define ROW_FIELD(type, field) {#field, NULL, NULL, offsetof(here, field), IPC_T_##type},
#define ROW_LIST(record, field) {#field, layout_##record, #record, offsetof(here, field), IPC_T_list},

/* A function per message, because offsetof needs the struct's name and F() is not told it: `here` is that name. */
#define LAYOUT(name)                                                                                                   \
    static const struct ipc_layout *layout_##name(void)                                                                \
    {                                                                                                                  \
        typedef struct msg_##name here;                                                                                \
        static const struct ipc_field fields[] = {MSG_##name(ROW_FIELD, ROW_LIST){0}};                                 \
        static const struct ipc_layout l = {                                                                           \
            .fields = fields,                                                                                          \
            .n = COUNT_OF(fields) - 1,                                                                                 \
            .size = sizeof(here),                                                                                      \
            .least = 0 MSG_##name(LEAST_FIELD, LEAST_LIST),                                                            \
            .fd_at = -1 MSG_##name(FD_FIELD, FD_LIST),                                                                 \
        };                                                                                                             \
        return &l;                                                                                                     \
    }
#define LAYOUT_CALL(name, to, from, retry) LAYOUT(name) LAYOUT(name##_r)
#define LAYOUT_POST(name, to, from) LAYOUT(name)
RECORD_TABLE(LAYOUT)
IPC_TABLE(LAYOUT_CALL, LAYOUT_POST)
LAYOUT(fail)

#define ROW_CALL(name, to, from, retry) {#name, layout_##name, layout_##name##_r, (to), (from), (retry)},
#define ROW_POST(name, to, from) {#name, layout_##name, NULL, (to), (from), false},
const struct ipc_row ipc_code_rows[MSG_ID_COUNT] = {IPC_TABLE(ROW_CALL, ROW_POST)};

const struct ipc_layout *ipc_code_fail(void) { return layout_fail(); }

bool ipc_code_may(enum msg_id id, enum role_kind from, enum role_kind to)
{
    const struct ipc_row *row = &ipc_code_rows[id];
    return (row->to == to || row->to == ROLE_COUNT) && (row->from & ROLE_BIT(from)) != 0;
}

int *ipc_code_fd(const struct ipc_layout *l, void *msg)
{
    return l->fd_at < 0 ? NULL : (int *)(void *)((char *)msg + l->fd_at);
}

/* ---- writing ---- */

struct any_list { /* how every L() lies in its struct */
    void *v;
    uint32_t n;
};

size_t ipc_code_size(const struct ipc_layout *l, const void *msg)
{
    size_t n = l->least;
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        const void *at = (const char *)msg + f->offset;
        if (f->type == IPC_T_bytes) {
            n += ((const struct span *)at)->n;
        } else if (f->type == IPC_T_list) {
            const struct any_list *list = at;
            const struct ipc_layout *r = f->record();
            for (uint32_t k = 0; k < list->n; k++)
                n += ipc_code_size(r, (const char *)list->v + (size_t)k * r->size);
        }
    }
    return n;
}

static void put64(unsigned char *p, uint64_t v)
{
    ipc_code_put32(p, (uint32_t)v);
    ipc_code_put32(p + 4, (uint32_t)(v >> 32));
}

static unsigned char *write_fields(const struct ipc_layout *l, const void *msg, unsigned char *p);

static unsigned char *write_field(const struct ipc_field *f, const void *at, unsigned char *p)
{
    switch (f->type) {
    case IPC_T_u32:
        ipc_code_put32(p, *(const uint32_t *)at);
        return p + 4;
    case IPC_T_u64:
    case IPC_T_i64:
        put64(p, *(const uint64_t *)at);
        return p + 8;
    case IPC_T_fd:
        ipc_code_put32(p, *(const int *)at != IPC_FD_NONE);
        return p + 4;
    case IPC_T_bytes: {
        const struct span *s = at;
        ipc_code_put32(p, (uint32_t)s->n);
        if (s->n > 0)
            memcpy(p + 4, s->p, s->n);
        return p + 4 + s->n;
    }
    default: {
        const struct any_list *list = at;
        const struct ipc_layout *r = f->record();
        ipc_code_put32(p, list->n);
        p += 4;
        for (uint32_t k = 0; k < list->n; k++)
            p = write_fields(r, (const char *)list->v + (size_t)k * r->size, p);
        return p;
    }
    }
}

static unsigned char *write_fields(const struct ipc_layout *l, const void *msg, unsigned char *p)
{
    for (unsigned i = 0; i < l->n; i++)
        p = write_field(&l->fields[i], (const char *)msg + l->fields[i].offset, p);
    return p;
}

int ipc_code_write(const struct ipc_layout *l, const void *msg, unsigned char *p)
{
    write_fields(l, msg, p);
    return l->fd_at < 0 ? IPC_FD_NONE : *(const int *)(const void *)((const char *)msg + l->fd_at);
}

/* ---- reading ---- */

struct reader {
    const unsigned char *p;
    size_t left;
    struct arena *mem;
    bool rides;
};

static uint32_t take32(struct reader *r)
{
    uint32_t v = ipc_code_get32(r->p);
    r->p += 4;
    r->left -= 4;
    return v;
}

static int read_fields(struct reader *r, const struct ipc_layout *l, char *msg);

static int read_list(struct reader *r, const struct ipc_layout *record, struct any_list *out)
{
    uint32_t n = take32(r);
    /* Each record takes at least `least` bytes: a count that the bytes cannot hold allocates nothing (SEC-07). */
    if (n > r->left / record->least)
        return -1;
    char *v = out && n > 0 ? arena_alloc(r->mem, (size_t)n * record->size) : NULL;
    for (uint32_t k = 0; k < n; k++)
        if (read_fields(r, record, v ? v + (size_t)k * record->size : NULL) < 0)
            return -1;
    if (out)
        *out = (struct any_list){v, n};
    return 0;
}

static int read_bytes(struct reader *r, struct span *out)
{
    uint32_t n = take32(r);
    if (n > r->left)
        return -1;
    if (out)
        *out = span_of(r->p, n);
    r->p += n;
    r->left -= n;
    return 0;
}

static int read_field(struct reader *r, const struct ipc_field *f, void *at)
{
    static const unsigned char fixed[] = {[IPC_T_u32] = 4, [IPC_T_u64] = 8, [IPC_T_i64] = 8, [IPC_T_bytes] = 4,
                                          [IPC_T_fd] = 4, [IPC_T_list] = 4};
    if (r->left < fixed[f->type])
        return -1;
    uint32_t low;
    uint64_t high;
    switch (f->type) {
    case IPC_T_u32:
        low = take32(r);
        if (at)
            *(uint32_t *)at = low;
        return 0;
    case IPC_T_u64:
    case IPC_T_i64:
        low = take32(r);
        high = take32(r);
        if (at)
            *(uint64_t *)at = high << 32 | low;
        return 0;
    case IPC_T_fd:
        low = take32(r);
        r->rides |= low != 0;
        if (at)
            *(int *)at = low ? IPC_FD_RIDES : IPC_FD_NONE;
        return low > 1 ? -1 : 0;
    case IPC_T_bytes:
        return read_bytes(r, at);
    default:
        return read_list(r, f->record(), at);
    }
}

static int read_fields(struct reader *r, const struct ipc_layout *l, char *msg)
{
    for (unsigned i = 0; i < l->n; i++)
        if (read_field(r, &l->fields[i], msg ? msg + l->fields[i].offset : NULL) < 0)
            return -1;
    return 0;
}

int ipc_code_read(const struct ipc_layout *l, struct span in, struct arena *mem, void *msg, bool *rides)
{
    struct reader r = {(const unsigned char *)in.p, in.n, mem, false};
    if (in.n < l->least || read_fields(&r, l, msg) < 0 || r.left != 0)
        return -1;
    *rides = r.rides;
    return 0;
}

/* ---- by message id ---- */

static const struct ipc_layout *layout_of(enum msg_id id, bool reply)
{
    assert(id < MSG_ID_COUNT);
    const struct ipc_row *row = &ipc_code_rows[id];
    assert(!reply || row->out);
    return reply ? row->out() : row->in();
}

int ipc_encode(struct str *out, enum msg_id id, bool reply, const void *msg)
{
    const struct ipc_layout *l = layout_of(id, reply);
    size_t n = ipc_code_size(l, msg);
    str_reserve(out, n);
    int fd = ipc_code_write(l, msg, (unsigned char *)out->p + out->n);
    out->n += n;
    return fd;
}

int ipc_decode(enum msg_id id, bool reply, struct span in, struct arena *mem, void *msg)
{
    bool rides;
    return ipc_code_read(layout_of(id, reply), in, mem, msg, &rides);
}

size_t ipc_struct_size(enum msg_id id, bool reply) { return layout_of(id, reply)->size; }

const char *ipc_name(enum msg_id id) { return id < MSG_ID_COUNT ? ipc_code_rows[id].name : "?"; }
