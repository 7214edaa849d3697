/* qp: never longer than its input, and text without "=" and blanks is itself. */
#include "base/qp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct span in = span_of(data, size);
    struct str body, word;
    str_init(&body, &mem);
    str_init(&word, &mem);
    qp_decode(&body, in);
    qp_decode_word(&word, in);
    if (body.n > size || word.n > size)
        abort();
    if (span_find_char(in, '=') < 0) {
        if (word.n != size)
            abort();
        if (span_find_char(in, ' ') < 0 && span_find_char(in, '\t') < 0 && !span_eq(str_span(&body), in))
            abort();
    }
    arena_reset(&mem);
    return 0;
}
