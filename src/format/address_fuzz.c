/* address: groups open and close in turn, no result is longer than the input, and none holds a line end. */
#include "format/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static size_t clean(struct span s)
{
    must(span_find_char(s, '\n') < 0 && span_find_char(s, '\r') < 0 && span_find_char(s, 0) < 0);
    return s.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct address_reader r;
    struct address a;
    size_t total = 0, n = 0;
    bool in_group = false;
    address_begin(&r, span_of(data, size), &mem);
    while (address_next(&r, &a)) {
        must(a.kind == ADDRESS_MAILBOX || (a.kind == ADDRESS_GROUP) != in_group);
        in_group = a.kind == ADDRESS_MAILBOX ? in_group : !in_group;
        total += clean(a.name) + clean(a.route) + clean(a.local) + clean(a.domain);
        n++;
    }
    must(!in_group && total <= 2 * size && n <= size + 1);
    arena_reset(&mem);
    return 0;
}
