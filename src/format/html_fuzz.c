/* html_text: UTF-8 in, UTF-8 out, never longer than asked for. */
#include "format/html_text.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct span in = span_of(data, size);
    struct str out;
    str_init(&out, &mem);
    html_text(&out, in, 200);
    if (out.n > 204 || (utf8_valid(in) && !utf8_valid(str_span(&out))))
        abort();
    html_text(&out, in, SIZE_MAX / 2);
    arena_reset(&mem);
    return 0;
}
