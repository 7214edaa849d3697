/* Every message in both directions: whatever decodes must encode to the same bytes. The first two bytes choose. */
#include "base/str.h"
#include "run/ipc_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    enum msg_id id = (enum msg_id)(data[0] % MSG_ID_COUNT);
    bool reply = (data[1] & 1) && ipc_code_rows[id].out;
    struct span in = span_of(data + 2, n - 2);
    struct arena mem;
    arena_init(&mem);
    void *msg = arena_zalloc(&mem, ipc_struct_size(id, reply) + 1);
    bool rides;
    int checked = ipc_code_read(reply ? ipc_code_rows[id].out() : ipc_code_rows[id].in(), in, NULL, NULL, &rides);
    int decoded = ipc_decode(id, reply, in, &mem, msg);
    if (checked != decoded)
        abort();
    /* Records take at most five times their bytes in memory. */
    if (mem.used > ipc_struct_size(id, reply) + 64 + 5 * in.n)
        abort();
    if (decoded == 0) {
        struct str wire;
        str_init(&wire, &mem);
        ipc_encode(&wire, id, reply, msg);
        if (!span_eq(str_span(&wire), in))
            abort();
    }
    arena_done(&mem);
    return 0;
}
