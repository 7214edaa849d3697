/* base64: what strict accepts has one spelling and lenient agrees with it. */
#include "base/base64.h"

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
    struct str strict, url, lenient, again;
    str_init(&strict, &mem);
    str_init(&url, &mem);
    str_init(&lenient, &mem);
    str_init(&again, &mem);
    base64_decode_mime(&lenient, in);
    must(lenient.n <= size / 4 * 3 + 3);
    if (base64_decode(&strict, in) == 0) {
        must(span_eq(str_span(&strict), str_span(&lenient)));
        base64_encode(&again, str_span(&strict));
        must(span_eq(str_span(&again), in));
    }
    if (base64url_decode(&url, in) == 0) {
        str_clear(&again);
        base64url_encode(&again, str_span(&url));
        must(span_eq(str_span(&again), in));
    }
    arena_reset(&mem);
    return 0;
}
