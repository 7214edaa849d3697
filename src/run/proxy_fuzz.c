/* libFuzzer: the PROXY header. Dictionary: tests/corpus/proxy_fuzz.dict. */
#include "run/proxy.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span in = span_of(data, size);
    struct proxy whole, part;
    size_t need;
    ptrdiff_t n = proxy_parse(in, &whole, &need);
    assert(n <= (ptrdiff_t)size && n <= PROXY_MOST && (n != 0 || need > 0));
    if (n <= 0)
        return 0;
    /* what follows it changes nothing, and every shorter piece wants at most what is still missing */
    assert(proxy_parse(span_of(data, (size_t)n), &part, &need) == n && memcmp(&whole, &part, sizeof whole) == 0);
    for (size_t i = 0; i < (size_t)n; i++)
        assert(proxy_parse(span_of(data, i), &part, &need) == 0 && need <= (size_t)n - i);
    return 0;
}
