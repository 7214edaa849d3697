/* header: fields lie in order within the text; a field that is written is read back as it was. */
#include "format/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct span in = span_of(data, size);
    struct header_reader r;
    struct header_field f;
    size_t end = 0;
    header_begin(&r, in);
    while (header_next(&r, &f)) {
        must(f.at >= end && f.length > 0 && f.length <= size - f.at);
        end = f.at + f.length;
        must(f.value.p >= f.name.p && f.value.p + f.value.n <= in.p + end);
        struct span value = header_unfold(f.value, &mem);
        must(span_find_char(value, '\n') < 0 && span_find_char(value, '\r') < 0 && span_find_char(value, 0) < 0);
        struct str out;
        str_init(&out, &mem);
        if (header_write(&out, f.name, value) != 0)
            continue;
        struct header_reader again;
        struct header_field g;
        header_begin(&again, str_span(&out));
        must(header_next(&again, &g) && span_eq(g.name, f.name) && span_eq(header_unfold(g.value, &mem), value));
        must(!header_next(&again, &g) && again.at == out.n); /* one field, no more */
    }
    must(r.at >= end && r.at <= size);
    struct str out;
    str_init(&out, &mem);
    if (header_write(&out, SPAN("X"), in) == 0)
        must(memchr(out.p, 0, out.n) == NULL && out.p[out.n - 1] == '\n');
    else
        must(out.n == 0);
    arena_reset(&mem);
    return 0;
}
