/* utf8: what is accepted must encode back to the same bytes, and clipping must keep it valid. */
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = span_of(data, size), s = all;
    bool good = true;
    while (s.n > 0 && good) {
        uint32_t cp;
        char back[4];
        size_t len = utf8_decode(s, &cp);
        good = len > 0;
        if (good && (utf8_encode(cp, back) != len || memcmp(back, s.p, len) != 0))
            abort();
        s = span_from(s, len);
    }
    if (utf8_valid(all) != good)
        abort();
    for (size_t n = 0; n <= MIN_OF(size, (size_t)40); n++) {
        struct span cut = utf8_clip(all, n);
        if (cut.n > n || (n < size && cut.n + 3 < n) || (good && !utf8_valid(cut)))
            abort();
    }
    return 0;
}
