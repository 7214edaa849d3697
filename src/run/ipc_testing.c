/* Messages of random contents; the walk is written again here, so that it does not repeat a mistake of ipc_code.c. */
#include "run/ipc_testing.h"

struct any_list {
    char *v;
    uint32_t n;
};

uint64_t ipc_testing_next(struct ipc_random *r) /* splitmix64 */
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct span random_span(struct ipc_random *r, struct arena *mem, size_t most)
{
    size_t n = ipc_testing_next(r) % (most + 1);
    char *p = arena_alloc(mem, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)ipc_testing_next(r);
    return span_of(p, n);
}

void ipc_testing_fill(struct ipc_random *r, const struct ipc_layout *l, void *msg, struct arena *mem, size_t most)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        void *at = (char *)msg + f->offset;
        if (f->type == IPC_T_u32)
            *(uint32_t *)at = (uint32_t)ipc_testing_next(r);
        if (f->type == IPC_T_u64 || f->type == IPC_T_i64)
            *(uint64_t *)at = ipc_testing_next(r);
        if (f->type == IPC_T_fd)
            *(int *)at = IPC_FD_NONE;
        if (f->type == IPC_T_bytes)
            *(struct span *)at = random_span(r, mem, most);
        if (f->type == IPC_T_list) {
            const struct ipc_layout *record = f->record();
            struct any_list list = {NULL, (uint32_t)(ipc_testing_next(r) % 9)};
            list.v = arena_zalloc(mem, (size_t)list.n * record->size + 1);
            for (uint32_t k = 0; k < list.n; k++)
                ipc_testing_fill(r, record, list.v + (size_t)k * record->size, mem, most);
            *(struct any_list *)at = list;
        }
    }
}

static bool same_list(const struct ipc_layout *l, const struct any_list *a, const struct any_list *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!ipc_testing_same(l, a->v + (size_t)i * l->size, b->v + (size_t)i * l->size))
            return false;
    return true;
}

bool ipc_testing_same(const struct ipc_layout *l, const void *a, const void *b)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct ipc_field *f = &l->fields[i];
        const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
        if (f->type == IPC_T_u32 && *(const uint32_t *)x != *(const uint32_t *)y)
            return false;
        if ((f->type == IPC_T_u64 || f->type == IPC_T_i64) && *(const uint64_t *)x != *(const uint64_t *)y)
            return false;
        if (f->type == IPC_T_bytes && !span_eq(*(const struct span *)x, *(const struct span *)y))
            return false;
        if (f->type == IPC_T_list && !same_list(f->record(), x, y))
            return false;
    }
    return true;
}
