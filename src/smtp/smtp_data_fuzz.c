/* libFuzzer: the end-of-data reader: the first byte says how the rest is cut; cut or whole, the outcome is the same. */
#include "smtp/smtp_data.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct outcome {
    enum smtp_data_state state;
    size_t used, n;
    uint64_t hash;
};

static struct outcome run(struct span in, size_t step)
{
    struct smtp_data d = {0};
    struct outcome o = {.hash = 1469598103934665603u};
    for (size_t at = 0; at < in.n && d.state < SMTP_DATA_END;) {
        struct span out;
        size_t n = smtp_data_take(&d, span_sub(in, at, step), &out);
        assert(n > 0 && n <= step);
        for (size_t i = 0; i < out.n; i++) {
            assert(out.p[i] != 0);
            o.hash = (o.hash ^ (unsigned char)out.p[i]) * 1099511628211u;
        }
        o.n += out.n;
        o.used += n;
        at += n;
    }
    o.state = d.state;
    return o;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    struct outcome a = run(in, in.n), b = run(in, 1u + data[0] % 16);
    assert(a.state == b.state);
    if (a.state == SMTP_DATA_END)
        assert(a.used == b.used && a.n == b.n && a.hash == b.hash);
    return 0;
}
