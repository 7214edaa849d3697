/* store_meta: what was accepted is written again as it was. */
#include "store/store_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_meta m, head;
    struct store_meta_target target;
    struct store_meta_box box;
    struct arena mem;
    struct str out;
    uint64_t eid;
    if (store_meta_read(span_of(data, size), &m) != 0)
        return 0;
    head = m;
    arena_init(&mem);
    str_init(&out, &mem);
    store_meta_put(&out, &head);
    if (m.kind == META_TREE)
        while (store_meta_box(&m, &box))
            store_meta_put_box(&out, &box);
    else if (m.kind == META_GONE)
        while (store_meta_eid(&m, &eid))
            store_meta_put_eid(&out, eid);
    else
        while (store_meta_target(&m, &target))
            store_meta_put_target(&out, &target);
    store_meta_put_end(&out, &head);
    if (out.n != size)
        abort();
    arena_done(&mem);
    return 0;
}
